"""Figures inside a page: their text stays text, their names are their own, their colors the page's."""

import re

import numpy as np
import pytest
from matplotlib.axes import Axes
from read_html import tree_of

from throughtime.displays import TRAINING, VALIDATION
from throughtime.report import Figure, figure_of
from throughtime.report.svg import DOT_PATHS, FEWEST_DOTS, PLACE, inline_svg

SIZE = (4.0, 3.0)


def drawn(n: int = 5, name: str = "loss") -> Figure:
    def draw(ax: Axes) -> None:
        ax.plot(np.arange(n), np.arange(n), "o", color="#1f6f8b", alpha=0.5)
        ax.set(title=name, xlabel="$x^2$")

    return figure_of(draw, SIZE, "a <title>", "what & where")


def test_text_stays_text_and_is_not_read_as_a_formula() -> None:
    texts = [text.says() for text in tree_of(drawn().svg).all("text")]
    assert {"loss", "$x^2$"} <= set(texts)


def test_the_title_and_the_description_are_what_a_reader_hears() -> None:
    svg = tree_of(drawn().svg).all("svg")[0]
    assert svg.attributes["role"] == "img"
    assert svg.attributes["aria-labelledby"] == f"{PLACE}-title {PLACE}-text"
    assert [svg.all(tag)[0].text for tag in ("title", "desc")] == ["a <title>", "what & where"]


def test_every_name_begins_with_the_figure_s_place_and_no_text_can() -> None:
    found = drawn(name="loss\0 figure").svg
    names = [element.attributes["id"] for element in tree_of(found).all() if "id" in element.attributes]
    assert names
    assert all(name.startswith(PLACE) for name in names)
    assert "loss\ufffd figure" in found
    references = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', found)
    assert {one or other for one, other in references} <= set(names)


def test_nothing_is_left_of_a_file_of_its_own() -> None:
    found = drawn().svg
    for gone in ("<?xml", "<!DOCTYPE", "xmlns", "http", "<style", "<metadata", "font-family", "xlink"):
        assert gone not in found


def test_ink_is_the_page_s_and_colors_have_a_light_and_a_dark_one() -> None:
    found = drawn().svg
    assert "stroke: currentColor" in found
    assert "#1f6f8b" not in found
    assert "var(--blue)" in found


@pytest.mark.parametrize("n", [FEWEST_DOTS - 1, FEWEST_DOTS, 500])
def test_every_dot_is_drawn_once_few_as_marks_many_as_points_of_paths(n: int) -> None:
    page = tree_of(drawn(n).svg)
    paths = [path for path in page.all("path") if "stroke-linecap: round" in path.attributes.get("style", "")]
    points = [point for path in paths for point in re.findall(r"M[\d.]+ [\d.]+h\.01", path.attributes["d"])]
    marks = [use for use in page.all("use") if "fill-opacity: 0.5" in use.attributes.get("style", "")]
    assert len(points) + len(marks) == n
    assert len(paths) == (DOT_PATHS if n >= FEWEST_DOTS else 0)
    assert all("stroke-opacity: 0.5" in path.attributes["style"] for path in paths)


def test_a_thousand_dots_take_few_bytes() -> None:
    assert len(drawn(1000).svg) < 30_000


def test_a_figure_is_the_same_bytes_each_time_and_at_most_as_wide_as_it_was_drawn() -> None:
    assert drawn() == drawn()
    assert "max-width: 307px" in drawn().svg  # 4 inches of 96 pixels, scaled by 0.8


def test_markup_in_texts_and_attributes_stays_text_and_what_loads_or_runs_is_left_out() -> None:
    assert "<b> & co" in [text.says() for text in tree_of(drawn(name="<b> & co").svg).all("text")]
    content = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 90 60">
    <metadata>secret</metadata><script>alert(1)</script><g><script>alert(2)</script><path d='M 0 0"&gt;&lt;b&gt;'/></g>
    <image xlink:href="http://elsewhere/x.png"/><image xlink:href="data:image/svg+xml;base64,AAAA"/>
    <image xlink:href="data:image/png;base64,AA&#10;AA"/></svg>"""
    found = inline_svg(content, "t", "d")
    tree = tree_of(found)
    assert not tree.all("script", "metadata", "b")
    assert [path.attributes["d"] for path in tree.all("path")] == ['M 0 0"><b>']
    assert [image.attributes for image in tree.all("image")] == [{}, {}, {"href": "data:image/png;base64,AAAA"}]


@pytest.mark.parametrize(("color", "variable"), [(TRAINING, "blue"), (VALIDATION, "red")])
def test_training_and_validation_have_a_color_each(color: str, variable: str) -> None:
    found = figure_of(lambda ax: ax.plot([0, 1], color=color), SIZE, "t", "d").svg
    assert f"stroke: var(--{variable})" in found


def test_dots_are_joined_as_wide_as_they_were_and_only_where_all_are_alike() -> None:
    assert "stroke-width: 6" in drawn(FEWEST_DOTS).svg  # points, matplotlib's markers

    def draw(ax: Axes) -> None:
        ax.scatter(np.arange(60), np.arange(60), c=np.arange(60) % 2, cmap="gray")

    tree = tree_of(figure_of(draw, SIZE, "t", "d").svg)
    assert not [path for path in tree.all("path") if "round" in path.attributes.get("style", "")]
    assert len(tree.all("use")) >= 60
