"""One forward pass of a model with its recurrent layers run step by step, every edge of their graph a tensor.

Where a value is taken by several, each takes a view of its own: autograd then gives what flows back along that edge,
and the sum of them at the value itself. The norms are those of autograd, not of a formula of ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.errors import DataError, ParameterError
from throughtime.kernels import NO_NOISE, CellSpec, State, StepNoise, apply_zoneout
from throughtime.nn import RecurrentLayer
from throughtime.stability.calls import cell_of, evaluation

_BASES = (nn.RNN, nn.GRU, nn.LSTM, RecurrentLayer)


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
    """One layer in one direction: its steps, ordered in time, and its states at each series' end of the run."""

    layer: int
    reverse: bool
    weights: dict[str, nn.Parameter]
    steps: list[Step] = field(default_factory=list)
    ends: State = ()


@dataclass(eq=False)
class Call:
    """One call of a recurrent layer.

    Attributes
    ----------
    name
        Of the layer in the model.
    x, start, outputs
        What the layer was given and what it gave: (time, batch, channel), and initial states or none.
    linears
        Name, layer and outputs of the linear layers that were called before it, after the recurrent one before.
    """

    name: str
    spec: CellSpec
    x: Tensor
    start: State
    lengths: Int[Tensor, "batch"]
    directions: list[Direction]
    outputs: Tensor
    linears: list[tuple[str, nn.Linear, Tensor]] = field(default_factory=list)


@dataclass(eq=False)
class Trace:
    """One pass through a model: its recurrent layers' calls and then its linear layers', each in the order of time.

    Attributes
    ----------
    linears
        Those after the last recurrent layer.
    output
        What the model gave.
    """

    calls: list[Call] = field(default_factory=list)
    linears: list[tuple[str, nn.Linear, Tensor]] = field(default_factory=list)
    output: Any = None


def trace(model: nn.Module, x: Any) -> Trace:
    """Run a model in evaluation mode.

    Parameters
    ----------
    x
        What the model is called with; a tuple holds several arguments.

    Raises
    ------
    ParameterError
        For a model without recurrent layers that are called, and for one whose layers compute what is not known.
    DataError
        For inputs that the model refuses, or without steps.
    """
    found = Trace()
    layers = [(name, part) for name, part in model.named_modules() if isinstance(part, _BASES)]
    if not layers:
        raise ParameterError(
            f"unroll needs a model with recurrent layers (RNN, GRU, LSTM of torch or throughtime), got "
            f"{type(model).__name__} without any; layer_graph draws networks of linear layers"
        )
    for name, part in layers:
        if not any(type(part).forward is base.forward for base in _BASES):
            raise ParameterError(
                f"unroll needs recurrent layers with torch's or throughtime's own forward, got "
                f"{type(part).__name__} at {name!r}, which has another"
            )
    hooks: list[Any] = [
        part.register_forward_hook(partial(_replay, found, name), with_kwargs=True) for name, part in layers
    ]
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear):
            hooks.append(part.register_forward_hook(partial(_note, found, name)))
    given = x if isinstance(x, tuple) and not isinstance(x, PackedSequence) else (x,)
    try:
        with evaluation(model), torch.enable_grad():
            found.output = model(*given)
    except (ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, ParameterError | DataError):
            raise
        shapes = ", ".join(str(tuple(part.shape)) for part in given if isinstance(part, Tensor))
        raise DataError(
            f"x needs to be what {type(model).__name__} takes, got {shapes or type(x).__name__}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if not found.calls:
        raise ParameterError(
            f"unroll needs a model that calls its recurrent layers, got {type(model).__name__}, which does not"
        )
    return found


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The tensors of real numbers in what a model gave."""
    if isinstance(output, PackedSequence):
        output = output.data
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from tensors_in(part)
    elif isinstance(output, dict):
        yield from tensors_in(list(output.values()))


def _note(found: Trace, name: str, layer: nn.Linear, _args: Any, output: Tensor) -> Tensor:
    own = output.view_as(output)  # an activation in place would overwrite the layer's own
    found.linears.append((name, layer, own))
    return own


def _replay(found: Trace, name: str, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """A layer's outputs again, step by step, in the form that it gave them."""
    given = dict(zip(("input", "hx", "lengths", "return_states"), args, strict=False)) | kwargs
    if given.get("return_states"):
        raise ParameterError(
            f"unroll needs layers called without return_states, got {type(layer).__name__} at {name!r}"
        )
    x, hx = given["input"], given.get("hx")
    packed, lengths = isinstance(x, PackedSequence), given.get("lengths")
    alone = not packed and x.dim() == 2
    if packed:
        padded, lengths = pad_packed_sequence(x)
    else:
        padded = x.unsqueeze(1) if alone else x.transpose(0, 1) if layer.batch_first else x
    time, batch, _ = padded.shape
    if time == 0 or batch == 0:
        raise DataError(f"x needs at least one series of one step, got {batch} series of {time} steps")
    lengths = torch.full((batch,), time) if lengths is None else torch.as_tensor(lengths).reshape(-1)
    start = () if hx is None else tuple(hx) if isinstance(hx, tuple) else (hx,)
    call = run(name, layer, padded, lengths.to(padded.device), tuple(s.unsqueeze(1) if alone else s for s in start))
    call.linears, found.linears = found.linears, []
    found.calls.append(call)

    ends = tuple(torch.stack(states) for states in zip(*(d.ends for d in call.directions), strict=True))
    y: Any = call.outputs
    if packed:
        order = x.sorted_indices
        y = y if order is None else y.index_select(1, order)
        in_order = lengths if order is None else lengths[order.cpu()]
        data = pack_padded_sequence(y, in_order.cpu())
        y = PackedSequence(data.data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    elif alone:
        y, ends = y.squeeze(1), tuple(end.squeeze(1) for end in ends)
    elif layer.batch_first:
        y = y.transpose(0, 1)
    return y, ends if isinstance(output[1], tuple) else ends[0]


def run(
    name: str, layer: Any, x: Float[Tensor, "time batch channel"], lengths: Tensor, start: Sequence[Tensor]
) -> Call:
    """Run a recurrent layer step by step; the arguments are in torch's order of axes."""
    spec = cell_of(layer)
    taken = x = x if x.requires_grad else x.detach().requires_grad_()
    directions: list[Direction] = []
    for depth in range(layer.num_layers):
        outputs = []
        for reverse in (False, True)[: 1 + layer.bidirectional]:
            place = len(directions)
            weights = _weights_of(layer, f"_l{depth}" + ("_reverse" if reverse else ""))
            own = Direction(depth, reverse, {f"{name}.{key}" if name else key: w for key, w in weights.items()})
            initial = tuple(state[place] for state in start) or _zeros(layer, spec, x)
            outputs.append(_run_direction(own, layer, spec, weights, x, lengths, initial))
            directions.append(own)
        x = torch.cat(outputs, -1)
    return Call(name, spec, taken, tuple(start), lengths, directions, x)


def _weights_of(layer: Any, ending: str) -> dict[str, nn.Parameter]:
    return {name: getattr(layer, name) for name in layer._flat_weights_names if name.endswith(ending)}


def _zeros(layer: Any, spec: CellSpec, x: Tensor) -> State:
    """Initial states; they ask for gradients, so that the pass is recorded though no weight does."""
    widths = (layer.proj_size or layer.hidden_size, layer.hidden_size)[: len(spec.states)]
    return tuple(x.new_zeros(x.shape[1], width).requires_grad_() for width in widths)


def _run_direction(
    own: Direction, layer: Any, spec: CellSpec, weights: dict[str, Any], x: Tensor, lengths: Tensor, state: State
) -> Tensor:
    time = x.shape[0]
    by_kind = {key.split("_l")[0]: weight for key, weight in weights.items()}
    w_ih, w_hh, w_hr = by_kind["weight_ih"], by_kind["weight_hh"], by_kind.get("weight_hr")
    per_unit = tuple(by_kind[key].expand(1, x.shape[1], -1) for key in spec.unit_weights)
    running = (torch.arange(time, device=x.device)[:, None] < lengths).unsqueeze(-1)
    noise = _zoneout(layer, spec, x)
    steps: list[Step | None] = [None] * time
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
        steps[t] = Step(taken, before, computed, h, onward[1] if c else None, h.view_as(h))
        state = tuple(torch.where(now, new, old) for new, old in zip((h, *c), state, strict=True))
    own.steps = [step for step in steps if step is not None]
    own.ends = state
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
