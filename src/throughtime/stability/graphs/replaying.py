"""A recurrent layer's call run again step by step, every edge of its graph a tensor.

Where a value is taken by several, each takes a view of its own: autograd then gives what flows back along that edge,
and the sum of them at the value itself. The norms are those of autograd, not of a formula of ours.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from throughtime.kernels import NO_NOISE, CellSpec, State, StepNoise, apply_zoneout
from throughtime.nn import layer_directions
from throughtime.stability.calls import RecurrentCall


@dataclass(eq=False)
class Step:
    """The tensors of one step of one layer in one direction.

    Attributes
    ----------
    x, before
        What the step takes: its input, and the states before it.
    computed
        The states as the cell computes them, (1, batch, unit).
    h, c
        h after zoneout; the cell's c as it goes on to the next step.
    above
        h as it goes into the outputs.
    """

    x: Tensor
    before: State
    computed: State
    h: Tensor
    c: Tensor | None
    above: Tensor


@dataclass(eq=False)
class Direction:
    """One layer in one direction.

    Attributes
    ----------
    weights
        By their names in the model.
    steps
        In the order of time.
    ends
        The states at each series' end of the run.
    returned
        The states at all steps as they go to whoever asked for them, (time, batch, unit).
    """

    layer: int
    reverse: bool
    weights: dict[str, nn.Parameter]
    steps: list[Step] = field(default_factory=list)
    ends: State = ()
    returned: State = ()


@dataclass(eq=False)
class Replay:
    """A call and its steps.

    Attributes
    ----------
    call
        With an input and initial states that gradients can be asked of.
    outputs
        What the layer gave, (time, batch, unit).
    """

    call: RecurrentCall
    directions: list[Direction]
    outputs: Tensor

    def as_returned(self) -> Any:
        """All that the layer gives, in the form that it gave it."""
        call, form = self.call, self.call.form
        ends = tuple(torch.stack(states) for states in zip(*(own.ends for own in self.directions), strict=True))
        if form.alone:
            ends = tuple(end.squeeze(1) for end in ends)
        steps = zip(*(own.returned for own in self.directions), strict=True)
        every = tuple(form.time_as_given(torch.where(call.running, torch.stack(states), 0)) for states in steps)
        found = (form.as_given(self.outputs, call.lengths), ends, every)[: len(call.given)]
        return found if isinstance(call.given[1], tuple) else (found[0], *(states[0] for states in found[1:]))


def replay(call: RecurrentCall, prefix: str) -> Replay:
    """Run the steps of a call; ``prefix`` is what the names of its weights begin with in the model."""
    layer, spec = call.layer, call.cell
    call = replace(call, x=_asked(call.x), start=tuple(_asked(state) for state in call.start))
    x, outputs, directions = call.x, list[Tensor](), list[Direction]()
    for depth, reverse in layer_directions(layer.num_layers, layer.bidirectional):
        if depth and not reverse:
            x, outputs = torch.cat(outputs, -1), []
        weights = _weights_of(layer, f"_l{depth}" + ("_reverse" if reverse else ""))
        own = Direction(depth, reverse, {prefix + key: weight for key, weight in weights.items()})
        initial = tuple(state[len(directions)] for state in call.start) or _zeros(layer, spec, x)
        outputs.append(_run_direction(own, call, weights, x, initial))
        directions.append(own)
    return Replay(call, directions, torch.cat(outputs, -1))


def _asked(tensor: Tensor) -> Tensor:
    return tensor if tensor.requires_grad else tensor.detach().requires_grad_()


def _weights_of(layer: Any, ending: str) -> dict[str, nn.Parameter]:
    return {name: getattr(layer, name) for name in layer._flat_weights_names if name.endswith(ending)}


def _zeros(layer: Any, spec: CellSpec, x: Tensor) -> State:
    """Initial states; they ask for gradients, so that the pass is recorded though no weight does."""
    widths = (layer.proj_size or layer.hidden_size, layer.hidden_size)[: len(spec.states)]
    return tuple(x.new_zeros(x.shape[1], width).requires_grad_() for width in widths)


def _run_direction(own: Direction, call: RecurrentCall, weights: dict[str, Any], x: Tensor, state: State) -> Tensor:
    time, spec = len(x), call.cell
    by_kind = {key.split("_l")[0]: weight for key, weight in weights.items()}
    w_ih, w_hh, w_hr = by_kind["weight_ih"], by_kind["weight_hh"], by_kind.get("weight_hr")
    per_unit = tuple(by_kind[key].expand(1, x.shape[1], -1) for key in spec.unit_weights)
    running, noise = call.running, _zoneout(call.layer, spec, x)
    found: list[tuple[Step, State]] = []
    for t in reversed(range(time)) if own.reverse else range(time):
        now = running[t]
        taken = torch.where(now, x[t], 0)
        before = tuple(s.view_as(s) for s in state)  # a series that has ended takes the state itself
        from_x = linear(taken, w_ih, by_kind.get("bias_ih"))[None]
        from_h = linear(before[0], w_hh, by_kind.get("bias_hh"))[None]
        # as the cell gives them, whose h is made of its c: a view of that c would not see what comes through h
        computed = spec.step(from_x, from_h, tuple(s[None] for s in before), per_unit, None)
        onward = tuple(s[0] for s in computed)
        if w_hr is not None:
            onward = (linear(onward[0], w_hr), *onward[1:])
        h, *c = apply_zoneout(noise, 0, before, onward)
        found.append((Step(taken, before, computed, h, onward[1] if c else None, h.view_as(h)), (h, *c)))
        state = tuple(torch.where(now, new, old) for new, old in zip((h, *c), state, strict=True))
    in_time = found[::-1] if own.reverse else found
    own.steps, own.ends = [step for step, _ in in_time], state
    own.returned = tuple(torch.stack(states) for states in zip(*(after for _, after in in_time), strict=True))
    return torch.where(running, torch.stack([step.above for step in own.steps]), 0)


def _zoneout(layer: Any, spec: CellSpec, x: Tensor) -> StepNoise:
    """What zoneout does in evaluation, its expectation; the other noise rests there."""
    rates = [getattr(layer, name, 0.0) for name in ("zoneout", "cell_zoneout")]
    if "zoneout_c" not in spec.noise:
        rates[1] = 0.0
    if not any(rates):
        return NO_NOISE
    h, c = (x.new_full((1, 1), rate) if rate else None for rate in rates)
    return StepNoise(zoneout_h=h, zoneout_c=c)
