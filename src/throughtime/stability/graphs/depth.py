"""How many operations wait for each other: the longest path of a graph, in each direction.

What is counted: a cell's step and a linear layer, each about one matrix product; what acts on single numbers
(activations, an LSTM's way from c to h, the loss) goes with the product before it.
An MLP has a product per layer in each direction. A grid of T steps and L layers has T + L - 1 cells one after the other
(from the first step of the first layer to the last step of the last layer, one step or layer at a time), and T + L with
a linear output layer; both directions in each layer make it T * L (+ 1), since a layer needs the whole one below.
The backward pass walks the same edges back, and ends with the product that makes a weight's gradient.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal, Protocol, runtime_checkable

from throughtime.records import Record

#: Steps through time, the gates of one step, or the layers of an MLP.
Subject = Literal["time", "step", "layers"]
_WHY: dict[Subject, str] = {
    "time": "dL/dh_t waits for dL/dh_(t+1), so the backward pass takes its steps one after the other, however wide the "
    "machine; only the sum over steps in dL/dW is one product",
    "step": "the gates of one step are computed side by side, but the next step waits for them all",
    "layers": "one per layer, whatever the number of examples: each layer's backward products take all of them at once",
}


@runtime_checkable
class Costly(Protocol):
    """What the depth asks of an edge; see ``Edge``."""

    @property
    def source(self) -> str:
        """Name of the node it begins at."""

    @property
    def target(self) -> str:
        """Name of the node it leads to."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of those it passes."""

    @property
    def cost(self) -> int:
        """Serial operations that it enters."""


@dataclass(frozen=True)
class Link:
    """An edge of which only the ends and the cost are known."""

    source: str
    target: str
    cost: int
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class SerialDepth(Record):
    """How many operations wait for each other.

    Attributes
    ----------
    forward, backward
        The longest chain of cells and linear layers from an input to the end, and of their backward operations from
        the end to the gradient of a weight.
    operations
        Cells and linear layers in all: those beyond the chain run beside it.
    subject
        What kind of graph it is of.
    """

    forward: int
    backward: int
    operations: int
    subject: Subject

    def __str__(self) -> str:
        operations = f"{self.operations} operation{'s' * (self.operations != 1)}"
        chain = f"serial depth {self.forward} forward, {self.backward} backward, of {operations}"
        return f"{chain}: {_WHY[self.subject]}"


def longest_path(edges: Iterable[Costly]) -> int:
    """The greatest sum of costs along a path.

    Raises
    ------
    graphlib.CycleError
        For a graph with a circle.
    """
    incoming: dict[str, list[Costly]] = defaultdict(list)
    for edge in edges:
        incoming[edge.target].append(edge)
    order = TopologicalSorter({target: [edge.source for edge in into] for target, into in incoming.items()})
    depth: dict[str, int] = {}
    for node in order.static_order():
        depth[node] = max((depth[edge.source] + edge.cost for edge in incoming[node]), default=0)
    return max(depth.values(), default=0)


def backward_links(edges: Sequence[Costly], inputs: frozenset[str]) -> Iterator[Link]:
    """The backward pass: every edge the other way round, but none to an input, and a gradient for each parameter.

    Parameters
    ----------
    inputs
        Nodes whose derivative nobody needs.

    Yields
    ------
    From and to the derivatives, named ``d NODE`` and ``d PARAMETER``.
    """
    for edge in edges:
        if edge.source not in inputs:
            yield Link(f"d {edge.target}", f"d {edge.source}", edge.cost)
        for parameter in edge.parameters:
            yield Link(f"d {edge.target}", f"d {parameter}", 1)


def depth_of(edges: Sequence[Costly], inputs: frozenset[str], subject: Subject) -> SerialDepth:
    """The depth of a forward graph and of its backward pass."""
    backward = longest_path(backward_links(edges, inputs))
    return SerialDepth(longest_path(edges), backward, len({edge.target for edge in edges if edge.cost}), subject)
