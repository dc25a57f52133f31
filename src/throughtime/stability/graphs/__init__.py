"""Computation graphs as a person draws them: a network unrolled through time, one step gate by gate, a small MLP."""

from throughtime.stability.graphs.depth import SerialDepth
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.graph import Edge, Lane, Node, SharedParameter
from throughtime.stability.graphs.layered import layer_graph
from throughtime.stability.graphs.unrolling import unroll

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
