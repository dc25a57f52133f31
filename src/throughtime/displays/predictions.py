"""Predicted against observed values: over time where there are steps, else one against the other."""

from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

OBSERVED, PREDICTED = "#333333", "#d1495b"


class PredictionsDisplay:
    """Observed values and what was predicted for them.

    Parameters
    ----------
    observed, predicted
        One each.
    times
        When each was, for values at steps; ``None`` draws one against the other.
    target
        What the values are, with their unit.
    """

    def __init__(
        self, observed: ndarray, predicted: ndarray, times: ndarray | None = None, target: str = "target"
    ) -> None:
        self.observed, self.predicted, self.times, self.target = observed, predicted, times, target

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a figure of its own."""
        size = (5, 4.6) if self.times is None else (9, 3.2)
        self.ax_ = Figure(figsize=size, layout="constrained").subplots() if ax is None else ax
        self.figure_ = self.ax_.figure
        if self.times is None:
            self._scatter()
        else:
            self._over_time(self.times)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self

    def _over_time(self, times: ndarray) -> None:
        order = np.argsort(times, kind="stable")
        self.ax_.plot(times[order], self.observed[order], color=OBSERVED, lw=0.9, label="observed")
        self.ax_.plot(times[order], self.predicted[order], color=PREDICTED, lw=0.9, label="predicted")
        self.ax_.set(ylabel=self.target)
        self.ax_.margins(x=0.01)
        self.ax_.legend(frameon=False, ncols=2, loc="upper right")

    def _scatter(self) -> None:
        both = np.concatenate([self.observed, self.predicted])
        ends = (both.min(), both.max())
        self.ax_.plot(ends, ends, color=OBSERVED, lw=0.8, ls=":")
        self.ax_.plot(self.observed, self.predicted, ".", color=PREDICTED, ms=4, alpha=0.6)
        self.ax_.set(xlabel=f"observed {self.target}", ylabel=f"predicted {self.target}")
