"""Where gates are saturated: a map of the gates of each layer over time."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from throughtime.displays.canvas import axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.stability import Saturation


class SaturationDisplay:
    """Fraction of each gate that is saturated at each step; a row per layer, direction and gate.

    Of a gate that keeps the state only its low end counts, as near 1 it remembers; its row says so.

    Parameters
    ----------
    saturation
        What ``throughtime.stability.saturation`` gave.

    Attributes
    ----------
    fractions
        What is drawn, (gate, step), NaN where no series has the step.
    labels
        Of the rows.
    ax_, figure_, image_, colorbar_
        What ``plot`` drew.
    """

    #: Inches, of a new figure; the height for a few gates.
    figsize = 6.4, 1.4

    def __init__(self, saturation: Sequence[Saturation]) -> None:
        if not saturation:
            raise ParameterError("SaturationDisplay needs a cell with gates or tanh units, got none")
        self.labels = [f"{one.label} {one.gate}" + (" (low end)" if one.keeps else "") for one in saturation]
        longest = max(len(one.low) for one in saturation)
        self.fractions = np.full((len(saturation), longest), np.nan)
        for row, one in zip(self.fractions, saturation, strict=True):
            row[: len(one.low)] = one.low if one.keeps else one.low + one.high

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        width, height = self.figsize
        self.ax_ = axes_for(ax, (width, height + 0.22 * len(self.labels)))
        self.figure_: Any = self.ax_.figure
        self.image_ = self.ax_.imshow(
            self.fractions,
            cmap="magma_r",
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="none",
        )
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="fraction saturated", pad=0.02)
        self.ax_.set_yticks(range(len(self.labels)), self.labels, fontsize=8)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="step")
        worst = int(np.argmax(np.nanmean(self.fractions, 1)))
        fraction = float(np.nanmean(self.fractions[worst]))
        set_title(self.ax_, f"most: {fraction:.0%} of {self.labels[worst]}", legend=False)
        return self
