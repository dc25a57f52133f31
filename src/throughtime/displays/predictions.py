"""Predicted against observed values: over time where each has a time of its own, else one against the other."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

OBSERVED, PREDICTED = "#333333", "#d1495b"

#: A line breaks where nothing was observed for more than so many of the usual steps.
LONGEST_GAP = 5
#: From so many on, points are drawn lighter.
MANY = 1_000


class PredictionsDisplay:
    """Observed values and what was predicted for them.

    Parameters
    ----------
    observed, predicted
        One each.
    times
        When each was, numbers or dates. Without them, or when several values share a time as those of different series
        may, one is drawn against the other.
    target
        What the values are, with their unit.
    time
        What times that are numbers count.
    """

    def __init__(
        self,
        observed: ndarray,
        predicted: ndarray,
        times: ndarray | None = None,
        target: str = "target",
        time: str = "time",
    ) -> None:
        self.observed, self.predicted = np.asarray(observed), np.asarray(predicted)
        self.target, self.time = target, time
        shared = times is None or len(np.unique(times)) < len(times)
        self.times = None if shared else times

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a figure of its own."""
        size = (5, 4.8) if self.times is None else (9, 3.2)
        self.ax_ = Figure(figsize=size, layout="constrained").subplots() if ax is None else ax
        self.figure_: Any = self.ax_.figure
        if self.times is None:
            self._scatter()
        else:
            self._over_time(self.times)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self

    def _over_time(self, times: ndarray) -> None:
        order = np.argsort(times)
        when = times[order]
        steps = np.diff(when)
        far = steps > LONGEST_GAP * np.median(steps) if len(steps) else np.zeros(0, dtype=bool)
        alone = np.append(True, far) & np.append(far, True)
        breaks = np.flatnonzero(far) + 1
        line_times = np.insert(when, breaks, when[breaks - 1])
        for values, color, name in (
            (self.observed[order], OBSERVED, "observed"),
            (self.predicted[order], PREDICTED, "predicted"),
        ):
            line = np.insert(values.astype(np.float64), breaks, np.nan)
            self.ax_.plot(line_times, line, color=color, lw=0.9, label=name)
            self.ax_.plot(when[alone], values[alone], ".", color=color, ms=3)
        self.ax_.set(ylabel=self.target)
        if times.dtype.kind != "M":
            self.ax_.set(xlabel=self.time)
        self.ax_.margins(x=0.01)
        self.ax_.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)

    def _scatter(self) -> None:
        both = np.concatenate([self.observed, self.predicted])
        ends = (both.min(), both.max())
        self.ax_.plot(ends, ends, color=OBSERVED, lw=0.8, ls=":")
        light = len(self.observed) >= MANY
        self.ax_.plot(
            self.observed,
            self.predicted,
            ".",
            color=PREDICTED,
            ms=3 if light else 6,
            alpha=0.2 if light else 0.6,
            mew=0,
        )
        self.ax_.set(xlabel=f"observed {self.target}", ylabel=f"predicted {self.target}")
        self.ax_.set_aspect("equal", "box")
        for axis in (self.ax_.xaxis, self.ax_.yaxis):
            axis.set_major_locator(MaxNLocator(5))
