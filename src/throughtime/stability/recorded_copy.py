"""A model run on a copy whose recurrent layers record which gradients reach their states."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.kernels import DeltaNorms
from throughtime.nn import RecordedCall, layer_directions
from throughtime.stability.calls import Lengths, RecurrentCall, run_model
from throughtime.stability.model_copies import copy_of


@dataclass(frozen=True, eq=False)
class Place:
    """One direction of one layer of one call.

    Attributes
    ----------
    call
        What the module was called with.
    layer, reverse
        Which of its layers, and whether the reverse direction.
    number
        Its place among the layers and directions of the module.
    recorded
        What the module left of the call; packed series are sorted there.
    """

    call: RecurrentCall
    layer: int
    reverse: bool
    number: int
    recorded: RecordedCall

    @property
    def module(self) -> str:
        """The module's name in the model; its class for a layer that is the model."""
        return self.call.name

    @property
    def deltas(self) -> DeltaNorms:
        """What the backward pass fills in."""
        return self.recorded.deltas[self.number]

    @property
    def label(self) -> str:
        """In words."""
        return self.call.label(self.layer, self.reverse)

    def in_order(self, norms: Tensor) -> Tensor:
        """What was recorded (time, series) with the series in their own order."""
        order = self.call.form.order
        return norms if order is None else norms[:, order]


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A forward pass of the copy: what it gave, its parameters by name, and the places in the order of the calls."""

    output: Any
    parameters: dict[str, Tensor]
    places: list[Place]


@contextmanager
def recorded_run(model: nn.Module, x: Any, lengths: Lengths, dtype: torch.dtype | None) -> Iterator[RecordedRun]:
    """Run a model forward for a backward pass, which happens inside the block.

    Parameters
    ----------
    x
        What the model is called with: a tensor, a ``PackedSequence``, or a tuple of arguments.
    lengths
        Handed on by that name, where given.
    dtype
        What model and inputs are computed in; by default what they are in.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, or that cannot be copied.
    DataError
        For what the model does not take, and NaN or infinity in what a recurrent layer reads.
    """
    with copy_of(model, x, dtype) as (copied, layers, given):
        for layer in layers.values():
            layer.recorded = []
        places: list[Place] = []

        def note(call: RecurrentCall) -> None:
            recorded = call.layer.recorded[-1]
            pairs = layer_directions(call.layer.num_layers, call.layer.bidirectional)
            places.extend(Place(call, *pair, number, recorded) for number, pair in enumerate(pairs))

        output = run_model(copied, given, lengths, layers, note)
        yield RecordedRun(output, dict(copied.named_parameters()), places)
