"""Singular values of a recurrence's Jacobians along time: what a window of steps can do to a gradient at most."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from throughtime.displays.canvas import FURTHER, TRAINING, VALIDATION, axes_for, set_title
from throughtime.stability import SingularValues

#: Powers of ten below the largest that are drawn: what is smaller is rounding.
DECADES = 16


class SingularValuesDisplay:
    """The largest, the median and the smallest singular value at each step, the median over the series.

    Parameters
    ----------
    found
        What ``throughtime.stability.singular_values`` gave.

    Attributes
    ----------
    ax_, figure_, lines_
        What ``plot`` drew; lines by name, those above rounding.
    """

    #: Inches, of a new figure.
    figsize = 6.0, 3.2

    def __init__(self, found: SingularValues) -> None:
        self.found = found

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        values = self.found.values
        steps = np.flatnonzero(~np.isnan(values).all((1, 2)))
        middle = np.nanmedian(values[steps], axis=1)
        least = 10.0**-DECADES * middle.max()
        self.ax_.axhline(1, color="#777777", lw=0.8, ls="--")
        size = values.shape[2]
        for name, place, color in (
            ("largest", 0, VALIDATION),
            ("median", size // 2, TRAINING),
            ("smallest", size - 1, FURTHER[0]),
        ):
            shown = np.where(middle[:, place] > least, middle[:, place], np.nan)
            if np.isnan(shown).all():
                continue
            (self.lines_[name],) = self.ax_.plot(steps, shown, color=color, lw=1.5, label=name)
        self.ax_.set_yscale("log")
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        window = self.found.window
        over = f" over {window} steps" if window > 1 else ""
        self.ax_.set(xlabel="step", ylabel=f"singular value{over}")
        set_title(self.ax_, self.found.label, legend=False)
        self.ax_.legend(frameon=False, fontsize=8)
        return self
