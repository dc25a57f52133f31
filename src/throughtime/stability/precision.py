"""What a number format loses of the deltas, and of a gate's memory.

A delta below a format's smallest normal number, 1.2e-38 in float32 and bfloat16, is rounded coarsely, flushed to zero
on many devices, and its square is zero long before.  A gate held in a format is at most the largest number below 1, so
that it forgets: in bfloat16, with 8 bits, within 256 steps.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.errors import DataError, ParameterError
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_call, check_dtype, check_lag, check_loss
from throughtime.stability.calls import DOCS, ModelInput, RecurrentCall, as_float64, call_model, tensors_in
from throughtime.stability.input_forms import data_of
from throughtime.stability.linearization import linearize
from throughtime.stability.losses import loss_of
from throughtime.stability.traces import StepTrace, run_call, trace_call

_MOST = 0.01


@dataclass(frozen=True, repr=False)
class FlushedDeltas(Row):
    """Of one layer and direction.

    Attributes
    ----------
    label
        The layer and direction in words.
    dtype
        The format of its weights.
    smallest
        That format's smallest normal number.
    by_step
        Fraction of the numbers in dL/dh_t, and dL/dc_t of a cell with c, that are zero or below ``smallest``, over the
        units and over the series whose loss depends on the step; NaN where there are none. The gradient at c is that
        beside what comes through the same step's h.
    fraction
        The same over all steps.
    """

    title: ClassVar[str] = "fraction of the deltas below a format's smallest number, over all steps, and where most are"

    label: str
    dtype: str
    smallest: float
    by_step: Float64[ndarray, "time"]
    fraction: float

    def _cells(self) -> dict[str, str]:
        worst = "-"
        if (self.by_step > 0).any():
            step = int(np.nanargmax(self.by_step))
            worst = f"{self.by_step[step]:.3f} at step {step}"
        numbers = {"smallest": f"{self.smallest:.2g}", "fraction": f"{self.fraction:.3f}"}
        return {"layer": self.label, "format": self.dtype, **numbers, "most": worst}


def flushed_deltas(
    model: nn.Module,
    x: ModelInput,
    loss: Callable[[Any], Tensor],
    *,
    lengths: Int[Tensor, "series"] | Sequence[int] | None = None,
) -> Records[FlushedDeltas]:
    """Which fraction of the deltas is too small for the format that the layer's weights are in.

    The deltas are total: the loss's own part, what comes from layers above, and what comes back through time. Inside
    the recurrent layers they are computed in float64; the model around them computes as it is. Evaluation mode.

    Parameters
    ----------
    model, x, lengths
        As ``jacobians`` takes them.
    loss
        Of what the model returns, one number. Its scale matters: multiplied by a power of two, fewer are flushed.

    Returns
    -------
    One per layer and direction, in torch's order.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, a loss that is not one number, that depends on no state, or that reads
        the states at each step of ``return_states``.
    DataError
        For an x that the model cannot take, and values and deltas that are not finite, the layer, series and step
        named.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import flushed_deltas
    >>> layer = torch.nn.RNN(1, 4)
    >>> (found,) = flushed_deltas(layer, torch.zeros(9, 2, 1), lambda output: output[0][-1].sum())
    >>> found.fraction
    0.0
    """
    check_call(model, x, lengths, arguments=(tuple, list))
    check_loss(loss)
    with torch.inference_mode(False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        output, calls = call_model(model, _differentiable(x), lengths=lengths)
        value = loss_of(loss, output)
        given = [tensor for call in calls for tensor in _outputs(call)]
        wanted = [tensor for tensor in given if tensor.requires_grad]
        grads = iter(torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True) if wanted else ())
        by_tensor = [next(grads) if tensor.requires_grad else None for tensor in given]
        _refuse_read_steps(calls, value)
        if all(grad is None for grad in by_tensor):
            raise ParameterError("loss needs to depend on a recurrent layer's output, got one that depends on none")
        found = []
        for call in calls:
            own, by_tensor = by_tensor[: len(_outputs(call))], by_tensor[len(_outputs(call)) :]
            for place, own_part, at_end in _direct_parts(call, own):
                found.append(_of_place(call, place, own_part, at_end))
    return Records(found)


def longest_memory(dtype: torch.dtype) -> float:
    """Steps that a unit remembers at most when its gate is held in a format: ``-1 / ln(1 - eps / 2)``.

    Parameters
    ----------
    dtype
        The format; 1 - eps / 2 is its largest number below 1.

    Raises
    ------
    ParameterError
        For what is no format of floating numbers.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import longest_memory
    >>> round(longest_memory(torch.bfloat16))
    255
    """
    check_dtype(dtype)
    return -1 / math.log1p(-torch.finfo(dtype).eps / 2)


def _differentiable(x: ModelInput) -> ModelInput:
    """The input as a leaf, so that there is a graph where all weights are frozen."""
    if isinstance(x, Tensor):
        return x.detach().clone().requires_grad_(x.is_floating_point())
    if isinstance(x, PackedSequence):
        return PackedSequence(x.data.detach().clone().requires_grad_(), *x[1:])
    return [_differentiable(x[0]), *x[1:]] if isinstance(x, tuple | list) and x else x


def _outputs(call: RecurrentCall) -> list[Tensor]:
    """What a layer returned, the outputs first and then the final states."""
    y, ends = call.given[:2]
    return [data_of(y), *((ends,) if isinstance(ends, Tensor) else ends)]


def _refuse_read_steps(calls: Sequence[RecurrentCall], value: Tensor) -> None:
    """Refuse a loss of what ``return_states`` gives, whose gradients are not among those that are followed."""
    for call in calls:
        steps = [tensor for tensor in tensors_in(call.given[2:]) if tensor.requires_grad]
        if steps and any(
            g is not None for g in torch.autograd.grad(value, steps, retain_graph=True, allow_unused=True)
        ):
            raise ParameterError(
                f"loss needs to read the outputs or the final states of {call.name}, got one that reads its states at "
                "each step (return_states); those of the last layer are the outputs"
            )


def _direct_parts(
    call: RecurrentCall, grads: Sequence[Tensor | None]
) -> Iterator[tuple[StepTrace, Float64[Tensor, "time series unit"], tuple[Tensor, ...]]]:
    """For each layer and direction the gradients that do not come back through its own time: at h, and at the ends."""
    x = call.x.clone().requires_grad_()
    run = run_call(call, x)
    width = run.outputs.shape[-1]
    seeds = [_padded(call, grads[0], width)[None]]
    for grad, end in zip(grads[1:], run.ends, strict=True):
        seeds.append(torch.zeros_like(end) if grad is None else as_float64(grad).reshape(end.shape))
    states = [states[0] for states in run.steps]
    parts = torch.autograd.grad((run.outputs, *run.ends), states, seeds, allow_unused=True)
    for number, (place, part, state) in enumerate(zip(trace_call(call), parts, states, strict=True)):
        own = torch.zeros_like(state) if part is None else part
        yield place, own[0].detach(), tuple(seed[0, number] for seed in seeds[1:])


def _padded(call: RecurrentCall, grad: Tensor | None, width: int) -> Float64[Tensor, "time series unit"]:
    """The gradient at a layer's outputs as the trace has them."""
    time, series, _ = call.x.shape
    if grad is None:
        return call.x.new_zeros(time, series, width)
    return as_float64(call.form.padded(grad))


def _of_place(
    call: RecurrentCall,
    place: StepTrace,
    own: Float64[Tensor, "time series unit"],
    at_end: tuple[Float64[Tensor, "series _"], ...],
) -> FlushedDeltas:
    """Carry the deltas back through time and count them."""
    dtype = next(iter(call.layer.parameters())).dtype
    smallest = torch.finfo(dtype).tiny
    step_of = linearize(place)
    last = torch.zeros_like(place.lengths) if place.reverse else place.lengths - 1
    deltas = tuple(torch.zeros_like(end) for end in at_end)
    reached = [torch.zeros(len(place.lengths), 1, dtype=torch.bool)] * len(deltas)
    small, seen = torch.zeros(2, len(own), dtype=torch.float64)
    for step in reversed(place.order):
        now = place.running[step]
        ends = (last == step)[:, None]
        deltas = tuple(delta + torch.where(ends, end, 0) for delta, end in zip(deltas, at_end, strict=True))
        deltas = (deltas[0] + own[step], *deltas[1:])
        _check_finite(torch.cat(deltas, 1), place, step)
        for state, delta in enumerate(deltas):
            # where no gradient has come from the loss yet there is nothing to lose
            reached[state] = reached[state] | (now[:, None] & (delta != 0).any(1, keepdim=True))
            counted = (now[:, None] & reached[state]).expand_as(delta)
            small[step] += ((delta.abs() < smallest) & counted).sum()
            seen[step] += counted.sum()
        pulled = step_of.pull(deltas, step)
        deltas = tuple(torch.where(now[:, None], new, old) for new, old in zip(pulled, deltas, strict=True))
    fraction = float(small.sum() / seen.sum()) if seen.any() else math.nan
    name = str(dtype).removeprefix("torch.")
    return FlushedDeltas(place.label, name, smallest, (small / seen).numpy(), fraction)


def _check_finite(deltas: Float64[Tensor, "series state"], place: StepTrace, step: int) -> None:
    wrong = (~deltas.isfinite()).any(1).nonzero()
    if len(wrong):
        raise DataError(
            f"deltas of {place.label} need finite values, got one that is not at step {step} of series "
            f"{int(wrong[0])}, the first on the way back from the loss"
        )


def _most_flushed(found: Sequence[FlushedDeltas]) -> Measured | NotApplicable:
    reached = [flushed for flushed in found if not math.isnan(flushed.fraction)]
    if not reached:
        return NotApplicable("the loss depends on no state")
    worst = max(reached, key=lambda flushed: flushed.fraction)
    detail = f"{worst.fraction:.1%} of the deltas of {worst.label} are below {worst.smallest:.2g} ({worst.dtype})"
    return Measured(worst.fraction, detail)


def _coarse(dtype: torch.dtype, lag: float) -> Measured:
    check_lag(lag)
    steps = longest_memory(dtype)
    name = str(dtype).removeprefix("torch.")
    return Measured(
        lag / steps, f"a gate in {name} keeps a state for {steps:.4g} steps at most; the task needs {lag:g}"
    )


FLUSHED = Check(
    "STA016",
    "flushed deltas",
    "warning",
    ("flushed_deltas",),
    lambda flushed_deltas: _most_flushed(flushed_deltas),
    "convention: 1 % below the format's smallest normal number",
    "try orthogonal weights per gate, a larger forget bias or init='chrono'; for a diagnostic dtype='float64'",
    threshold=_MOST,
    docs=DOCS,
)

COARSE_GATES = Check(
    "STA017",
    "gates too coarse",
    "warning",
    ("dtype", "lag"),
    lambda dtype, lag: _coarse(dtype, lag),
    "the largest number below 1: 256 steps in bfloat16, 2,048 in float16",
    "try gates and states in float32",
    threshold=1.0,
    docs=DOCS,
    lacking="it needs the format of the gates, and the lag that the task needs",
)
