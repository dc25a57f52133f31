"""One forward pass of a model with its recurrent layers replayed step by step, and its linear layers noted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from throughtime.stability.calls import Lengths, RecurrentCall, detached, evaluation, run_model
from throughtime.stability.graphs.replaying import Direction, Replay, replay
from throughtime.stability.layers import recurrent_layers


class LinearCall(NamedTuple):
    """What a linear layer gave; the model's own name is empty."""

    name: str
    layer: nn.Linear
    output: Tensor

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """By their names in the model."""
        return {f"{self.name}.{key}" if self.name else key: weight for key, weight in self.layer.named_parameters()}


class Place(NamedTuple):
    """A layer in a direction: which call of a recurrent layer, and its number through all of them."""

    replay: Replay
    direction: Direction
    layer: int

    @property
    def key(self) -> str:
        """How the names of its nodes begin."""
        return f"l{self.layer}{'r' if self.direction.reverse else ''}"


@dataclass(eq=False)
class Trace:
    """One pass through a model.

    Attributes
    ----------
    replays
        Of the calls of recurrent layers, in the order of time.
    between
        For each of them the linear layers that were called before it, after the recurrent one before.
    linears
        Those after the last recurrent layer.
    output
        What the model gave.
    """

    replays: list[Replay] = field(default_factory=list)
    between: list[list[LinearCall]] = field(default_factory=list)
    linears: list[LinearCall] = field(default_factory=list)
    output: Any = None

    def places(self) -> Iterator[Place]:
        """Every layer and direction."""
        below = 0
        for replayed in self.replays:
            for direction in replayed.directions:
                yield Place(replayed, direction, below + direction.layer)
            below += replayed.call.layer.num_layers


def trace(model: nn.Module, x: Any, lengths: Lengths = None) -> Trace:
    """Run a model in evaluation mode.

    Parameters
    ----------
    x
        What the model is called with; a tuple holds several arguments.
    lengths
        Steps of each series, handed on by that name.

    Raises
    ------
    ParameterError
        For a model without recurrent layers that are called, and for one whose layers compute what is not known.
    DataError
        For inputs that the model refuses, without steps, or that are not finite where a recurrent layer reads them.
    """
    found = Trace()
    layers = recurrent_layers(model, every=True)
    prefixes = {layer: f"{name}." if name else "" for name, layer in layers.items()}

    def again(call: RecurrentCall) -> Any:
        found.replays.append(replay(call, prefixes[call.layer]))
        found.between.append(found.linears)
        found.linears = []
        return found.replays[-1].as_returned()

    linears = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    hooks = [part.register_forward_hook(partial(_note, found, name)) for name, part in linears]
    try:
        with evaluation(model), torch.inference_mode(False), torch.enable_grad():
            found.output = run_model(model, detached(x), lengths, layers, again)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _note(found: Trace, name: str, layer: nn.Linear, _args: Any, output: Tensor) -> Tensor:
    own = output.view_as(output)  # an activation in place would overwrite the layer's own
    found.linears.append(LinearCall(name, layer, own))
    return own
