"""The training loop on the C++ path: its passes over memory, for all members at once, or whole steps.

In torch each pass is a dozen operations on one thread (``one_thread``), which take as long as the recurrence itself in
a small network. The formulas are those of ``training.optimizers``, ``training.clipping`` and ``kernels.standardize``,
which remain the path of other devices; every operation is rounded once, as IEEE has it (torch's own root of a vector is
not).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from throughtime.kernels.native.extension import SUFFIX, addresses, compiled, large_tensor, team
from throughtime.kernels.steps import FeatureMasks, InputNoise, Pass, StepNorms, TrainingData, Update

#: The optimizers' rules and the losses that are built in.
RULES = ("adam", "adamw", "sgd")
LOSSES = ("cross_entropy", "squared_error")


def update_addresses(update: Update) -> list[int]:
    """Where the tensors of an update lie."""
    real = update.weights.dtype
    return addresses(update[2:10], (*[real] * 4, torch.float64, *[real] * 3))


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
    step(update.rule, update.weights.shape, update.constants, update_addresses(update), tensors, *team())
    return norms


def tensor_norms(grads: Float[Tensor, "member weight"], places: Sequence[int]) -> Float64[Tensor, "member tensor"]:
    """The L2 norms of every member's gradient by tensor; each begins at its place and reaches to the next."""
    norms = grads.new_empty(len(grads), len(places), dtype=torch.float64)
    tensors = addresses((grads, norms), (grads.dtype, torch.float64))
    getattr(compiled(), f"tensor_norms_{SUFFIX[grads.dtype]}")(grads.shape, places, tensors)
    return norms


def log_means(
    squares: Float64[Tensor, "member time batch"],
    lengths: Int[Tensor, "member batch"],
    lags: Int[Tensor, "member lag"],
    reverse: bool,
) -> Float64[Tensor, "member lag"]:
    """See ``Backend.log_means``."""
    means = squares.new_empty(lags.shape)
    tensors = addresses((squares, lengths, lags, means), (torch.float64, torch.int64, torch.int64, torch.float64))
    compiled().log_means((*squares.shape, lags.shape[1]), reverse, tensors)
    return means


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
    noise: InputNoise | None = None,
) -> Float[Tensor, "member time batch channel"]:
    """See ``Backend.gather``."""
    source, real = values.dtype, dtype or values.dtype
    columns = 0 if static is None else static.shape[1]
    x = large_tensor(values.new_empty(0, dtype=real), len(begins), time, begins.shape[1], values.shape[1] + columns)
    tensors = (values, static, begins, lengths, series, shift, scale, x, *(noise or (None, None)))
    dtypes = (source, source, *[torch.int64] * 3, source, source, real, torch.int64, real)
    noise_time, noise_rows, noise_channels = (0, 0, 0) if noise is None else noise.noise.shape[1:]
    if noise is not None and (noise_time < time or noise_rows < x.shape[2] or noise_channels > values.shape[1]):
        raise RuntimeError(
            f"noise needs at least {time} steps and {x.shape[2]} rows of at most {values.shape[1]} channels, got "
            f"{tuple(noise.noise.shape[1:])}"
        )
    shape = (*x.shape[:3], values.shape[1], columns, noise_channels, noise_time, noise_rows)
    getattr(compiled(), f"gather_{_suffix(source, real)}")(shape, addresses(tensors, dtypes), *team())
    return x


def _suffix(source: torch.dtype, real: torch.dtype) -> str:
    """The name of a function that reads series of one dtype for a network of another."""
    if source != real and (source, real) != (torch.float64, torch.float32):
        raise RuntimeError(f"series of {source} cannot be read for a network of {real}")
    return SUFFIX[real] if source == real else f"{SUFFIX[source]}_{SUFFIX[real]}"


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
    dropout: FeatureMasks | None = None,
    norms: StepNorms | None = None,
    noise: InputNoise | None = None,
    smoothing: Float[Tensor, "member"] | None = None,
) -> None:
    """Take some steps of a network of one layer with one output per series: gather, forward, backward, clip, update.

    Each member runs through its steps by itself, so nothing waits between them; the bits are those of the same passes
    one by one.

    Parameters
    ----------
    kind, hidden
        The layer's, without noise.
    outputs
        Classes; 1 with ``squared_error``.
    loss, places, update, training_data, order, batch, steps, result, dropout, norms, noise, smoothing
        As ``Backend.train_steps`` has them.
    """
    if loss == "squared_error" and outputs != 1:
        raise RuntimeError(f"squared_error needs one output, got {outputs}")
    weights, real, source = update.weights, update.weights.dtype, training_data.values.dtype
    columns = 0 if training_data.static is None else training_data.static.shape[1]
    net = training_data.values.shape[1], columns, hidden, outputs
    norms = norms or StepNorms()
    norms_time = 0 if norms.h is None else norms.h.shape[2]
    noise_time, noise_channels = (0, 0) if noise is None else (noise.noise.shape[2], noise.noise.shape[4])
    of_order = batch, order.shape[1], training_data.rows.shape[1]
    pass_ = *of_order, steps.start, len(steps), norms_time, noise_channels, noise_time
    whole, double = torch.int64, torch.float64
    tensors = addresses(
        (
            *training_data[:7],
            order,
            *training_data[7:],
            *result,
            *norms,
            *(dropout or (None, None)),
            *(noise or (None, None)),
            smoothing,
        ),
        [source] * 2
        + [whole] * 3
        + [double] * 2
        + [whole]
        + [source] * 2
        + [double] * 2
        + [real]
        + [double] * 3
        + [whole, real] * 2
        + [real],
    )
    run = getattr(compiled(), f"train_steps_{_suffix(source, real)}")
    rule = update.rule, (*net, *pass_), weights.shape, update.constants
    run(kind, loss, *rule, places, update_addresses(update), tensors, *team())
