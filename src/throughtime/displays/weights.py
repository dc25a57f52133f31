"""The weights that make reference series like deployed ones, and how many series are left with them."""

from typing import Any, Self

from matplotlib.axes import Axes

from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, set_title
from throughtime.shift import CovariateWeights


class WeightsDisplay:
    """A histogram of weights whose mean is 1, with the effective sample size above it.

    Parameters
    ----------
    weights
        What ``throughtime.shift.covariate_weights`` gave.

    Attributes
    ----------
    ax_, figure_, bars_
        What ``plot`` drew.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.4

    def __init__(self, weights: CovariateWeights) -> None:
        self.weights = weights

    @classmethod
    def from_weights(cls, weights: CovariateWeights, *, ax: Axes | None = None) -> Self:
        """Draw weights."""
        return cls(weights).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        found = self.weights
        top = max(float(found.weights.max()), 1.5)
        color = TRAINING if found.usable else VALIDATION
        _, _, self.bars_ = self.ax_.hist(found.weights, bins=30, range=(0, top), color=color, alpha=0.75)
        self.ax_.axvline(1, color="#777777", lw=0.8, ls="--")
        self.ax_.set(xlabel="weight (mean 1, dashed)", ylabel="reference series", xlim=(0, top))
        size = f"{found.effective_size:.0f} of {len(found.weights)} ({found.effective_fraction:.0%})"
        words = f"effective sample size {size}" + ("" if found.usable else ": too few to rest on")
        set_title(self.ax_, words, legend=False)
        return self
