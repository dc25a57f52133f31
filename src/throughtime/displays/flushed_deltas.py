"""Which fraction of the deltas a number format loses, at each step of each layer."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from throughtime.displays.canvas import LAYER_COLORS, axes_for, set_title
from throughtime.stability import FlushedDeltas


class FlushedDeltasDisplay:
    """A line per layer and direction over the steps that the loss depends on.

    Parameters
    ----------
    flushed
        What ``throughtime.stability.flushed_deltas`` gave.

    Attributes
    ----------
    ax_, figure_, lines_
        What ``plot`` drew; lines by layer.
    """

    #: Inches, of a new figure.
    figsize = 6.0, 3.0

    def __init__(self, flushed: Sequence[FlushedDeltas]) -> None:
        self.flushed = flushed

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        for number, found in enumerate(self.flushed):
            color = LAYER_COLORS[number % len(LAYER_COLORS)]
            steps = np.arange(len(found.by_step))
            (self.lines_[found.label],) = self.ax_.plot(steps, found.by_step, color=color, lw=1.5, label=found.label)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.yaxis.set_major_formatter(PercentFormatter(1))
        smallest, dtype = self.flushed[0].smallest, self.flushed[0].dtype
        self.ax_.set(xlabel="step", ylabel=f"deltas below {smallest:.2g}", ylim=(-0.03, 1.03))
        fractions = [found.fraction for found in self.flushed if not np.isnan(found.fraction)]
        set_title(self.ax_, f"{dtype}: at most {max(fractions, default=0):.1%} of a layer's deltas", legend=False)
        if len(self.flushed) > 1:
            self.ax_.legend(frameon=False, fontsize=8)
        return self
