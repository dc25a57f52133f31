"""A loss' gradient at a model's recurrent layer, taken apart by lag: how many steps back from the loss a weight acts.

The gradient at the layer's outputs themselves, which no path through time has part in, is pulled back through single
steps, those of all times and series side by side. Weights of every layer of the stack act at the lag of their step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.nn import RecurrentLayer, run_layers, trace_layers
from throughtime.stability.calls import Lengths, RecurrentCall, run_model, tensors_in
from throughtime.stability.input_forms import data_of
from throughtime.stability.losses import loss_of
from throughtime.stability.model_copies import copy_of


@dataclass(frozen=True, eq=False)
class StepGradients:
    """What is known of one call of a recurrent layer and of a loss after it.

    Parameters
    ----------
    layer
        With the weights that acted.
    x, lengths
        What the call read, zero beyond a series' end.
    before
        The states before each step, one tensor per state (h, and a cell's c).
    direct
        The gradient of the loss at the states after each step, without what reaches them through later ones.
    full
        The gradient of the loss by weight, along all paths.
    """

    layer: RecurrentLayer
    x: Float[Tensor, "time batch channel"]
    lengths: Int[Tensor, "batch"]
    before: list[Float[Tensor, "layer time batch _"]]
    direct: list[Float[Tensor, "layer time batch _"]]
    full: Mapping[str, Tensor]

    @property
    def longest(self) -> int:
        """Steps of the longest series: there are as many lags."""
        return int(self.lengths.max())

    def by_lag(self) -> Iterator[dict[str, Tensor]]:
        """The part of the gradient at each lag, from 0 on, by weight; behind the last that has any there are no more.

        One backward pass through one step for each time and series that the loss still reaches: of a loss at the end
        of a series that is one, so that all lags cost about a pass; with a loss at every step, half of the squared
        steps.
        """
        time, batch, _ = self.x.shape
        rows_of_x = self.x.flatten(0, 1)
        before = [state.flatten(1, 2) for state in self.before]
        deltas = [state.flatten(1, 2) for state in self.direct]
        names = self.layer.weight_names
        weights = [getattr(self.layer, name).detach().requires_grad_() for name in names]
        stacked = {name: weight.unsqueeze(0) for name, weight in zip(names, weights, strict=True)}
        for _ in range(time):
            reached = torch.stack([(delta != 0).flatten(2).any(2).any(0) for delta in deltas]).any(0)
            rows = reached.nonzero().squeeze(1)
            if not len(rows):
                return
            start = [state[:, rows].requires_grad_() for state in before]
            ones = torch.ones(1, len(rows), dtype=torch.int64, device=self.x.device)
            _, ends = run_layers(
                self.layer.spec,
                stacked,
                rows_of_x[rows][None, None],
                ones,
                num_layers=self.layer.num_layers,
                bidirectional=False,
                start=[state.unsqueeze(0) for state in start],
            )
            outer = [delta[:, rows].unsqueeze(0) for delta in deltas]
            found = torch.autograd.grad(ends, [*weights, *start], outer, materialize_grads=True)
            yield dict(zip(names, found[: len(names)], strict=True))
            later = rows >= batch  # the first step's goes to the initial state
            deltas = [torch.zeros_like(delta) for delta in deltas]
            for delta, pulled in zip(deltas, found[len(names) :], strict=True):
                delta[:, rows[later] - batch] = pulled[:, later]


def step_gradients(
    model: nn.Module, x: Any, loss: Callable[[Any], Float[Tensor, ""]], lengths: Lengths
) -> StepGradients:
    """Run a copy of the model forward and backward, and note what reached its one recurrent layer.

    Raises
    ------
    ParameterError
        For a model without exactly one call of one recurrent layer, for one that runs in both directions or has noise;
        for a loss that is no number or does not depend on the layer.
    DataError
        For what the model does not take, and for a gradient with NaN or infinity.
    """
    with copy_of(model, x) as (copied, layers, given):
        if len(layers) > 1:
            raise ParameterError(f"model needs one recurrent layer, of any depth, got {len(layers)}")
        (layer,) = layers.values()
        _check_layer(layer)
        calls: list[RecurrentCall] = []
        output = run_model(copied, given, lengths, layers, calls.append)
        if len(calls) > 1:
            raise ParameterError(f"model needs to call its recurrent layer once, got {len(calls)} calls")
        (call,) = calls
        value = loss_of(loss, output)
        y, *states = (data_of(call.given[0]), *(part for given in call.given[1:] for part in tensors_in(given)))
        weights = {name: getattr(layer, name) for name in layer.weight_names}
        wanted = [y, *states, *weights.values()]
        grads = torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)
        outer, full = grads[: 1 + len(states)], grads[1 + len(states) :]
    if not all(grad.isfinite().all() for grad in grads):
        raise DataError("the gradient needs to be finite, got NaN or infinity; gradient_flow says at which step first")
    if not any(grad.any() for grad in outer):
        raise ParameterError("loss needs to depend on the recurrent layer, got a gradient of zero at its outputs")
    with torch.no_grad():
        return _noted(layer, call, outer, dict(zip(weights, full, strict=True)))


def _check_layer(layer: RecurrentLayer) -> None:
    if layer.bidirectional:
        raise ParameterError(
            "the recurrent layer needs bidirectional=False, got True: a path through both directions has no one lag"
        )
    between = layer.dropout if layer.training and layer.num_layers > 1 else 0.0
    rates = {"dropout": between, "zoneout": layer.zoneout, "cell_zoneout": layer.cell_zoneout}
    for name in ("variational_dropout", "recurrent_dropout", "candidate_dropout"):
        rates[name] = getattr(layer, name) if layer.training else 0.0
    for name, rate in rates.items():
        if rate:
            raise ParameterError(f"the recurrent layer needs to run without noise, got {name}={rate:g}; call eval()")


def _noted(
    layer: RecurrentLayer, call: RecurrentCall, outer: Sequence[Tensor], full: Mapping[str, Tensor]
) -> StepGradients:
    """Sort the gradients at all that the layer returned to its states; time before batch."""
    x, lengths = call.x, call.lengths
    stacked = {name: getattr(layer, name).unsqueeze(0) for name in layer.weight_names}
    run = trace_layers(
        layer.spec,
        stacked,
        x.unsqueeze(0),
        lengths.unsqueeze(0),
        num_layers=layer.num_layers,
        bidirectional=False,
        start=[state.unsqueeze(0) for state in call.start] or None,
        cells="c" in layer.spec.states,
    )
    states = [torch.stack([each[0] for each in by_layer]) for by_layer in zip(*run.steps, strict=True)]
    starts = call.start or [torch.zeros_like(state[:, 0]) for state in states]
    before = [torch.cat([first.unsqueeze(1), state[:, :-1]], 1) for first, state in zip(starts, states, strict=True)]
    direct = [torch.zeros_like(state) for state in states]
    series = torch.arange(len(lengths), device=x.device)
    at_outputs, *at_states = outer
    for delta, at_end in zip(direct, at_states, strict=False):
        delta[:, lengths - 1, series] = at_end.unsqueeze(1) if call.form.alone else at_end
    for delta, at_step in zip(direct, at_states[len(states) :], strict=False):  # with return_states
        delta += call.form.time_first(at_step)
    direct[0][-1] += torch.where(call.running, call.form.padded(at_outputs), 0)
    return StepGradients(layer, x, lengths, before, direct, full)
