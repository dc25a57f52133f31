"""What a step of training reads and writes, as plain tensors that every backend understands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float, Float64, Int
from torch import Tensor


class Update(NamedTuple):
    """What a step of the optimizer changes, in place, and what it goes by.

    Parameters
    ----------
    rule, constants
        The rule's name (``adam``, ``adamw``, ``sgd``), for a backend that has it built in; beta1, beta2 and epsilon.
    exp_avg, exp_avg_sq
        Moving averages of the gradient and its square; ``sgd`` has the first alone.
    steps
        Taken so far, float64.
    max_norm
        The largest norm of a member's gradient.
    in_torch
        The same step in torch's operations, for a backend without the rule: called with ``(grads, active)``, gives the
        norms before clipping.
    """

    rule: str
    constants: tuple[float, float, float]
    weights: Float[Tensor, "member weight"]
    decay: Float[Tensor, "member weight"]
    exp_avg: Float[Tensor, "member weight"]
    exp_avg_sq: Float[Tensor, "member weight"] | None
    steps: Float[Tensor, "member"]
    lr: Float[Tensor, "member"]
    momentum: Float[Tensor, "member"]
    max_norm: Float[Tensor, "member"]
    in_torch: Callable[[Tensor, Tensor], Tensor]


class TrainingData(NamedTuple):
    """What the members train on: the series, one copy for all, and each member's own sample of them.

    Parameters
    ----------
    values, static, shift, scale
        Of one dtype: the network's, or float64.
    starts, lengths
        Where each series begins in ``values``, and its steps.
    rows
        The series of a member's sample.
    targets, weights
        One per series of the sample, float64; weight zero where the target was not observed.
    """

    values: Float[Tensor, "step own_channel"]
    static: Float[Tensor, "series column"] | None
    starts: Int[Tensor, "series"]
    lengths: Int[Tensor, "series"]
    rows: Int[Tensor, "member position"]
    targets: Float[Tensor, "member position"]
    weights: Float[Tensor, "member position"]
    shift: Float[Tensor, "member channel"]
    scale: Float[Tensor, "member channel"]


class Pass(NamedTuple):
    """What comes of every member's steps over its series.

    Parameters
    ----------
    loss_sums, weight_sums
        Of all its series, the losses weighted; float64.
    norms
        Of the gradients before clipping; zero where a member has no such step.
    """

    loss_sums: Float[Tensor, "member"]
    weight_sums: Float[Tensor, "member"]
    norms: Float[Tensor, "step member"]


class FeatureMasks(NamedTuple):
    """Dropout on what the output layer is given, already drawn for some steps.

    Parameters
    ----------
    of_member
        Which of the masks is a member's; -1 for none.
    masks
        For a whole batch; a smaller one takes its first rows.
    """

    of_member: Int[Tensor, "member"]
    masks: Float[Tensor, "mask step row unit"]


class InputNoise(NamedTuple):
    """What is added to standardized values that are there, already drawn: of one step, or of some.

    Parameters
    ----------
    of_member
        Which of the noises is a member's; -1 for none.
    noise
        Of the first channels; at least as many steps in time and rows as the batches have.
    """

    of_member: Int[Tensor, "member"]
    noise: Float[Tensor, "noise *step time row channel"]


class StepNorms(NamedTuple):
    """What some steps measure besides; ``None`` for what nobody needs. Zero where there is nothing to measure.

    Parameters
    ----------
    tensors
        L2 norms of the gradient by tensor, before clipping.
    h, c
        Squared norms of the total gradients at the states, dL/dh_t and dL/dc_t.
    """

    tensors: Float64[Tensor, "step member tensor"] | None = None
    h: Float64[Tensor, "step member time row"] | None = None
    c: Float64[Tensor, "step member time row"] | None = None


@dataclass(eq=False)
class DeltaNorms:
    """Takes the squared norms of dL/dh_t, and of dL/dc_t of a cell with c, from the backward pass of a call of the op.

    In float64, zero beyond a series' end. Of h as the step hands it on, of c as the step computes it: before zoneout
    keeps a part of the one before. They are those of the last backward pass, which may not be differentiated itself.
    """

    h: Float64[Tensor, "member time batch"] | None = None
    c: Float64[Tensor, "member time batch"] | None = None
