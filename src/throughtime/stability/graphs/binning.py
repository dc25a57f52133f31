"""A long graph through time made short: steps next to each other put together, so that it fits on a screen."""

import math
from collections.abc import Iterable
from dataclasses import replace

from throughtime.stability.arguments import check_whole
from throughtime.stability.graphs.graph import Edge, Graph, Node


def bin_steps(graph: Graph, columns: int) -> Graph:
    """The graph with at most so many columns: of each bin one node per state, and the edges that leave it.

    Norms are geometric means of the steps' that are not zero; a norm that is not finite stays so.

    Raises
    ------
    ParameterError
        For less than two columns, or what is no whole number.
    """
    columns = check_whole("columns", columns, 2)
    if graph.subject != "time" or graph.steps <= columns:
        return graph
    width = math.ceil(graph.steps / columns)
    bins: dict[str, list[Node]] = {}
    name_of: dict[str, str] = {}
    for node in graph.nodes:
        lane = node.name.rpartition(".")[0]
        name = node.name if node.first is None else f"{lane}.{node.first // width}"
        name_of[node.name] = name
        bins.setdefault(name, []).append(node)
    joined: dict[tuple[str, str, str], list[Edge]] = {}
    for edge in graph.edges:
        source, target = name_of[edge.source], name_of[edge.target]
        if source != target:
            joined.setdefault((source, target, edge.kind), []).append(edge)
    nodes = tuple(_bin(name, nodes, width) for name, nodes in bins.items())
    edges = tuple(
        replace(edges[0], source=source, target=target, gradient=mean_of(edge.gradient for edge in edges))
        for (source, target, _), edges in joined.items()
    )
    return replace(graph, nodes=nodes, edges=edges)


def _bin(name: str, nodes: list[Node], width: int) -> Node:
    first, last = nodes[0], nodes[-1]
    label = first.label if len(nodes) == 1 else f"{first.label}...{last.last}"
    gradient = mean_of(node.gradient for node in nodes)
    column = first.column / width if first.first is None else float(first.first // width)
    return replace(first, name=name, label=label, last=last.last, gradient=gradient, column=column)


def mean_of(norms: Iterable[float | None]) -> float | None:
    """The geometric mean of the norms that are not zero."""
    known = [norm for norm in norms if norm is not None]
    if not known:
        return None
    if odd := [norm for norm in known if not math.isfinite(norm)]:
        return odd[0]
    logs = [math.log(norm) for norm in known if norm > 0]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0
