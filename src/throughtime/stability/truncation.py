"""How far a truncated gradient is from the full one, and whether it still leads down.

Reference: Aicher, Foti & Fox (2019), https://arxiv.org/abs/1905.07473: with a relative bias below 1, stochastic
gradient descent on truncated gradients still converges.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Record, aligned
from throughtime.stability.arguments import check_call, check_loss, check_whole
from throughtime.stability.step_gradients import step_gradients


@dataclass(frozen=True, repr=False)
class TruncationBias(Record):
    """The gradient of a recurrent layer's weights when each loss reaches back k steps, beside the full one.

    Attributes
    ----------
    k
        Steps that a loss' gradient reaches, its own included.
    cosine
        Of the angle to the full gradient; NaN where the truncated one is zero.
    norm_ratio
        Its norm over that of the full gradient.
    steps
        Of the longest series: from there on nothing is cut.
    """

    k: tuple[int, ...]
    cosine: tuple[float, ...]
    norm_ratio: tuple[float, ...]
    steps: int

    @property
    def relative_bias(self) -> tuple[float, ...]:
        """The norm of what is cut off over that of the full gradient."""
        pairs = zip(self.cosine, self.norm_ratio, strict=True)
        return tuple(1.0 if ratio == 0 else math.sqrt(max(0.0, 1 + ratio**2 - 2 * ratio * cos)) for cos, ratio in pairs)

    def __str__(self) -> str:
        columns = zip(self.k, self.cosine, self.norm_ratio, self.relative_bias, strict=True)
        rows = [[str(k), *(f"{number:.3g}" for number in numbers)] for k, *numbers in columns]
        heads = ["k", "cosine", "norm over full", "fraction cut off"]
        title = f"gradients that reach back k steps of {self.steps}, beside the full one"
        return "\n".join([title, *aligned([heads, *rows])])


def truncation_bias(
    model: nn.Module,
    x: Any,
    loss: Callable[[Any], Float[Tensor, ""]],
    k: Sequence[int] | int | None = None,
    *,
    lengths: Tensor | None = None,
) -> TruncationBias:
    """Compare truncated gradients of a model's recurrent layer with the full one, on one batch.

    Each loss reaches exactly k steps: the sum of the parts of lag 0 to k - 1 of `lag_decomposition`, whose arguments
    these are. It is what training with ``bptt="truncated"``, ``k2=k`` computes with one target per series, or with
    ``k1=1``; with a larger ``k1`` and a target each step the losses reach between ``k2 - k1 + 1`` and ``k2`` steps.

    Parameters
    ----------
    k
        Steps, one or several; by default 1, 2, 4 and so on, and the longest series' steps.

    Raises
    ------
    ParameterError
        For a model or a loss that cannot be taken apart, and for k below 1 or beyond the longest series.
    DataError
        For an x that the model cannot take; for a gradient with NaN or infinity.
    """
    check_call(model, x, lengths)
    check_loss(loss)
    found = step_gradients(model, x, loss, lengths)
    wanted = _checked(k, found.longest)
    full = _joint(found.full)
    norm = float(full.norm())
    if norm == 0:
        raise ParameterError("truncation_bias needs a gradient other than zero, got zero for all recurrent weights")
    total, parts = torch.zeros_like(full), found.by_lag()
    cosines, ratios = [], []
    for lag in range(max(wanted)):
        part = next(parts, None)
        if part is not None:
            total += _joint(part)
        if lag + 1 in wanted:
            own = float(total.norm())
            cosines.append(float(total @ full) / (own * norm) if own else math.nan)
            ratios.append(own / norm)
    return TruncationBias(tuple(wanted), tuple(cosines), tuple(ratios), found.longest)


def _checked(k: Sequence[int] | int | None, longest: int) -> list[int]:
    if k is None:
        return sorted({*(2**power for power in range(longest.bit_length())), longest})
    if getattr(k, "ndim", 0) == 1:  # of numpy, or of torch
        k = k.tolist()  # type: ignore[union-attr]
    several = [*k] if isinstance(k, list | tuple | range | set | frozenset) else [k]
    if not several:
        raise ParameterError("k needs at least one number of steps, got none")
    return sorted({check_whole("k", steps, 1, longest, "the steps of the longest series") for steps in several})


def _joint(grads: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([grad.double().flatten() for grad in grads.values()])


def _bias_at(truncation_bias: TruncationBias, k2: int) -> Measured | NotApplicable:
    record = truncation_bias
    check_whole("k2", k2, 1)
    if k2 >= record.steps:
        return NotApplicable(f"k2={k2} cuts nothing of series of {record.steps} steps")
    if k2 not in record.k:
        return NotApplicable(f"the bias at k2={k2} was not measured, only at k={', '.join(map(str, record.k))}")
    place = record.k.index(k2)
    cosine, ratio = record.cosine[place], record.norm_ratio[place]
    detail = f"at k2={k2} the gradient has cosine {cosine:.2f} to the full one and {ratio:.2f} of its norm"
    return Measured(record.relative_bias[place], detail)


#: ``run_checks(TRUNCATION_CHECKS, truncation_bias=record, k2=50)``.
TRUNCATION_CHECKS = (
    Check(
        "STA030",
        "truncation loses the gradient",
        "warning",
        ("truncation_bias", "k2"),
        _bias_at,
        source="relative bias, below 1 for convergence (Aicher et al. 2019); that half of the gradient may be lost is "
        "a convention",
        remedy="try a larger k2, or bptt='checkpointed', whose gradient is the full one",
        threshold=0.5,
        docs="docs/guide/bptt.md#sta030",
        lacking="training is not truncated: nothing is cut",
    ),
)
