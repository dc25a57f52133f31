"""Nodes of a recurrent layer by the cell's equations, a step at a time in a ``Scan``: any precision, and zoneout."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from throughtime.export.contents import Cell, Contents
from throughtime.export.onnx_inputs import NetworkInputs
from throughtime.export.onnx_layer import LayerDirection, directions_of
from throughtime.export.onnx_nodes import Graph, States

#: ``(body, direction, W x + b, U h + b, states) -> new states``.
_Equations = Callable[[Graph, LayerDirection, str, str, list[str]], list[str]]


def layer_by_equations(
    graph: Graph, states: States, contents: Contents, read: NetworkInputs, x: str, layer: int
) -> tuple[str, str]:
    """One layer in all its directions, as `throughtime.export.onnx_operators.layer_by_operator` gives it.

    Beyond a series' end the outputs are not zero: they stay as they are.
    """
    running = graph.add("Unsqueeze", graph.add("Transpose", read.inside, perm=[1, 0]), np.array([2]))
    outputs, last = zip(*(_run(graph, states, own, x, running) for own in directions_of(contents, layer)), strict=True)
    if not contents.bidirectional:
        return outputs[0], last[0]
    return graph.add("Concat", *outputs, axis=2), graph.add("Concat", *last, axis=1)


def _run(graph: Graph, states: States, own: LayerDirection, x: str, running: str) -> tuple[str, str]:
    """One direction: its outputs (time, batch, unit), and h at the end (batch, unit)."""
    contents, dtype = own.contents, own.contents.dtype
    from_x = graph.add("Add", graph.add("MatMul", x, own.weight("weight_ih").T), own.weight("bias_ih"))
    before = [(states.read(name, dtype, contents.hidden_size), dtype) for name in own.states]
    rates = [dtype.type(rate) for rate in (contents.zoneout, contents.cell_zoneout)]

    def step(body: Graph, old: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        from_h = body.add("Add", body.add("MatMul", old[0], own.weight("weight_hh").T), own.weight("bias_hh"))
        fresh = _EQUATIONS[contents.cell](body, own, now[0], from_h, old)
        new = [_zoned_out(body, *parts) for parts in zip(rates, old, fresh, strict=False)]
        new = [body.add("Where", now[1], *pair) for pair in zip(new, old, strict=True)]
        return new, new[:1]

    scanned = [(from_x, dtype), (running, np.dtype(np.bool_))]
    *ends, y = graph.scan(step, before, scanned, dtype, reverse=own.reverse)
    for name, end in zip(own.states, ends, strict=True):
        states.keep(name, end)
    return y, ends[0]


def _zoned_out(body: Graph, rate: np.floating[Any], old: str, new: str) -> str:
    """The expectation of a state of which each unit stays with a probability."""
    if not rate:
        return new
    return body.add("Add", body.add("Mul", rate, old), body.add("Mul", 1 - rate, new))


def _elman(activation: str | None) -> _Equations:
    """``h' = tanh(W x + U h)``, or another activation."""

    def equations(body: Graph, own: LayerDirection, from_x: str, from_h: str, old: list[str]) -> list[str]:  # noqa: ARG001
        h = body.add("Add", from_x, from_h)
        return [h if activation is None else body.add(activation, h)]

    return equations


def _gru(body: Graph, own: LayerDirection, from_x: str, from_h: str, old: list[str]) -> list[str]:  # noqa: ARG001
    """``h' = n + z (h - n)`` with ``n = tanh(W x + r (U h))``."""
    x_r, x_z, x_n = body.add_many("Split", 3, from_x, axis=-1)
    h_r, h_z, h_n = body.add_many("Split", 3, from_h, axis=-1)
    r = body.add("Sigmoid", body.add("Add", x_r, h_r))
    z = body.add("Sigmoid", body.add("Add", x_z, h_z))
    n = body.add("Tanh", body.add("Add", x_n, body.add("Mul", r, h_n)))
    return [body.add("Add", n, body.add("Mul", z, body.add("Sub", old[0], n)))]


def _lstm(body: Graph, own: LayerDirection, from_x: str, from_h: str, old: list[str]) -> list[str]:
    """``c' = f c + i g``, ``h' = o tanh(c')``; through peepholes i and f see ``c``, o sees ``c'``."""
    i, f, g, o = body.add_many("Split", 4, body.add("Add", from_x, from_h), axis=-1)

    def gate(value: str, name: str, c: str) -> str:
        if own.contents.cell == "peephole_lstm":
            value = body.add("Add", value, body.add("Mul", own.weight(name), c))
        return body.add("Sigmoid", value)

    kept = body.add("Mul", gate(f, "weight_cf", old[1]), old[1])
    c = body.add("Add", kept, body.add("Mul", gate(i, "weight_ci", old[1]), body.add("Tanh", g)))
    return [body.add("Mul", gate(o, "weight_co", c), body.add("Tanh", c)), c]


_EQUATIONS: Mapping[Cell, _Equations] = {
    "rnn_tanh": _elman("Tanh"),
    "rnn_relu": _elman("Relu"),
    "linear": _elman(None),
    "gru": _gru,
    "lstm": _lstm,
    "peephole_lstm": _lstm,
}
