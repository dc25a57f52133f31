"""A cell of a user's own, in one file: an Elman network of leaky units (Jaeger et al. 2007), each with its own rate."""

import torch
from torch import Tensor

from throughtime.kernels import CellSpec


def step(
    from_x: Tensor, from_h: Tensor, state: tuple[Tensor, ...], unit_weights: tuple[Tensor, ...], mask: Tensor | None
) -> tuple[Tensor, ...]:
    """``h' = (1 - a) h + a tanh(W x + U h)`` with ``a = sigmoid(rate)``."""
    (h,), (rate,) = state, unit_weights
    n = torch.tanh(from_x + from_h)
    n = n if mask is None else n * mask
    return (h + torch.sigmoid(rate) * (n - h),)


LEAKY = CellSpec(
    "leaky",
    gates=("n",),
    step=step,
    unit_weights=("weight_rate",),
    noise=("recurrent", "candidate", "zoneout_h"),
)
