"""The Lyapunov exponents of each layer, in order: how many directions of its state grow, how fast the others die."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from throughtime.displays.canvas import LAYER_COLORS, axes_for, set_title
from throughtime.stability import LyapunovSpectrum


class LyapunovDisplay:
    """Exponents from the largest on: the mean over the series, and their range; above the line directions grow.

    Parameters
    ----------
    spectra
        What ``throughtime.stability.lyapunov_exponents`` gave.

    Attributes
    ----------
    ax_, figure_, lines_
        What ``plot`` drew; lines by layer.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.6

    def __init__(self, spectra: Sequence[LyapunovSpectrum]) -> None:
        self.spectra = spectra

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        self.ax_.axhline(0, color="#777777", lw=0.8, ls="--")
        for number, found in enumerate(self.spectra):
            color, places = LAYER_COLORS[number % len(LAYER_COLORS)], np.arange(1, len(found.exponents) + 1)
            # a direction that a step erases has no place on the axis
            shown = np.where(np.isfinite(found.exponents), found.exponents, np.nan)
            there = ~np.isnan(shown).any(1)
            (self.lines_[found.label],) = self.ax_.plot(
                places[there], shown[there].mean(1), color=color, lw=1.5, marker=".", label=found.label
            )
            self.ax_.fill_between(
                places[there], shown[there].min(1), shown[there].max(1), color=color, alpha=0.15, lw=0
            )
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="exponent, from the largest", ylabel="ln of the growth per step")
        largest = max(float(found.exponents[0].mean()) for found in self.spectra)
        set_title(self.ax_, f"largest exponent {largest:.3g} per step", legend=False)
        if len(self.spectra) > 1:
            self.ax_.legend(frameon=False, fontsize=8)
        return self
