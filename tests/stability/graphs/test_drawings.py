"""Pictures of graphs: whole, readable by their formats, small, and true to the graph."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

from throughtime.errors import ParameterError, StorageError
from throughtime.stability import ComputationGraph, layer_graph, unroll

SVG = "{http://www.w3.org/2000/svg}"


class Classifier(nn.Module):
    """The model that has to be read on one screen."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 32, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat(self.rnn(x)[1][0][-2:].unbind(), -1))


def loss(output: Tensor) -> Tensor:
    return output.square().mean()


@pytest.fixture(scope="module")
def wide() -> ComputationGraph:
    return unroll(Classifier(), torch.randn(8, 29, 3), loss=loss)


@pytest.fixture(scope="module")
def long() -> ComputationGraph:
    return unroll(Classifier(), torch.randn(2, 500, 3), loss=loss)


@pytest.fixture(scope="module")
def graphs(wide: ComputationGraph, long: ComputationGraph) -> list[ComputationGraph]:
    x = torch.randn(8, 29, 3)
    gru = nn.GRU(3, 8, batch_first=True)
    mlp = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    return [
        wide,
        long,
        unroll(Classifier(), x),
        unroll(Classifier(), x, loss=loss, inside=True),
        unroll(gru, x, loss=lambda out: out[0].sum(), inside=True),
        unroll(gru, x, inside=True),
        layer_graph(mlp, x[:, 0], loss=loss),
        layer_graph(mlp, x[:, 0]),
    ]


def test_two_layers_in_both_directions_over_29_steps_fit_a_screen(wide: ComputationGraph) -> None:
    svg = wide.to_svg()
    assert len(svg.encode()) < 300_000
    root = ElementTree.fromstring(svg)
    assert float(root.attrib["width"]) <= 1400
    assert float(root.attrib["height"]) <= 800


def test_a_picture_stands_alone_and_says_what_it_is(graphs: list[ComputationGraph]) -> None:
    for graph in graphs:
        svg = graph.to_svg()
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert title.text == graph.title
        assert desc is not None
        assert str(graph.depth) in (desc.text or "")
        assert "script" not in svg
        assert re.findall(r"(?:href|url|@import|https?:)[^ >]*", svg.replace("http://www.w3.org/2000/svg", "")) == []
        assert graph._repr_svg_() == svg


def test_every_node_and_edge_is_drawn_inside_the_sheet(graphs: list[ComputationGraph]) -> None:
    for graph in graphs:
        root = ElementTree.fromstring(graph.to_svg(columns=max(graph.steps, 2)))
        told = [element.find(f"{SVG}title") for element in root.iter() if element.tag != f"{SVG}svg"]
        assert len([title for title in told if title is not None]) == len(graph.nodes) + len(graph.edges)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for path in root.iter(f"{SVG}path"):
            assert all(math.isfinite(float(number)) for number in re.findall(r"-?[\d.]+", path.attrib["d"]))
        for box in root.iter(f"{SVG}rect"):
            x, y, w, h = (float(box.attrib.get(name, 0)) for name in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height


def test_a_long_graph_is_drawn_in_ranges_of_steps(long: ComputationGraph) -> None:
    svg = long.to_svg()
    assert ">0-12<" in svg
    assert ">494-499<" in svg
    assert "geometric means" in svg
    assert len(svg.encode()) < 300_000
    assert "several steps" not in long.to_svg(columns=500)


def test_a_bin_has_the_geometric_mean_of_its_steps(long: ComputationGraph) -> None:
    from throughtime.stability.graphs.binning import bin_steps, mean_of

    binned = bin_steps(long, 40)
    own = {node.name: node for node in binned.nodes}
    steps = [node.gradient for node in long.nodes if node.name.startswith("l1.c.") and (node.first or 0) >= 494]
    assert own["l1.c.38"].gradient == pytest.approx(math.prod(map(float, steps)) ** (1 / 6))
    assert (own["l1.c.38"].first, own["l1.c.38"].last) == (494, 499)
    assert mean_of([1e-4, 0, 1e-2]) == pytest.approx(1e-3)
    assert mean_of([1.0, math.nan]) != mean_of([1.0])
    assert mean_of([None]) is None
    assert mean_of([0.0]) == 0
    crossing = [e for e in binned.edges if (e.source, e.target) == ("l1.c.37", "l1.c.38")]
    (real,) = [e for e in long.edges if (e.source, e.target) == ("l1.c.493", "l1.c.494")]
    assert [e.gradient for e in crossing] == [pytest.approx(real.gradient)]


def test_darker_is_larger() -> None:
    from throughtime.stability.graphs.colors import COLORS, scale_of

    def lightness(color: str) -> float:
        return sum(int(color[at : at + 2], 16) * part for at, part in ((1, 0.2126), (3, 0.7152), (5, 0.0722)))

    assert [lightness(color) for color in COLORS] == sorted(map(lightness, COLORS), reverse=True)
    scale = scale_of([1e-9, 1.0])
    assert scale is not None
    found = [COLORS.index(scale.color(10.0**power)) for power in range(-9, 1)]
    assert found == sorted(found)
    assert scale_of([0.0]) is None


def test_edges_in_dot_and_mermaid_lead_between_nodes_that_are_there(graphs: list[ComputationGraph]) -> None:
    for graph in graphs:
        dot = graph.to_dot()
        declared = set(re.findall(r'^ +("[^"]+") \[', dot, re.M))
        edges = re.findall(r'^ +("[^"]+") -> ("[^"]+") \[', dot, re.M)
        assert {end for edge in edges for end in edge} <= declared
        assert len(edges) == len(re.findall("->", dot))
        assert dot.count("{") == dot.count("}")
        mermaid = graph.to_mermaid(columns=40)
        declared = set(re.findall(r"^ +(n\d+)(?:\[|\()", mermaid, re.M))
        edges = re.findall(r"^ +(n\d+) -\.?->(?:\|.*\|)? (n\d+)$", mermaid, re.M)
        assert len(declared) == dot.count("fillcolor=")
        assert {end for edge in edges for end in edge} <= declared
        assert len(edges) == dot.count(" -> ")


def test_names_of_the_users_do_not_break_a_picture() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({'a"<b>&\\': nn.GRU(2, 3, batch_first=True), 'h"<&': nn.Linear(3, 1)})

        def forward(self, x: Tensor) -> Tensor:
            rnn, head = self.parts.values()
            return head(rnn(x)[0][:, -1])

    Odd.__name__ = 'Odd"<i>'
    graph = unroll(Odd(), torch.randn(2, 3, 2), loss=loss)
    assert "Odd" in (ElementTree.fromstring(graph.to_svg()).find(f"{SVG}title").text or "")  # type: ignore[union-attr]
    assert r"Odd\"<i>" in graph.to_dot()
    assert graph.to_mermaid().count('"') % 2 == 0


def test_a_picture_is_written_whole_or_not_at_all(wide: ComputationGraph, tmp_path: Path) -> None:
    for write, name in ((wide.to_svg, "g.svg"), (wide.to_dot, "g.dot"), (wide.to_mermaid, "g.mmd")):
        assert write(tmp_path / name) == (tmp_path / name).read_text(encoding="utf-8")
        with pytest.raises(StorageError, match="could not be written"):
            write(tmp_path / "none" / name)


def test_fewer_than_two_columns_are_refused(long: ComputationGraph) -> None:
    with pytest.raises(ParameterError, match="columns needs a whole number from 2 up, got 1"):
        long.to_svg(columns=1)
