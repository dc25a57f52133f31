"""Where a picture is drawn, and what all pictures have alike: colors, the title, the legend above."""

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

TRAINING, VALIDATION = "#1f6f8b", "#d1495b"
#: For what else comes into the same axes.
FURTHER = ("#edae49", "#66419c", "#57a773", "#8c6a4f")
#: Of the first layer and direction, then of the others.
LAYER_COLORS = (TRAINING, VALIDATION, *FURTHER)
#: Inches, from which on a title and a legend stand side by side.
WIDE = 4.5
#: Letters of a tick or in a legend, of the label of a vertical axis, of a title.
MOST_OF_NAME, MOST_OF_LABEL, MOST_OF_TITLE = 30, 44, 100
OBSERVED, PREDICTED = "#333333", "#d1495b"


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Give ``ax``, or axes in a new figure of that size in inches that pyplot knows, so that ``plt.show`` shows it."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def set_title(ax: Axes, title: str, *, legend: bool) -> None:
    """Put a title above the axes, and a legend of what has a label beside it; end the box at the top and right.

    A title that would go beyond the figure is in lines. In narrow axes, where both would meet, the legend is where it
    covers the least.
    """
    ax.set_title(title, fontsize=10, loc="left", wrap=True)
    if legend:
        place: dict[str, Any] = {}
        if ax.get_window_extent().width > WIDE * ax.figure.dpi:
            place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0, "ncols": 2}
        ax.legend(frameon=False, handlelength=1.4, columnspacing=1.4, **place)
    ax.spines[["top", "right"]].set_visible(False)


def show_literally(texts: Iterable[Text]) -> None:
    """Draw names from data as they are: dollars in them begin no formula."""
    for text in texts:
        text.set_parse_math(False)


def without_legend(ax: Axes) -> None:
    """Take away the legend that scikit-learn always draws."""
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()


def shorten_texts(figure: Figure) -> None:
    """Cut names that are long, since one of them would leave no room for the axes; what is ours is shorter."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [label.get_text() for label in axis.get_ticklabels()]
            short = [_cut(tick, MOST_OF_NAME) for tick in ticks]
            if short != ticks:
                axis.set_ticks(axis.get_ticklocs(), short)
        legend = ax.get_legend()
        for text in () if legend is None else legend.get_texts():
            text.set_text(_cut(text.get_text(), MOST_OF_NAME))
        ax.yaxis.label.set_text(_cut(ax.get_ylabel(), MOST_OF_LABEL))
    laid_out = {text for ax in figure.axes for text in ax.texts}  # by the display
    for text in {*figure.findobj(Text)} - laid_out:
        text.set_text(_cut(text.get_text(), MOST_OF_TITLE))


def _cut(text: str, most: int) -> str:
    return f"{' '.join(text.split())[:most]}..." if len(text) > most or text.count("\n") > 1 else text


class PlainLog(LogFormatter):
    """Labels where matplotlib puts them on a logarithmic axis, as 0.6 instead of 6 x 10^-1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Label a value, or leave it blank."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def plain_log(axis: Any) -> None:
    """Label a logarithmic axis in plain numbers."""
    axis.set_major_formatter(PlainLog())
    axis.set_minor_formatter(PlainLog(minor_thresholds=(2, 0.7)))
