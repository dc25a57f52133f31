"""A computation graph in the languages of Graphviz and Mermaid, for whoever lays it out otherwise."""

from collections.abc import Iterator

from throughtime.stability.graphs.binning import bin_steps
from throughtime.stability.graphs.colors import COLORS, scale_of
from throughtime.stability.graphs.graph import Edge, Graph, Node


def dot_of(graph: Graph, columns: int) -> str:
    """A ``digraph``: a cluster per lane, steps from left to right; see ``ComputationGraph.to_dot``."""
    graph = bin_steps(graph, columns)
    scale = scale_of(graph.gradients)

    def lines() -> Iterator[str]:
        yield "digraph throughtime {"
        yield f"  label={_quoted(f'{graph.title}; {graph.depth}')}; labelloc=t; rankdir=LR; fontname=Helvetica;"
        yield "  node [shape=box, style=filled, fontname=Helvetica]; edge [fontname=Helvetica, fontsize=9];"
        for number, (label, nodes) in enumerate(_by_lane(graph)):
            inner = "  "
            if label:
                inner = "    "
                yield f"  subgraph cluster_{number} {{"
                yield f"    label={_quoted(label)};"
            for node in nodes:
                tone = "#ffffff" if scale is None or node.gradient is None else scale.color(node.gradient)
                font = ", fontcolor=white" if tone in COLORS[4:] else ""
                round_ = ", shape=ellipse" if node.kind in ("c", "operation", "loss") else ""
                text = _quoted("\n".join(_words(node)))
                yield f"{inner}{_quoted(node.name)} [label={text}, fillcolor={_quoted(tone)}{font}{round_}];"
            if label:
                yield "  }"
        for edge in graph.edges:
            known = edge.gradient is not None and scale is not None
            color = f", color={_quoted(scale.color(edge.gradient))}" if known and edge.gradient and scale else ""
            dashed = ", style=dashed" if edge.kind == "saved" or edge.gradient == 0 else ""
            yield f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(_on(edge))}{color}{dashed}];"
        yield "}"

    return "\n".join(lines()) + "\n"


def mermaid_of(graph: Graph, columns: int) -> str:
    """A ``flowchart``: a subgraph per lane; see ``ComputationGraph.to_mermaid``."""
    graph = bin_steps(graph, columns)
    scale = scale_of(graph.gradients)
    numbers = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}

    def lines() -> Iterator[str]:
        yield "---"
        yield f"title: {_safe(graph.title)}"
        yield "---"
        yield "flowchart LR"
        for number, (label, nodes) in enumerate(_by_lane(graph)):
            if label:
                yield f"  subgraph lane{number}[{_in_quotes(label)}]"
                yield "    direction LR"
            for node in nodes:
                left, right = ("([", "])") if node.kind in ("c", "operation", "loss") else ("[", "]")
                yield f"    {numbers[node.name]}{left}{_in_quotes('<br/>'.join(map(_safe, _words(node))))}{right}"
            if label:
                yield "  end"
        for edge in graph.edges:
            arrow = "-.->" if edge.kind == "saved" else "-->"
            text = "" if edge.gradient is None else f"|{_in_quotes(f'{edge.gradient:.0e}')}|"
            yield f"  {numbers[edge.source]} {arrow}{text} {numbers[edge.target]}"
        for node in graph.nodes:
            if scale is not None and node.gradient is not None:
                tone = scale.color(node.gradient)
                ink = "#fff" if tone in COLORS[4:] else "#1b1f24"
                yield f"  style {numbers[node.name]} fill:{tone},color:{ink},stroke:#1b1f24"

    return "\n".join(lines()) + "\n"


def _by_lane(graph: Graph) -> Iterator[tuple[str, list[Node]]]:
    """The nodes of each lane that has a name, then the others."""
    for number, lane in enumerate(graph.lanes):
        label = f"{lane.label} ({lane.detail})" if lane.detail else lane.label
        yield label, [node for node in graph.nodes if node.lane == number]
    yield "", [node for node in graph.nodes if node.lane >= len(graph.lanes)]


def _words(node: Node) -> list[str]:
    shape = " x ".join(map(str, node.shape))
    gradient = "" if node.gradient is None else f"gradient {node.gradient:.1e}"
    return [part for part in (node.label, shape, gradient) if part]


def _on(edge: Edge) -> str:
    """What is written on an edge: its parameters' names and what flows back."""
    known = "" if edge.gradient is None else f"{edge.gradient:.1e}"
    return ", ".join((*(name for name in edge.parameters if "weight" in name), *([known] if known else [])))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _in_quotes(text: str) -> str:
    return f'"{text}"'


def _safe(text: str) -> str:
    """Without what Mermaid would read as its own."""
    return text.replace('"', "'").replace("#", "").replace(";", ",").replace(":", " ")
