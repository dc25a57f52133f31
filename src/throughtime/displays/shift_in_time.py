"""Where in time series moved: what moved most in each stretch of them."""

import textwrap
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from throughtime.displays.canvas import VALIDATION, axes_for, set_title, show_literally
from throughtime.errors import ParameterError
from throughtime.shift import NamedShift, StretchShift

#: Of a stretch that may not have moved.
OTHER = "#bbbbbb"
#: Letters of a line, and lines, that a channel's name has above a bar, and beside those of its neighbors.
LETTERS, LINES = 16, 2


class ShiftInTimeDisplay:
    """A bar per stretch of the series, from their first step to their last: how far its mean moved, in which channel.

    Parameters
    ----------
    stretches
        Those of a ``ShiftDiagnosis``; of several in one place the one that moved most is drawn.
    level
        Largest adjusted p-value of a bar in color.

    Attributes
    ----------
    ax_, figure_, bars_
        What ``plot`` drew; the bars from the first stretch to the last.
    """

    #: Inches, of a new figure.
    figsize = 6.4, 3.4

    def __init__(self, stretches: Sequence[StretchShift], level: float = 0.05) -> None:
        if not stretches:
            raise ParameterError(f"{type(self).__name__} needs a stretch of the series, got none")
        largest: dict[tuple[float, float], StretchShift] = {}
        for one in sorted(stretches, key=lambda one: abs(one.effect)):
            largest[one.begin, one.end] = one
        self.stretches = [largest[place] for place in sorted(largest)]
        self.level = level

    @classmethod
    def from_diagnosis(cls, diagnosis: NamedShift, *, ax: Axes | None = None) -> Self:
        """Draw the stretches of a diagnosis.

        Raises
        ------
        ParameterError
            When it has none.
        """
        return cls(diagnosis.stretches, diagnosis.level).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        begins, ends, effects = (
            np.array([getattr(one, name) for one in self.stretches], float) for name in ("begin", "end", "effect")
        )
        moved = [one.p_value <= self.level for one in self.stretches]
        colors = [VALIDATION if is_moved else OTHER for is_moved in moved]
        self.bars_ = self.ax_.bar(begins, effects, ends - begins, align="edge", color=colors, ec="w", lw=1.5)
        self.ax_.axhline(0, color="#555555", lw=0.8)
        names = [
            "\n".join(textwrap.wrap(one.channel, LETTERS, max_lines=LINES, placeholder="...")) for one in self.stretches
        ]
        for one, name, middle in zip(self.stretches, names, (begins + ends) / 2, strict=True):
            above = one.effect >= 0
            self.ax_.annotate(
                f"{name}\np {one.p_value:.2g}",
                (middle, one.effect),
                (0, 3 if above else -3),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=8,
            )
        self.ax_.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        show_literally(self.ax_.texts)
        self.ax_.margins(y=0.6 if "\n" in "".join(names) else 0.25)
        self.ax_.set(
            xlim=(min(0, *begins), max(1, *ends)),
            xticks=sorted({*begins, *ends}),
            xlabel="part of each series",
            ylabel="moved by (sd within the samples)",
        )
        set_title(self.ax_, "where in time: the channel that moved most", legend=False)
        shown = dict.fromkeys(moved)
        words = {True: f"moved (p <= {self.level:g})", False: "not shown to have moved"}
        handles = [Patch(color=VALIDATION if one else OTHER, label=words[one]) for one in shown]
        # beneath the axes: within them bars and their names are everywhere
        self.ax_.legend(
            handles=handles, frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2
        )
        return self
