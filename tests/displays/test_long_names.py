"""Names from data in pictures: long ones are cut, ours are not."""

import pytest
from matplotlib.figure import Figure

from throughtime.displays import shorten_texts


def drawn(name: str) -> Figure:
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, 1], label=name)
    ax.set_yticks([0, 1], [name, "b"])
    ax.set(xlabel=name, ylabel=name, title=name)
    ax.legend()
    return figure


def texts(figure: Figure) -> list[str]:
    (ax,) = figure.axes
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    return [*ticks, ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), ax.get_legend().get_texts()[0].get_text()]


def test_a_long_name_leaves_room_for_the_axes() -> None:
    figure = drawn("name " * 80)
    shorten_texts(figure)
    figure.draw_without_rendering()  # matplotlib warns where the axes have no room, and warnings are errors
    assert all(len(text) < 110 for text in texts(figure))
    assert figure.axes[0].get_window_extent().width > 200  # of 600
    with pytest.warns(UserWarning, match="collapsed to zero"):
        drawn("name " * 80).draw_without_rendering()


@pytest.mark.parametrize("name", ["rain", "a name of twenty letters"])
def test_other_names_are_as_they_were(name: str) -> None:
    figure = drawn(name)
    before = texts(figure)
    shorten_texts(figure)
    assert texts(figure) == before


def test_lines_of_a_name_are_one() -> None:
    figure = drawn("one\ntwo\nthree")
    shorten_texts(figure)
    assert set(texts(figure)) == {"one two three...", "b"}
