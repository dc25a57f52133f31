"""What a computation graph is: nodes with their place in the drawing, edges, and the parameters that edges share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from throughtime.records import Record
from throughtime.stability.graphs.depth import SerialDepth, Subject
from throughtime.storage import write_file

NodeKind = Literal["input", "h", "c", "gate", "operation", "linear", "value", "parameter", "delta", "gradient", "loss"]
#: ``x`` enters a cell or a layer, ``h`` and ``c`` lead to the next step, ``state`` from a step's c to its h, ``output``
#: to what is made of the states, ``value`` between operations, ``parameter`` from a weight; ``delta`` is the backward
#: pass, ``saved`` what it takes from the forward pass.
EdgeKind = Literal["x", "h", "c", "state", "output", "value", "parameter", "delta", "saved"]


@dataclass(frozen=True)
class Node(Record):
    """A tensor of the graph, or steps of it that lie next to each other.

    Attributes
    ----------
    name
        Unique in the graph.
    label
        As a formula shows it.
    shape
        Of one step: (batch, unit) for what series have, torch's for a parameter.
    layer, reverse
        The recurrent layer, counted from 0 through all of the model's, and its direction; ``None`` for other nodes.
    first, last
        Steps, counted from 0; ``None`` for what no step has.
    gradient
        L2 norm of the total derivative of the loss, over all series and units; of several steps the geometric mean of
        those that are not zero. ``None`` without a loss.
    column, lane
        Where it is drawn: columns to the right, lanes upwards.
    """

    name: str
    kind: NodeKind
    label: str
    shape: tuple[int, ...]
    layer: int | None
    reverse: bool
    first: int | None
    last: int | None
    gradient: float | None
    column: float
    lane: float


@dataclass(frozen=True)
class Edge(Record):
    """What one node takes from another.

    A cell with c computes both its states of a step together: what enters the step leads to its h, and stands for both.

    Attributes
    ----------
    shape
        Of what is taken, as in `Node`.
    parameters
        Names of the parameters it passes.
    cost
        Serial operations that it enters: 1 into a cell, a gate or a linear layer, 0 into what acts on single numbers.
    gradient
        L2 norm of what flows back along it: the part of the source's derivative that comes from this target.
    """

    source: str
    target: str
    kind: EdgeKind
    shape: tuple[int, ...]
    parameters: tuple[str, ...]
    cost: int
    gradient: float | None


@dataclass(frozen=True)
class SharedParameter(Record):
    """One parameter, and at how many steps it is used: along time it is the same one."""

    name: str
    shape: tuple[int, ...]
    uses: int


@dataclass(frozen=True)
class Lane(Record):
    """A row of the drawing: what runs along it, and the parameters that all its steps share."""

    label: str
    detail: str
    kind: NodeKind


@dataclass(frozen=True, repr=False)
class ComputationGraph(Record):
    """A computation graph; a notebook shows it as a picture.

    Attributes
    ----------
    title, subject
        What is drawn in a few words, and what kind of graph it is: ``time``, ``step`` or ``layers``.
    steps
        Steps of the longest series; 0 where there is no time.
    nodes, edges, parameters
        See there.
    lanes
        The rows of a graph through time, from below; empty for the others.
    depth
        How many operations wait for each other in each direction, counted on this graph.
    """

    title: str
    subject: Subject
    steps: int
    nodes: tuple[Node, ...] = field(repr=False)
    edges: tuple[Edge, ...] = field(repr=False)
    parameters: tuple[SharedParameter, ...] = field(repr=False)
    lanes: tuple[Lane, ...]
    depth: SerialDepth

    @property
    def gradients(self) -> list[float]:
        """The norms of all nodes and edges that have one."""
        norms = [node.gradient for node in self.nodes] + [edge.gradient for edge in self.edges]
        return [norm for norm in norms if norm is not None]

    def to_svg(self, path: str | Path | None = None, *, columns: int = 40) -> str:
        """A self-contained SVG: for light and dark pages and for print.

        Parameters
        ----------
        path
            Where to write it too, whole or not at all.
        columns
            A graph of more steps is drawn with steps put together, at most so many columns, their ranges below.

        Raises
        ------
        StorageError
            When the file cannot be written.
        """
        from throughtime.stability.graphs.svg import svg_of

        return _written(svg_of(self, columns), path)

    def to_dot(self, path: str | Path | None = None, *, columns: int = 40) -> str:
        """The graph in Graphviz' language; parameters as `to_svg`'s."""
        from throughtime.stability.graphs.text import dot_of

        return _written(dot_of(self, columns), path)

    def to_mermaid(self, path: str | Path | None = None, *, columns: int = 12) -> str:
        """A flowchart in Mermaid's language, which web pages of code hosts draw; parameters as `to_svg`'s."""
        from throughtime.stability.graphs.text import mermaid_of

        return _written(mermaid_of(self, columns), path)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> None:  # type: ignore[override]
        """Notebooks prefer HTML: this one shows a picture."""

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.nodes)} nodes, {len(self.edges)} edges\n{self.depth}"


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        write_file(Path(path), text.encode())
    return text
