"""The weights that make reference series like deployed ones, and how many series are left with them."""

from typing import Any, Self

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy import ndarray

from throughtime.displays.canvas import TRAINING, axes_for, set_title
from throughtime.errors import ParameterError


class WeightsDisplay:
    """A histogram of weights whose mean is 1, with the effective sample size above it.

    Parameters
    ----------
    weights
        One per series, in any unit.

    Attributes
    ----------
    effective
        (sum of weights)² / sum of squared weights (Kish, 1965).
    ax_, figure_, bars_
        What ``plot`` drew.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.4

    def __init__(self, weights: Float[ndarray, "series"]) -> None:
        weights = np.asarray(weights, float)
        if weights.ndim != 1 or not len(weights) or not np.isfinite(weights).all() or weights.min() < 0:
            raise ParameterError(f"{type(self).__name__} needs weights of series, 0 or more, got {weights!r:.60}")
        if not weights.any():
            raise ParameterError(f"{type(self).__name__} needs a weight above 0, got none")
        self.weights = weights / weights.mean()
        self.effective = float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    @classmethod
    def from_weights(cls, weights: Float[ndarray, "series"], *, ax: Axes | None = None) -> Self:
        """Draw weights."""
        return cls(weights).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        n = len(self.weights)
        top = max(float(self.weights.max()), 1.5)
        _, _, self.bars_ = self.ax_.hist(self.weights, bins=30, range=(0, top), color=TRAINING, alpha=0.75)
        self.ax_.axvline(1, color="#777777", lw=0.8, ls="--")
        self.ax_.set(xlabel="weight (mean 1, dashed)", ylabel="reference series", xlim=(0, top))
        fraction = self.effective / n
        set_title(self.ax_, f"effective sample size {self.effective:.0f} of {n} ({fraction:.0%})", legend=False)
        return self
