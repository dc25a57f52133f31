"""How far a step moved each gate of the weights, on a logarithmic axis around 1e-3."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from throughtime.displays.canvas import TRAINING, axes_for, set_title
from throughtime.stability import UpdateRatio


class UpdateRatioDisplay:
    """A dot per gate of each weight; a bias, or what was zero before the step, is left out.

    Parameters
    ----------
    ratios
        What ``throughtime.stability.update_ratio`` gave.

    Attributes
    ----------
    labels
        Of the rows.
    ax_, figure_, points_
        What ``plot`` drew.
    """

    #: Inches, of a new figure; the height for a few rows.
    figsize = 5.4, 1.2

    def __init__(self, ratios: Sequence[UpdateRatio]) -> None:
        shown = [one for one in ratios if "weight" in one.tensor and 0 < one.ratio < np.inf]
        self.labels = [f"{one.tensor} {one.gate}".rstrip() for one in shown]
        self.ratios = np.array([one.ratio for one in shown])

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        width, height = self.figsize
        self.ax_ = axes_for(ax, (width, height + 0.2 * len(self.labels)))
        self.figure_: Any = self.ax_.figure
        places = np.arange(len(self.labels))
        self.ax_.axvspan(1e-4, 1e-2, color="0.93", lw=0)
        self.ax_.axvline(1e-3, color="#777777", lw=0.8, ls="--")
        self.points_ = self.ax_.scatter(self.ratios, places, color=TRAINING, s=24, zorder=3)
        self.ax_.set_xscale("log")
        low, high = (self.ratios.min(), self.ratios.max()) if len(self.ratios) else (1e-3, 1e-3)
        self.ax_.set_xlim(min(low / 2, 5e-5), max(high * 2, 2e-2))
        self.ax_.set_yticks(places, self.labels, fontsize=8)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="norm of the step over norm of the weights")
        set_title(self.ax_, "shaded: a decade around 1e-3", legend=False)
        return self
