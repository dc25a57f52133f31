"""``unroll``: the computation graph of a model's recurrent layers through time, with the gradients that flow in it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.stability.arguments import check_call, check_loss, check_whole
from throughtime.stability.calls import tensors_in
from throughtime.stability.flow import first_nonfinite
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.gates import step_graph
from throughtime.stability.graphs.norms import Gradients
from throughtime.stability.graphs.time_graph import time_graph
from throughtime.stability.graphs.tracing import Place, Trace, trace
from throughtime.stability.losses import loss_of


def unroll(
    model: nn.Module,
    x: Any,
    *,
    loss: Callable[[Any], Tensor] | None = None,
    lengths: Int[Tensor, "series"] | Sequence[int] | None = None,
    inside: bool = False,
    layer: int = -1,
    step: int = -1,
) -> ComputationGraph:
    """Unroll the recurrent layers of a model through time.

    The model runs once, in evaluation mode, its recurrent layers step by step in plain torch; its weights, their
    gradients and its mode stay as they are. Each cell's step is a node h, of an LSTM with a node c, its memory, in a
    lane of its own. A weight is one parameter at all steps: edges name it, lanes say how often it is used.

    Parameters
    ----------
    model
        Any module that calls RNN, GRU or LSTM of torch or of throughtime.nn, such as an estimator's ``module_``.
    x
        What it is called with; a tuple holds several arguments.
    loss
        From what the model gives to the number to be differentiated. With it nodes and edges have their gradients,
        those of one loss time if the loss looks at one; losses at every step mask how a gradient decays.
    lengths
        Steps of each series, handed on by that name; to torch's layers as packed series.
    inside
        Draw the inside of one step, gate by gate, instead.
    layer, step
        Which one: the layer (forward in time) and the step, counted from 0, from the end if negative.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, lengths that are none, a loss that is no number or does not depend on a
        state, and for a layer, step or cell whose inside cannot be drawn.
    DataError
        For an x that the model does not take, that has no step, or that is not finite where a recurrent layer reads it;
        for states that are not finite, and for gradients that are NaN without an overflow, which is drawn.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import unroll
    >>> model = torch.nn.GRU(3, 8, num_layers=2, batch_first=True)
    >>> graph = unroll(model, torch.randn(4, 29, 3), loss=lambda out: out[0][:, -1].square().mean())
    >>> graph.depth.forward, graph.depth.operations  # 29 + 2 - 1 cells one after the other
    (30, 58)
    >>> svg = graph.to_svg()
    """
    check_call(model, x, lengths)
    if loss is not None:
        check_loss(loss)
    if not inside and (layer, step) != (-1, -1):
        raise ParameterError(f"layer and step need inside=True, got layer={layer!r}, step={step!r} without")
    traced = trace(model, x, lengths)
    places = list(traced.places())
    value = _value_of(traced.output) if loss is None else loss_of(loss, traced.output)
    gradients = Gradients(value, _tensors(traced))
    if not any(gradients.reached(step.computed[0]) for place in places for step in place.direction.steps):
        what = "a model whose output does" if loss is None else "a loss that does"
        raise ParameterError(
            f"unroll needs {what} depend on the states of the recurrent layers, got one that depends on none of them"
        )
    if loss is not None:
        _check_deltas(places, gradients)
    if inside:
        return _inside(places, gradients, layer, step, known=loss is not None)
    return time_graph(type(model).__name__, traced, gradients, "output" if loss is None else "L")


def _value_of(output: Any) -> Tensor:
    """A number that depends on all that a model gave, for which edges there are; a plain sum of softmax would not."""
    values = [part for part in tensors_in(output) if part.requires_grad and not part.is_complex()]
    if not values:
        raise ParameterError("unroll needs a model whose output depends on its states, got one that depends on none")
    return torch.stack(
        [(part.flatten() * torch.arange(1, part.numel() + 1).to(part).cos()).sum() for part in values]
    ).sum()


def _tensors(traced: Trace) -> list[Tensor]:
    """All that gradients are wanted of."""
    found: list[Tensor | None] = [linear.output for linear in traced.linears]
    for replay in traced.replays:
        found += [replay.call.x, replay.outputs]
        for direction in replay.directions:
            found += [*direction.ends, *direction.returned]
            for step in direction.steps:
                found += [step.x, *step.before, *step.computed, step.h, step.c, step.above]
    return list({id(tensor): tensor for tensor in found if tensor is not None}.values())


def _check_deltas(places: list[Place], gradients: Gradients) -> None:
    """Refuse NaN that no overflow explains, which is drawn as such."""
    for place in reversed(places):
        steps, reverse = place.direction.steps, place.direction.reverse
        deltas = [torch.cat([gradients.of(state)[0] for state in step.computed], -1) for step in steps]
        norms = torch.stack(deltas).double().norm(dim=-1).cpu().numpy()
        broken = np.isnan(norms) & ~np.isinf(norms).any(0)
        first = first_nonfinite(np.where(broken, np.nan, 0), reverse)
        if first is not None:
            label = place.replay.call.label(place.direction.layer, reverse)
            raise DataError(
                f"unroll needs gradients that are numbers, got NaN at {label}, first at step {first[0]} of series "
                f"{first[1]}"
            )


def _inside(places: list[Place], gradients: Gradients, layer: int, step: int, known: bool) -> ComputationGraph:
    forward = [place for place in places if not place.direction.reverse]
    place = forward[check_whole("layer", layer, -len(forward), len(forward) - 1, "from the end below 0")]
    steps = place.direction.steps
    own = steps[check_whole("step", step, -len(steps), len(steps) - 1, "from the end below 0")]
    upstream = (gradients.of(own.computed[0])[0], None if own.c is None else gradients.of(own.c))
    return step_graph(
        place.replay.call.cell, place.direction.weights, own, upstream, place.layer, range(len(steps))[step], known
    )
