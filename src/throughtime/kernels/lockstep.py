"""The training loop on the C++ path: its passes over memory, for all members at once, or whole steps.

In torch each pass is a dozen operations on one thread (``one_thread``), which take as long as the recurrence itself in
a small network. The formulas are those of ``training.optimizers``, ``training.clipping`` and ``nn.standardize``, which
remain the path of other devices; every operation is rounded once, as IEEE has it (torch's own root of a vector is not).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from throughtime.kernels.extension import SUFFIX, addresses, compiled, large_tensor, team


class Update(NamedTuple):
    """What a step of the optimizer changes, in place, and what it goes by.

    Parameters
    ----------
    rule, constants
        ``adam``, ``adamw`` or ``sgd``; beta1, beta2 and epsilon.
    exp_avg, exp_avg_sq
        Moving averages of the gradient and its square; ``sgd`` has the first alone.
    steps
        Taken so far, float64.
    max_norm
        The largest norm of a member's gradient.
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

    @property
    def addresses(self) -> list[int]:
        """Where its tensors lie."""
        real = self.weights.dtype
        return addresses(self[2:], (*[real] * 4, torch.float64, *[real] * 3))


def take_step(
    update: Update, grads: Float[Tensor, "member weight"], active: Bool[Tensor, "member"]
) -> Float[Tensor, "member"]:
    """Clip every member's gradient by its own norm and update weights and state of those that are active.

    Returns
    -------
    The norms before clipping.
    """
    norms = torch.empty_like(update.lr)
    real = update.weights.dtype
    tensors = addresses((grads, active, norms), (real, torch.bool, real))
    step = getattr(compiled(), f"step_{SUFFIX[real]}")
    step(update.rule, update.weights.shape, update.constants, update.addresses, tensors, *team())
    return norms


def gather_standardized(
    time: int,
    values: Float[Tensor, "step own_channel"],
    static: Float[Tensor, "series column"] | None,
    begins: Int[Tensor, "member batch"],
    lengths: Int[Tensor, "member batch"],
    series: Int[Tensor, "member batch"],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "member time batch channel"]:
    """Series side by side, ``(x - shift) / scale``, what is missing or beyond a series' end at zero.

    Parameters
    ----------
    time
        Steps of the result.
    values, static, shift, scale
        Of one dtype, in which is computed.
    begins, lengths
        Where each series begins in ``values``, and its steps: none for padding.
    series
        Its row of ``static``, whose columns follow the channels at every step.
    dtype
        Of the result: that of the values, or float32 from float64.
    """
    source, real = values.dtype, dtype or values.dtype
    columns = 0 if static is None else static.shape[1]
    x = large_tensor(values.new_empty(0, dtype=real), len(begins), time, begins.shape[1], values.shape[1] + columns)
    tensors = (values, static, begins, lengths, series, shift, scale, x)
    dtypes = (source, source, *[torch.int64] * 3, source, source, real)
    shape = (*x.shape[:3], values.shape[1], columns)
    getattr(compiled(), f"gather_{_suffix(source, real)}")(shape, addresses(tensors, dtypes), *team())
    return x


def _suffix(source: torch.dtype, real: torch.dtype) -> str:
    """The name of a function that reads series of one dtype for a network of another."""
    if source != real and (source, real) != (torch.float64, torch.float32):
        raise RuntimeError(f"series of {source} cannot be read for a network of {real}")
    return SUFFIX[real] if source == real else f"{SUFFIX[source]}_{SUFFIX[real]}"


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


def train_steps(
    kind: str,
    loss: str,
    hidden: int,
    outputs: int,
    places: Sequence[int],
    update: Update,
    training_data: TrainingData,
    order: Int[Tensor, "member place"],
    batch: int,
    steps: range,
    result: Pass,
) -> None:
    """Take some steps of a network of one layer with one output per series: gather, forward, backward, clip, update.

    Each member runs through its steps by itself, so nothing waits between them; the bits are those of the same passes
    one by one.

    Parameters
    ----------
    kind, hidden
        The layer's, without noise.
    loss, outputs
        ``cross_entropy`` of so many classes, or ``squared_error`` of one output.
    places
        Where w_ih, w_hh, b_ih, b_hh and the output layer's weight and bias begin in a member's row of weights.
    order
        Positions of the samples in the order of the pass, behind those of a smaller sample filled with -1.
    batch
        Series per step; a last one may have fewer.
    steps
        Which of the pass to take.
    result
        Its sums are added to, its norms of these steps written.
    """
    if loss == "squared_error" and outputs != 1:
        raise RuntimeError(f"squared_error needs one output, got {outputs}")
    weights, real, source = update.weights, update.weights.dtype, training_data.values.dtype
    columns = 0 if training_data.static is None else training_data.static.shape[1]
    net = training_data.values.shape[1], columns, hidden, outputs
    pass_ = batch, order.shape[1], training_data.rows.shape[1], steps.start, len(steps)
    whole, double = torch.int64, torch.float64
    tensors = addresses(
        (*training_data[:7], order, *training_data[7:], *result),
        (source, source, whole, whole, whole, double, double, whole, source, source, double, double, real),
    )
    run = getattr(compiled(), f"train_steps_{_suffix(source, real)}")
    rule = update.rule, (*net, *pass_), weights.shape, update.constants
    run(kind, loss, *rule, places, update.addresses, tensors, *team())
