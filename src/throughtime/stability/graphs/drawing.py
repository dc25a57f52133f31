"""A computation graph that draws itself: as SVG, in notebooks too, and in the languages of Graphviz and Mermaid."""

from pathlib import Path

from throughtime.stability.graphs.graph import Graph
from throughtime.stability.graphs.svg import svg_of
from throughtime.stability.graphs.text import dot_of, mermaid_of
from throughtime.storage import write_file


class ComputationGraph(Graph):
    """A computation graph; a notebook shows it as a picture.

    Attributes
    ----------
    title, subject
        What is drawn in a few words, and what kind of graph it is: ``time``, ``step`` or ``layers``.
    steps
        Steps of the longest series; 0 where there is no time.
    nodes, edges, parameters
        Of the types ``Node``, ``Edge`` and ``SharedParameter``.
    lanes
        The rows of a graph through time, from below; empty for the others.
    depth
        How many operations wait for each other in each direction, counted on this graph.
    """

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
        return _written(svg_of(self, columns), path)

    def to_dot(self, path: str | Path | None = None, *, columns: int = 40) -> str:
        """The graph in Graphviz' language; parameters as `to_svg`'s."""
        return _written(dot_of(self, columns), path)

    def to_mermaid(self, path: str | Path | None = None, *, columns: int = 12) -> str:
        """A flowchart in Mermaid's language, which web pages of code hosts draw; parameters as `to_svg`'s."""
        return _written(mermaid_of(self, columns), path)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> None:  # type: ignore[override]
        """Notebooks prefer HTML: this one shows a picture."""


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        write_file(Path(path), text.encode())
    return text
