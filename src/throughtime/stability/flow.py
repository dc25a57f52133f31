"""Which gradient reaches which state: norms of dL/dh_t, total, through every layer, direction and step of any model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.records import MOST_SHOWN, Record, Row, printed_rows
from throughtime.stability.arguments import check_call, check_loss
from throughtime.stability.decay import growth_per_step
from throughtime.stability.losses import loss_of
from throughtime.stability.recorded_copy import Place, recorded_run


@dataclass(frozen=True, repr=False, eq=False)
class LayerFlow(Row):
    """The gradients at the states of one layer in one direction.

    Attributes
    ----------
    label
        The layer in words.
    module
        The module that it belongs to, by its name in the model.
    layer, reverse
        Which of the module's layers, and whether it runs from the end to the start.
    lengths
        Steps of each series.
    h, c
        Norms of dL/dh_t and of dL/dc_t, zero beyond a series' end; ``c`` is ``None`` for a cell without.
    growth
        By what the norm of both is multiplied per step back, by least squares on its logarithm. A loss at every step
        hides a decay, which ``lag_curve`` shows.
    first_nonfinite
        The step at which NaN or infinity comes up first on the way back, and its series; ``None`` where all is finite.
    """

    title: ClassVar[str] = "norms of dL/dh_t, and of dL/dc_t where there is c: means over the series"

    label: str
    module: str
    layer: int
    reverse: bool
    lengths: Int[ndarray, "series"]
    h: Float64[ndarray, "time series"]
    c: Float64[ndarray, "time series"] | None
    growth: float
    first_nonfinite: tuple[int, int] | None

    @property
    def total(self) -> Float64[ndarray, "time series"]:
        """``sqrt(|dL/dh_t|^2 + |dL/dc_t|^2)``."""
        return self.h if self.c is None else np.hypot(self.h, self.c)

    def _cells(self) -> dict[str, str]:
        steps = int(self.lengths.max())
        own = np.arange(steps)[:, None] < self.lengths
        mean = np.where(own, self.total[:steps], 0).sum(1) / own.sum(1)
        near, far = (mean[0], mean[-1]) if self.reverse else (mean[-1], mean[0])
        norms = {
            "at its end": near,
            "at its start": far,
            "smallest": np.fmin.reduce(mean),  # of those that are numbers
            "largest": np.fmax.reduce(mean),
        }
        shown = {name: f"{norm:.2g}" for name, norm in norms.items()}
        return {"layer": self.label, **shown, "growth a step": f"{self.growth:.4g}"}


@dataclass(frozen=True, repr=False, eq=False)
class GradientFlow(Record):
    """The gradient of one loss on its way through a model.

    Attributes
    ----------
    loss
        Its value.
    layers
        Every layer and direction, in the order of the calls.
    weight_norms
        Norm of the loss's gradient for each parameter of the model, by name; 0 where the loss does not depend on it.
    training
        Whether the model was in training mode.
    """

    loss: float
    layers: tuple[LayerFlow, ...]
    weight_norms: dict[str, float]
    training: bool

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def gradient_flow(
    model: nn.Module,
    x: Any,
    loss: Callable[[Any], Float[Tensor, ""]],
    *,
    lengths: Int[Tensor, "series"] | None = None,
    dtype: torch.dtype | None = None,
) -> GradientFlow:
    """Measure the total gradient that reaches each state of every recurrent layer in one backward pass.

    The model runs as it is, in training or evaluation, on a copy that shares its weights: its gradients, buffers and
    mode stay as they are, and so does torch's generator.

    Parameters
    ----------
    model
        Any module with recurrent layers of ours or of torch (``nn.RNN``, ``nn.GRU``, ``nn.LSTM``), which are converted
        in the copy; the ``module_`` of a fitted estimator.
    x
        What the model is called with: a tensor, a ``PackedSequence``, or a tuple of several arguments.
    loss
        Takes the model's output, gives one number.
    lengths
        Handed to the model as ``lengths=``; our layers, and torch's when they are the model itself, take it.
    dtype
        In which the copy computes, such as ``torch.float64``; by default the model's.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, compiled or scripted; a loss that is no number, or that no state of any
        recurrent layer has a part in; lengths and a dtype that are none.
    DataError
        For an x that the model cannot take; for NaN or infinity in what a recurrent layer reads.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import gradient_flow
    >>> model = torch.nn.GRU(3, 8, num_layers=2, batch_first=True)
    >>> flow = gradient_flow(model, torch.randn(4, 30, 3), lambda output: output[0][:, -1].square().mean())
    >>> [layer.h.shape for layer in flow.layers]
    [(30, 4), (30, 4)]
    """
    check_call(model, x, lengths, dtype=dtype)
    check_loss(loss)
    with recorded_run(model, x, lengths, dtype) as run:
        value = loss_of(loss, run.output)
        named = {name: weight for name, weight in run.parameters.items() if weight.requires_grad}
        grads = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        if not any(_reached(place) for place in run.places):
            raise ParameterError(
                "loss needs to depend on the states of a recurrent layer, got one that no gradient leads from; is "
                "their output detached, or unused?"
            )
        norms = {
            name: 0.0 if grad is None else float(grad.double().norm()) for name, grad in zip(named, grads, strict=True)
        }
        return GradientFlow(float(value.detach()), tuple(map(_layer_flow, run.places)), norms, model.training)


def _reached(place: Place) -> bool:
    norms = place.deltas.h
    return norms is not None and bool((norms != 0).any())


def _layer_flow(place: Place) -> LayerFlow:
    def norms(squares: Tensor | None) -> ndarray:
        if squares is None:
            return np.zeros(place.call.x.shape[:2])
        return place.in_order(squares[0].sqrt()).cpu().numpy()

    h = norms(place.deltas.h)
    c = norms(place.deltas.c) if len(place.recorded.ends) > 1 else None
    total = h if c is None else np.hypot(h, c)
    lengths = place.call.lengths.cpu().numpy()
    return LayerFlow(
        place.label,
        place.module,
        place.layer,
        place.reverse,
        lengths,
        h,
        c,
        growth_per_step(total, lengths, reverse=place.reverse),
        first_nonfinite(total, place.reverse),
    )


def first_nonfinite(norms: Float64[ndarray, "time series"], reverse: bool) -> tuple[int, int] | None:
    """Step and series at which a backward pass meets the first norm that is no number, or not finite."""
    steps, series = np.nonzero(~np.isfinite(norms))
    if not len(steps):
        return None
    first = int(steps.argmin() if reverse else steps.argmax())
    return int(steps[first]), int(series[first])


def _lines(flow: GradientFlow) -> list[str]:
    """A row per layer and direction; what is not finite, and which weights nothing reaches."""
    lines = [f"loss {flow.loss:.4g}, {'training' if flow.training else 'evaluation'} mode", *printed_rows(flow.layers)]
    lines += [f"{layer.label}: {_nonfinite(layer)}" for layer in flow.layers if layer.first_nonfinite is not None]
    unreached = [name for name, norm in flow.weight_norms.items() if norm == 0]
    if unreached:
        more = f" and {len(unreached) - MOST_SHOWN} more" if len(unreached) > MOST_SHOWN else ""
        lines.append(f"no gradient reaches {', '.join(unreached[:MOST_SHOWN])}{more}")
    return lines


def _nonfinite(layer: LayerFlow) -> str:
    """From where on the way back a series' gradient is not finite, as far as that is so."""
    assert layer.first_nonfinite is not None
    step, series = layer.first_nonfinite
    further = layer.total[step + 1 : layer.lengths[series], series] if layer.reverse else layer.total[:step, series]
    ahead = "after" if layer.reverse else "before"
    all_of_it = f" and all {ahead} it" if len(further) and not np.isfinite(further).any() else ""
    others = int((~np.isfinite(layer.total)).any(0).sum()) - 1
    more = f"; nor are those of {others} more series, at some steps" if others else ""
    return f"the gradient of series {series} is not finite at step {step}{all_of_it}{more}"
