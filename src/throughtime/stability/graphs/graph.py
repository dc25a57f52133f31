"""What a computation graph is: nodes with their place in the drawing, edges, and the parameters that edges share."""

from dataclasses import dataclass
from typing import Literal

from throughtime.records import Record
from throughtime.stability.graphs.depth import SerialDepth, Subject

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
class Graph(Record):
    """What is known of a computation graph; its attributes are those of ``ComputationGraph``, which draws it."""

    title: str
    subject: Subject
    steps: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    parameters: tuple[SharedParameter, ...]
    lanes: tuple[Lane, ...]
    depth: SerialDepth

    @property
    def gradients(self) -> list[float]:
        """The norms of all nodes and edges that have one."""
        norms = [node.gradient for node in self.nodes] + [edge.gradient for edge in self.edges]
        return [norm for norm in norms if norm is not None]

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.nodes)} nodes, {len(self.edges)} edges\n{self.depth}"
