"""A loss' gradient at a model's recurrent layer, taken apart by lag: how many steps back from the loss a weight acts.

The gradient at the layer's outputs themselves, which no path through time has part in, is pulled back through single
steps, those of all times and series side by side. Weights of every layer of the stack act at the lag of their step.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.nn import RecurrentLayer, convert, run_layers
from throughtime.stability.calls import check_number


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
    model: nn.Module, x: Any, loss: Callable[[Any], Float[Tensor, ""]], lengths: Tensor | None
) -> StepGradients:
    """Run a copy of the model forward and backward, and note what reached its one recurrent layer.

    Raises
    ------
    ParameterError
        For a model without exactly one call of one recurrent layer, for one that runs in both directions, has noise or
        is handed packed series; for a loss that is no number or does not depend on the layer.
    DataError
        For a gradient with NaN or infinity.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"model needs a torch.nn.Module, got a {type(model).__name__}; of an estimator its module_"
        )
    copied = convert(copy.deepcopy(model))
    layers = [part for part in copied.modules() if isinstance(part, RecurrentLayer)]
    if len(layers) != 1:
        raise ParameterError(f"model needs one recurrent layer, of any depth, got {len(layers) or 'none'}")
    (layer,) = layers
    _check_layer(layer)
    calls: list[tuple[Any, Any, Any]] = []
    with torch.enable_grad(), layer.register_forward_hook(lambda _, *call: calls.append(call), with_kwargs=True):
        inputs = x if isinstance(x, tuple) else (x,)
        output = copied(*inputs, **({} if lengths is None else {"lengths": lengths}))
        value = loss(output)
    if len(calls) != 1:
        raise ParameterError(f"model needs to call its recurrent layer once, got {len(calls)} calls")
    check_number(value)
    ((arguments, keywords, (y, end, *steps)),) = calls
    given = inspect.signature(layer.forward).bind(*arguments, **keywords).arguments
    if not isinstance(y, Tensor) or y.dim() != 3 or steps:
        what = "return_states" if steps else "a single series" if isinstance(y, Tensor) else "a PackedSequence"
        raise ParameterError(f"the recurrent layer needs a padded batch with lengths, got {what}")
    ends = end if isinstance(end, tuple) else (end,)
    weights = {name: getattr(layer, name) for name in layer.weight_names}
    wanted = [y, *ends, *weights.values()]
    if not value.requires_grad:
        raise ParameterError("loss needs to depend on the recurrent layer, got a number without a gradient")
    grads = torch.autograd.grad(value, wanted, torch.ones_like(value), allow_unused=True, materialize_grads=True)
    at_outputs, at_ends, full = grads[0], grads[1 : 1 + len(ends)], grads[1 + len(ends) :]
    if not all(grad.isfinite().all() for grad in grads):
        raise DataError("the gradient needs to be finite, got NaN or infinity; gradient_flow says at which step first")
    if not any(grad.any() for grad in grads[: 1 + len(ends)]):
        raise ParameterError("loss needs to depend on the recurrent layer, got a gradient of zero at its outputs")
    with torch.no_grad():
        return _noted(layer, given, at_outputs, at_ends, dict(zip(weights, full, strict=True)))


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
    layer: RecurrentLayer,
    given: Mapping[str, Any],
    at_outputs: Tensor,
    at_ends: tuple[Tensor, ...],
    full: Mapping[str, Tensor],
) -> StepGradients:
    """Everything with time before batch."""
    x, hx, lengths = given["input"], given.get("hx"), given.get("lengths")
    steps: Any = layer(x, hx, lengths=lengths, return_states=True)[2]
    states = [*steps] if isinstance(steps, tuple) else [steps]
    if layer.batch_first:
        x, at_outputs = x.transpose(0, 1), at_outputs.transpose(0, 1)
        states = [state.transpose(1, 2) for state in states]
    time, batch, _ = x.shape
    lengths = torch.full((batch,), time) if lengths is None else torch.as_tensor(lengths)
    lengths = lengths.to(x.device)
    own = torch.arange(time, device=x.device)[:, None] < lengths
    starts = [None] * len(states) if hx is None else [*hx] if isinstance(hx, tuple | list) else [hx]
    before = [
        torch.cat([torch.zeros_like(state[:, :1]) if first is None else first.unsqueeze(1), state[:, :-1]], 1)
        for first, state in zip(starts, states, strict=True)
    ]
    direct = [torch.zeros_like(state) for state in states]
    series = torch.arange(batch, device=x.device)
    for delta, at_end in zip(direct, at_ends, strict=True):
        delta[:, lengths - 1, series] = at_end
    direct[0][-1] += torch.where(own.unsqueeze(-1), at_outputs, 0)
    return StepGradients(layer, torch.where(own.unsqueeze(-1), x, 0), lengths, before, direct, full)
