"""Nodes of the recurrent layers: ONNX's operators where they compute the same, else `Scan` and the cell's equations."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.export.contents import Cell, Contents
from throughtime.export.onnx_inputs import NetworkInputs
from throughtime.export.onnx_nodes import Graph, Operand, States


class _Operator(NamedTuple):
    """An operator of ONNX: the order of its gates, by torch's numbers, its activation, and its peepholes' weights."""

    op: str
    gates: tuple[int, ...]
    activation: str | None = None
    peepholes: tuple[str, ...] = ()


# An LSTM's order is i, o, f, c, a GRU's z, r, h: https://onnx.ai/onnx/operators/onnx__LSTM.html
_OPERATORS: Mapping[Cell, _Operator] = {
    "rnn_tanh": _Operator("RNN", (0,), "Tanh"),
    "rnn_relu": _Operator("RNN", (0,), "Relu"),
    "linear": _Operator("RNN", (0,), "Affine"),
    "gru": _Operator("GRU", (1, 0, 2)),
    "lstm": _Operator("LSTM", (0, 3, 1, 2)),
    "peephole_lstm": _Operator("LSTM", (0, 3, 1, 2), peepholes=("weight_ci", "weight_co", "weight_cf")),
}


class LayerOutputs(NamedTuple):
    """What the last layer gives.

    Attributes
    ----------
    steps
        (time, batch, direction * unit); beyond a series' end it means nothing.
    last
        (batch, direction * unit), of each direction at its own end.
    """

    steps: str
    last: str


def recurrent_layers(graph: Graph, states: States, contents: Contents, read: NetworkInputs) -> LayerOutputs:
    """All layers, one on the other."""
    # The operators of ONNX Runtime compute in float32 alone, and know no zoneout.
    has_operator = contents.dtype == np.float32 and not (contents.zoneout or contents.cell_zoneout)
    layer = _by_operator if has_operator else _by_equations
    values, last = read.values, ""
    for number in range(contents.num_layers):
        values, last = layer(graph, states, contents, read, values, number)
    return LayerOutputs(values, last)


def _by_operator(
    graph: Graph, states: States, contents: Contents, read: NetworkInputs, x: str, layer: int
) -> tuple[str, str]:
    """One layer in all its directions."""
    operator = _OPERATORS[contents.cell]
    places = [_Place(contents, layer, reverse) for reverse in (False, True)[: 1 + contents.bidirectional]]

    def of_gates(*names: str) -> Float[ndarray, "direction *shape"]:
        return np.stack([np.concatenate([place.by_gate(name)[list(operator.gates)].reshape(
            -1, *place.weight(name).shape[1:]) for name in names]) for place in places])  # fmt: skip

    matrices = of_gates("weight_ih"), of_gates("weight_hh"), of_gates("bias_ih", "bias_hh")
    weights = [
        graph.constant(values, f"{name}_l{layer}") for name, values in zip(("W", "R", "B"), matrices, strict=True)
    ]
    names = [f"{state}{layer}" for state in _states_of(contents)]
    before = [states.read(name, contents.dtype, contents.hidden_size) for name in names]
    starts = (
        [graph.add("Unsqueeze", state, np.array([0])) for state in before] if states.streaming else [""] * len(before)
    )
    peepholes: list[Operand] = []
    if operator.peepholes:
        peepholes = [
            np.stack([np.concatenate([place.weight(name) for name in operator.peepholes]) for place in places])
        ]
    attributes = {
        "hidden_size": contents.hidden_size,
        "direction": "bidirectional" if contents.bidirectional else "forward",
    }
    if operator.activation is not None:
        attributes["activations"] = [operator.activation] * len(places)
    if operator.activation == "Affine":
        attributes |= {"activation_alpha": [1.0] * len(places), "activation_beta": [0.0] * len(places)}
    if contents.cell == "gru":
        attributes["linear_before_reset"] = 1
    y, *ends = graph.add_many(
        operator.op,
        1 + len(names),
        x,
        *weights,
        graph.cast(read.lengths, np.int32),
        *(starts if states.streaming or peepholes else []),
        *peepholes,
        **attributes,
    )
    # direction before batch
    width = contents.hidden_size * len(places)
    steps = graph.add("Reshape", graph.add("Transpose", y, perm=[0, 2, 1, 3]), np.array([0, 0, width]))
    if not states.streaming:
        return steps, graph.add("Reshape", graph.add("Transpose", ends[0], perm=[1, 0, 2]), np.array([0, width]))
    # of a series without a step in this call the operator gives zeros
    some = graph.add("Unsqueeze", graph.add("Less", np.int64(0), read.lengths), np.array([1]))
    held = [
        graph.add("Where", some, graph.add("Squeeze", end, np.array([0])), old)
        for end, old in zip(ends, before, strict=True)
    ]
    for name, state in zip(names, held, strict=True):
        states.keep(name, state)
    return steps, held[0]


def _by_equations(
    graph: Graph, states: States, contents: Contents, read: NetworkInputs, x: str, layer: int
) -> tuple[str, str]:
    """One layer in all its directions, a step at a time."""
    dtype = contents.dtype
    running = graph.add("Unsqueeze", graph.add("Transpose", read.inside, perm=[1, 0]), np.array([2]))
    outputs, last = [], []
    for reverse in (False, True)[: 1 + contents.bidirectional]:
        place = _Place(contents, layer, reverse)
        product = graph.add("MatMul", x, place.weight("weight_ih").T)
        from_x = graph.add("Add", product, place.weight("bias_ih"))
        names = [f"{state}{layer}" + ("_reverse" if reverse else "") for state in _states_of(contents)]
        before = [states.read(name, dtype, contents.hidden_size) for name in names]

        def step(body: Graph, old: list[str], now: list[str], place: _Place = place) -> tuple[list[str], list[str]]:
            product = body.add("MatMul", old[0], place.weight("weight_hh").T)
            from_h = body.add("Add", product, place.weight("bias_hh"))
            new = _EQUATIONS[contents.cell](body, place, now[0], from_h, old)
            rates = contents.zoneout, contents.cell_zoneout
            new = [_zoned_out(body, dtype.type(rate), *pair) for rate, *pair in zip(rates, old, new, strict=False)]
            kept = [body.add("Where", now[1], *pair) for pair in zip(new, old, strict=True)]
            return kept, kept[:1]

        *ends, y = graph.scan(
            step,
            [(state, dtype) for state in before],
            [(from_x, dtype), (running, np.bool_)],
            dtype,
            reverse=reverse,
        )
        for name, end in zip(names, ends, strict=True):
            states.keep(name, end)
        outputs.append(y)
        last.append(ends[0])
    if len(outputs) == 1:
        return outputs[0], last[0]
    return graph.add("Concat", *outputs, axis=2), graph.add("Concat", *last, axis=1)


def _states_of(contents: Contents) -> tuple[str, ...]:
    """Names of the cell's states."""
    return ("h", "c") if contents.cell in ("lstm", "peephole_lstm") else ("h",)


class _Place(NamedTuple):
    """A layer in one direction."""

    contents: Contents
    layer: int
    reverse: bool

    def weight(self, name: str) -> Float[ndarray, "..."]:
        """Weights by torch's name without its ending."""
        ending = f"_l{self.layer}" + ("_reverse" if self.reverse else "")
        return self.contents.weights[f"recurrent.{name}{ending}"]

    def by_gate(self, name: str) -> Float[ndarray, "gate unit ..."]:
        """The same, gate by gate."""
        weight = self.weight(name)
        by_gate: ndarray = weight.reshape(-1, self.contents.hidden_size, *weight.shape[1:])
        return by_gate


def _zoned_out(body: Graph, rate: np.floating, old: str, new: str) -> str:
    if not rate:
        return new
    return body.add("Add", body.add("Mul", rate, old), body.add("Mul", 1 - rate, new))


def _elman(activation: str | None) -> Callable[..., list[str]]:
    def step(body: Graph, place: _Place, from_x: str, from_h: str, old: list[str]) -> list[str]:  # noqa: ARG001
        h = body.add("Add", from_x, from_h)
        return [h if activation is None else body.add(activation, h)]

    return step


def _gru(body: Graph, place: _Place, from_x: str, from_h: str, old: list[str]) -> list[str]:  # noqa: ARG001
    """``h' = n + z (h - n)`` with ``n = tanh(W x + r (U h))``."""
    x_r, x_z, x_n = body.add_many("Split", 3, from_x, axis=-1)
    h_r, h_z, h_n = body.add_many("Split", 3, from_h, axis=-1)
    r = body.add("Sigmoid", body.add("Add", x_r, h_r))
    z = body.add("Sigmoid", body.add("Add", x_z, h_z))
    n = body.add("Tanh", body.add("Add", x_n, body.add("Mul", r, h_n)))
    return [body.add("Add", n, body.add("Mul", z, body.add("Sub", old[0], n)))]


def _lstm(body: Graph, place: _Place, from_x: str, from_h: str, old: list[str]) -> list[str]:
    """``c' = f c + i g``, ``h' = o tanh(c')``; through peepholes i and f see ``c``, o sees ``c'``."""
    i, f, g, o = body.add_many("Split", 4, body.add("Add", from_x, from_h), axis=-1)

    def gate(value: str, name: str, cell: str) -> str:
        if place.contents.cell == "peephole_lstm":
            value = body.add("Add", value, body.add("Mul", place.weight(name), cell))
        return body.add("Sigmoid", value)

    kept = body.add("Mul", gate(f, "weight_cf", old[1]), old[1])
    c = body.add("Add", kept, body.add("Mul", gate(i, "weight_ci", old[1]), body.add("Tanh", g)))
    return [body.add("Mul", gate(o, "weight_co", c), body.add("Tanh", c)), c]


#: ``(body, place, W x + b, U h + b, states) -> new states``, with torch's order of gates.
_EQUATIONS: Mapping[Cell, Callable[..., list[str]]] = {
    "rnn_tanh": _elman("Tanh"),
    "rnn_relu": _elman("Relu"),
    "linear": _elman(None),
    "gru": _gru,
    "lstm": _lstm,
    "peephole_lstm": _lstm,
}
