"""Dropout whose masks follow from a key and an element's place, under ``vmap`` too.

The key is a member's own, and a place is where an element stands on each axis: neither other members nor padding move
a mask.  The hash is SplitMix64's (Steele, Lea & Flood 2014, https://doi.org/10.1145/2660193.2660195), once an axis.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: 2**64 divided by the golden ratio, and the two multipliers, as signed 64-bit integers
GOLDEN, FIRST, SECOND = (n - 2**64 for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def scramble(z: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """SplitMix64's output function."""
    z = (z ^ _shift(z, 30)) * FIRST
    z = (z ^ _shift(z, 27)) * SECOND
    return z ^ _shift(z, 31)


def uniforms(key: Int[Tensor, ""], shape: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Numbers in [0, 1), 24 bits each, one a place."""
    z = scramble(key)
    for size in shape:
        z = scramble(z.unsqueeze(-1) + GOLDEN * torch.arange(1, size + 1, device=key.device))
    return _shift(z, 40).to(torch.float32) * 2.0**-24


def _shift(z: Tensor, bits: int) -> Tensor:
    """Shift to the right, zeros coming in: torch's own copies the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


class KeyedDraw(nn.Module):
    """Where a module's masks come from: its ``key``, the module's own site, and the count of masks drawn before.

    Attributes
    ----------
    key
        Handed in with ``functional_call``, one per member.
    drawn
        Masks drawn since it was last set to zero.
    """

    key: Tensor

    def __init__(self, site: int) -> None:
        super().__init__()
        self.site = site
        self.drawn = 0
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, like: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
        """Zeros, a fraction ``rate`` of all, among 1/(1-rate)."""
        key = scramble(scramble(scramble(self.key) + self.site) + self.drawn)
        self.drawn += 1
        survivor = 1 / (1 - rate) if rate < 1 else 0.0
        return torch.where(uniforms(key, shape) >= rate, survivor, 0.0).to(like.dtype)


class KeyedDropout(nn.Module):
    """``torch.nn.Dropout`` with masks from a key."""

    def __init__(self, rate: float, site: int) -> None:
        super().__init__()
        self.rate = rate
        self.draw = KeyedDraw(site)

    def forward(self, x: Tensor) -> Tensor:
        """Dropout of x while training."""
        if not self.training or self.rate == 0:
            return x
        mask: Tensor = self.draw(x, tuple(x.shape), self.rate)
        return x * mask

    def extra_repr(self) -> str:
        """The rate, as torch prints it."""
        return f"p={self.rate}"


def draws(module: nn.Module) -> Iterator[tuple[str, KeyedDraw]]:
    """Every source of masks in a module, by its name."""
    return ((name, found) for name, found in module.named_modules() if isinstance(found, KeyedDraw))
