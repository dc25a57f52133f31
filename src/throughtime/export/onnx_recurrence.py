"""Nodes of the recurrent layers, one on the other."""

from typing import NamedTuple

from throughtime.export.contents import Contents
from throughtime.export.onnx_equations import layer_by_equations
from throughtime.export.onnx_inputs import NetworkInputs
from throughtime.export.onnx_nodes import Graph, States
from throughtime.export.onnx_operators import has_operator, layer_by_operator


class LayerOutputs(NamedTuple):
    """What the last layer gives.

    Attributes
    ----------
    steps
        (time, batch, direction * unit); beyond a series' end it means nothing.
    last
        (batch, direction * unit), h of each direction at its own end.
    """

    steps: str
    last: str


def recurrent_layers(graph: Graph, states: States, contents: Contents, read: NetworkInputs) -> LayerOutputs:
    """All layers: by ONNX's operators where they compute the same, which is two to four times as fast."""
    add_layer = layer_by_operator if has_operator(contents) else layer_by_equations
    steps, last = read.values, ""
    for layer in range(contents.num_layers):
        steps, last = add_layer(graph, states, contents, read, steps, layer)
    return LayerOutputs(steps, last)
