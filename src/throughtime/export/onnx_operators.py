"""Nodes of a recurrent layer by ONNX's own operators RNN, GRU and LSTM.

https://onnx.ai/onnx/operators/onnx__LSTM.html and its neighbors have the equations; gates are in another order there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.export.contents import Cell, Contents
from throughtime.export.onnx_inputs import NetworkInputs
from throughtime.export.onnx_layer import LayerDirection, directions_of
from throughtime.export.onnx_nodes import Graph, States


class _Operator(NamedTuple):
    """An operator: the order of its gates, by torch's numbers, its attributes in each direction, its peepholes."""

    op: str
    gates: tuple[int, ...]
    by_direction: Mapping[str, Any] = {}
    attributes: Mapping[str, Any] = {}
    peepholes: tuple[str, ...] = ()


_OPERATORS: Mapping[Cell, _Operator] = {
    "rnn_tanh": _Operator("RNN", (0,), {"activations": "Tanh"}),
    "rnn_relu": _Operator("RNN", (0,), {"activations": "Relu"}),
    "linear": _Operator("RNN", (0,), {"activations": "Affine", "activation_alpha": 1.0, "activation_beta": 0.0}),
    "gru": _Operator("GRU", (1, 0, 2), attributes={"linear_before_reset": 1}),
    "lstm": _Operator("LSTM", (0, 3, 1, 2)),
    "peephole_lstm": _Operator("LSTM", (0, 3, 1, 2), peepholes=("weight_ci", "weight_co", "weight_cf")),
}


def has_operator(contents: Contents) -> bool:
    """Whether ONNX Runtime's operators compute the layers: in float32 alone, and they know no zoneout."""
    return contents.dtype == np.float32 and not (contents.zoneout or contents.cell_zoneout)


def layer_by_operator(
    graph: Graph, states: States, contents: Contents, read: NetworkInputs, x: str, layer: int
) -> tuple[str, str]:
    """One layer in all its directions.

    Parameters
    ----------
    x
        (time, batch, feature).

    Returns
    -------
    Its outputs (time, batch, direction * unit), zero beyond a series' end, and h of each direction at its own end
    (batch, direction * unit).
    """
    operator, directions = _OPERATORS[contents.cell], directions_of(contents, layer)
    width = contents.hidden_size * len(directions)
    names = directions[0].states
    before = [states.read(name, contents.dtype, contents.hidden_size) for name in names]
    zeros = [""] * len(names)
    # Inputs by their place: initial states, and peepholes behind them, may be left out
    more = [graph.add("Unsqueeze", state, np.array([0])) for state in before] if states.streaming else zeros
    if operator.peepholes:
        weights = [np.concatenate([own.weight(name) for name in operator.peepholes]) for own in directions]
        more.append(graph.constant(np.stack(weights), f"peepholes_l{layer}"))
    y, *ends = graph.add_many(
        operator.op,
        1 + len(names),
        x,
        graph.constant(_by_gate(directions, operator.gates, "weight_ih"), f"weight_ih_l{layer}"),
        graph.constant(_by_gate(directions, operator.gates, "weight_hh"), f"weight_hh_l{layer}"),
        graph.constant(_by_gate(directions, operator.gates, "bias_ih", "bias_hh"), f"bias_l{layer}"),
        graph.cast(read.lengths, np.int32),
        *(more if any(more) else []),
        hidden_size=contents.hidden_size,
        direction="bidirectional" if contents.bidirectional else "forward",
        **operator.attributes,
        **{name: [value] * len(directions) for name, value in operator.by_direction.items()},
    )
    # y is (time, direction, batch, unit), a state (direction, batch, unit)
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


def _by_gate(
    directions: Sequence[LayerDirection], gates: Sequence[int], *names: str
) -> Float[ndarray, "direction gate_unit *column"]:
    """Weights in the operator's order of gates; those of several names one after the other."""

    def ordered(weight: Float[ndarray, "gate_unit *column"]) -> Float[ndarray, "gate_unit *column"]:
        by_gate = np.split(weight, len(gates))
        return np.concatenate([by_gate[gate] for gate in gates])

    return np.stack([np.concatenate([ordered(own.weight(name)) for name in names]) for own in directions])
