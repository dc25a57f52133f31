"""The network the estimators train: standardize, recurrent layers, pool, linear output layer.

Its weights carry a member axis while they train; one member's weights make a plain torch module.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, singledispatch
from itertools import zip_longest
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.errors import ParameterError
from throughtime.kernels import (
    CELLS,
    CellSpec,
    DeltaNorms,
    Kind,
    StepNoise,
    find_cell,
    ordered_sum,
    output_layer,
    output_layer_over_time,
    standardize,
)
from throughtime.nn.initializers import draw_bias, draw_layers, draw_matrix, generator_of
from throughtime.nn.layers import RecurrentLayer, layer_of
from throughtime.nn.noise import NoiseRates
from throughtime.nn.recurrence import Start, by_place, ending, layer_directions, run_layers, weight_names
from throughtime.nn.schemes import Init, scheme_of
from throughtime.nn.unrolled import States
from throughtime.parameters import CellName, Nonlinearity

Pooling = Literal["last", "mean", "max", "steps"]


class Net:
    """What fixes the shapes of a network's weights; members that train together have the same.

    An ``Architecture``, or a ``throughtime.nn.factory.FactoryNetwork``; each has its own kind of the functions below.
    """

    n_inputs: int
    n_outputs: int
    pooling: Pooling


@dataclass(frozen=True)
class Architecture(Net):
    """The built-in network: recurrent layers, pooling, linear output layer.

    ``pooling="steps"`` gives an output at each step, the others one per series.

    Raises
    ------
    ParameterError
        For a nonlinearity that the cell does not have, and for a cell that cannot be told from one of the package or
        asks for inputs that no layer has.
    """

    cell: CellName | CellSpec
    n_inputs: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: Pooling
    n_outputs: int
    nonlinearity: Nonlinearity = "tanh"

    def __post_init__(self) -> None:
        if not isinstance(self.cell, CellSpec | str):
            raise ParameterError(f"cell needs one of {', '.join(get_args(CellName))} or a CellSpec, got {self.cell!r}")
        shown = self.cell if isinstance(self.cell, str) else self.cell.name
        if self.nonlinearity != "tanh" and self.cell != "rnn":
            raise ParameterError(f"nonlinearity={self.nonlinearity!r} needs cell='rnn', got cell={shown!r}")
        if isinstance(self.cell, CellSpec):
            name = self.cell.name
            if name in get_args(CellName) and self.cell != CELLS.get(name):
                raise ParameterError(f"a cell of your own needs a name of its own, got {name!r}, which is one of ours")
            if self.cell.inputs != ("value",):
                raise ParameterError(f"cell {name} needs {', '.join(self.cell.inputs)}, got a network that feeds value")

    @property
    def kind(self) -> Kind | None:
        """The cell's kernel in C++, if it has one."""
        return self.spec.native

    @property
    def spec(self) -> CellSpec:
        """The cell."""
        return find_cell(f"rnn_{self.nonlinearity}" if self.cell == "rnn" else self.cell)


@singledispatch
def weight_shapes(net: Net) -> dict[str, tuple[int, ...]]:
    """Name and shape of every trained tensor, in the order of ``SequenceNetwork.named_parameters``."""
    raise TypeError(f"net needs an Architecture or a FactoryNetwork, got {net!r}")


@weight_shapes.register(Architecture)
def _(net: Architecture) -> dict[str, tuple[int, ...]]:
    cell = net.spec
    rows = len(cell.gates) * net.hidden_size
    width = net.hidden_size * (1 + net.bidirectional)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(net.num_layers):
        columns = net.n_inputs if layer == 0 else width
        for reverse in (False, True)[: 1 + net.bidirectional]:
            for name, shape in zip(
                weight_names(layer, reverse),
                ((rows, columns), (rows, net.hidden_size), (rows,), (rows,)),
                strict=True,
            ):
                shapes["recurrent." + name] = shape
            for name in cell.unit_weights:
                shapes["recurrent." + name + ending(layer, reverse)] = (net.hidden_size,)
    shapes["readout.weight"] = (net.n_outputs, width)
    shapes["readout.bias"] = (net.n_outputs,)
    return shapes


def is_bias(name: str) -> bool:
    """Whether a trained tensor is a bias: biases are not penalized."""
    return name.rpartition(".")[2].startswith("bias")


@singledispatch
def initial_weights(net: Net, init: Init, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """One member's weights as they start, from its own seed.

    The output layer starts as the layers' input weights do, with a bias of zero, or torch's with torch's.
    """
    raise TypeError(f"net needs an Architecture or a FactoryNetwork, got {net!r}")


@initial_weights.register(Architecture)
def _(net: Architecture, init: Init, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    scheme, generator = scheme_of(init), generator_of(seed)
    shapes = {name.removeprefix("recurrent."): shape for name, shape in weight_shapes(net).items()}
    places = by_place(shapes, net.num_layers, net.bidirectional)
    drawn = draw_layers(net.spec, places, 1 + net.bidirectional, scheme, generator)
    ends = [ending(*place) for place in layer_directions(net.num_layers, net.bidirectional)]
    weights = {
        f"recurrent.{name}{end}": weight for end, part in zip(ends, drawn, strict=True) for name, weight in part.items()
    }
    last = shapes["readout.weight"]
    weights["readout.weight"] = draw_matrix(scheme.input, last, last[1], generator)
    weights["readout.bias"] = draw_bias(scheme.biases, last[1], last[0], generator)
    return {name: weight.to(dtype) for name, weight in weights.items()}


def pool(
    pooling: Pooling,
    y: Float[Tensor, "member time batch feature"],
    h_n: Float[Tensor, "member layer_direction batch unit"],
    lengths: Int[Tensor, "member batch"],
    directions: int,
) -> Tensor:
    """What the output layer is given: (member, batch, feature), or (member, time, batch, feature) for steps."""
    if pooling == "steps":
        return y
    if pooling == "last":  # of the last layer, each direction where the series itself ends
        return torch.cat(h_n[:, -directions:].unbind(1), -1)
    if pooling == "mean":
        return ordered_sum(y, 1) / lengths.unsqueeze(-1)
    beyond = torch.arange(y.shape[1], device=y.device)[:, None] >= lengths[:, None]
    return y.masked_fill(beyond.unsqueeze(-1), -torch.inf).amax(1)


@singledispatch
def forward(
    net: Net,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    masks: Sequence[Tensor | None] = (),
    input_masks: Sequence[Float[Tensor, "member 1 batch _"]] = (),
    noise: Sequence[StepNoise] = (),
    deltas: Sequence[DeltaNorms] = (),
    segment: int | None = None,
) -> Tensor:
    """All members' outputs, (member, batch, output), or (member, time, batch, output) with an output per step.

    Parameters
    ----------
    x
        Standardized inputs.
    masks
        Dropout already drawn: one per layer, the last on what is handed to the output layer.
    input_masks
        Variational dropout already drawn: what each layer's inputs are multiplied with, the same at every step.
    noise
        What acts inside the steps, for each layer and direction.
    deltas
        Take the norms of the gradients at the states, for each layer and direction of the built-in network.
    segment
        Checkpointed BPTT of the built-in network: the backward pass runs segments of so many steps forward again, and
        of each layer and direction are kept its inputs and the states between the segments. Same bits.
    """
    raise TypeError(f"net needs an Architecture or a FactoryNetwork, got {net!r}")


@forward.register(Architecture)
def _(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    masks: Sequence[Tensor | None] = (),
    input_masks: Sequence[Float[Tensor, "member 1 batch _"]] = (),
    noise: Sequence[StepNoise] = (),
    deltas: Sequence[DeltaNorms] = (),
    segment: int | None = None,
) -> Tensor:
    y, (h_n, *_) = run_recurrence(
        net, weights, x, lengths, masks=masks, input_masks=input_masks, noise=noise, deltas=deltas, segment=segment
    )
    features = pool(net.pooling, y, h_n, lengths, 1 + net.bidirectional)
    return read_out(net, weights, features, masks)


def run_recurrence(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    *,
    start: Start | None = None,
    masks: Sequence[Tensor | None] = (),
    input_masks: Sequence[Float[Tensor, "member 1 batch _"]] = (),
    noise: Sequence[StepNoise] = (),
    deltas: Sequence[DeltaNorms] = (),
    segment: int | None = None,
) -> tuple[Float[Tensor, "member _ batch feature"], States]:
    """The last layer's outputs at every step, none where only the last state is read, and all final states.

    ``start`` holds initial states, in the form of the final ones; the others are those of ``forward``.
    """
    layers = {name.removeprefix("recurrent."): w for name, w in weights.items() if name.startswith("recurrent.")}
    between = list(masks[: net.num_layers - 1])
    if input_masks:
        x = x * input_masks[0]
        between = [own if mask is None else mask * own for mask, own in zip_longest(between, input_masks[1:])]
    return run_layers(
        net.spec,
        layers,
        x,
        lengths,
        num_layers=net.num_layers,
        bidirectional=net.bidirectional,
        start=start,
        masks=between,
        noise=noise,
        deltas=deltas,
        segment=segment,
        outputs=net.pooling != "last",
    )


def read_out(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    features: Float[Tensor, "member ... feature"],
    masks: Sequence[Tensor | None] = (),
) -> Float[Tensor, "member ... output"]:
    """The outputs of what `pool` gives; the last of the masks is that of the features."""
    if masks and (mask := masks[-1]) is not None:
        features = features * mask
    last = weights["readout.weight"], weights["readout.bias"]
    return output_layer_over_time(features, *last) if net.pooling == "steps" else output_layer(features, *last)


class Standardizing(nn.Module):
    """A module on raw series: what it knows of their channels stays in float64, whatever its weights are cast to.

    In float32 a mean of 1e8 is off by up to 4, which the values, once it is subtracted, may not be larger than.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(n_inputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_inputs, dtype=torch.float64))

    def standardized(self, x: Tensor, lengths: Tensor, dtype: torch.dtype) -> Tensor:
        """Raw inputs (batch, time, channel) of any precision as the layers take them."""
        whole = standardize(x.transpose(0, 1)[None], lengths[None], self.shift[None], self.scale[None])
        return whole[0].to(dtype).transpose(0, 1)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> nn.Module:
        held = {name: self._buffers[name] for name in ("shift", "scale")}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in held.items():
            cast = self._buffers[name]
            if before is not None and cast is not None and cast.dtype != before.dtype:
                self._buffers[name] = before.to(cast.device)
        return self


class SequenceNetwork(Standardizing):
    """One trained member as a plain torch module: ``(x, lengths) -> outputs``.

    Parameters
    ----------
    net
        The shapes.
    dropout
        Dropout probability after each layer, in training mode.
    noise
        The rates of the layers' other noise; zoneout acts in evaluation too.
    """

    def __init__(
        self, net: Architecture, dropout: float = 0.0, dtype: torch.dtype | None = None, noise: NoiseRates | None = None
    ) -> None:
        super().__init__(net.n_inputs)
        self.net, self.noise = net, noise or NoiseRates()
        self.recurrent: nn.Module = layer_of(
            net.spec,
            net.n_inputs,
            net.hidden_size,
            net.num_layers,
            batch_first=True,
            dropout=dropout if net.num_layers > 1 else 0.0,  # between layers; torch warns where there is no between
            bidirectional=net.bidirectional,
            dtype=dtype,
            **self.noise,
        )
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(net.hidden_size * (1 + net.bidirectional), net.n_outputs, dtype=dtype)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs (batch, output), or (batch, time, output) with an output per step.

        Parameters
        ----------
        x
            Raw inputs (batch, time, channel), float32 or float64 whatever the weights are; NaN is taken as missing.
        lengths
            Steps of each series; all of them by default.
        """
        batch, time, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), time, device=x.device)
        y, end = self._recur(self.standardized(x, lengths, self.readout.weight.dtype), lengths)
        h_n = end[0] if isinstance(end, tuple) else end
        by_time = y.transpose(0, 1)[None]
        features = self.dropout(
            pool(self.net.pooling, by_time, h_n[None], lengths[None], 1 + self.net.bidirectional)[0]
        )
        outputs: Tensor = self.readout(features)
        return outputs.transpose(0, 1) if self.net.pooling == "steps" else outputs

    def _recur(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        """Outputs (batch, time, feature) and final states, of our layer or of torch's."""
        if isinstance(self.recurrent, RecurrentLayer):
            return cast(tuple[Tensor, Any], self.recurrent(x, lengths=lengths))
        # torch's, after ``convert``, knows ragged series only packed
        packed, end = self.recurrent(pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False))
        y, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        return y, end

    def extra_repr(self) -> str:
        """The shapes."""
        return ", ".join(f"{field.name}={getattr(self.net, field.name)!r}" for field in fields(self.net))


@singledispatch
def plain_module(net: Net, dropout: float, noise: NoiseRates, dtype: torch.dtype | None) -> nn.Module:
    """One member's network as a module of its own; its weights are still to be loaded."""
    raise TypeError(f"net needs an Architecture or a FactoryNetwork, got {net!r}")


@plain_module.register(Architecture)
def _(net: Architecture, dropout: float, noise: NoiseRates, dtype: torch.dtype | None) -> nn.Module:
    return _copied(_pattern(net, dropout, tuple(sorted(noise.items())), dtype or torch.get_default_dtype()))


def _copied(module: nn.Module) -> nn.Module:
    """Copy a module of ours, its weights not filled; to build it, or ``deepcopy``, takes as long as a small fold.

    A weight that is ``None`` or needs no gradient would not be copied as such; ``SequenceNetwork`` has none.
    """
    own = {name: value.copy() if isinstance(value, dict | set) else value for name, value in vars(module).items()}
    own["_parameters"] = {name: nn.Parameter(torch.empty_like(w)) for name, w in module.named_parameters(recurse=False)}
    own["_buffers"] = {name: torch.empty_like(values) for name, values in module.named_buffers(recurse=False)}
    own["_modules"] = {name: _copied(child) for name, child in module.named_children()}
    copy = module.__new__(type(module))
    copy.__dict__.update(own)
    return copy


@lru_cache(maxsize=32)
def _pattern(
    net: Architecture, dropout: float, rates: tuple[tuple[str, object], ...], dtype: torch.dtype
) -> SequenceNetwork:
    with torch.random.fork_rng(devices=[]):  # the weights are not wanted, nor is torch's generator to move on
        return SequenceNetwork(net, dropout, dtype, cast(NoiseRates, dict(rates)))
