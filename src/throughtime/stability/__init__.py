"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.graphs import (
    ComputationGraph,
    Edge,
    Lane,
    Node,
    SerialDepth,
    SharedParameter,
    layer_graph,
    unroll,
)

__all__ = [
    "ComputationGraph",
    "Edge",
    "Lane",
    "Node",
    "SerialDepth",
    "SharedParameter",
    "layer_graph",
    "unroll",
]
