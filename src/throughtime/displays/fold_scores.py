"""The score of every model on every fold, with the mean and its interval."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.generalization import Interval

#: Inches of a row, and of what is above and below them all.
ROW, REST = 0.42, 1.0


class FoldScoresDisplay:
    """A row per model: a dot per fold, a diamond for the mean, a bar for its interval; the last model in another color.

    Parameters
    ----------
    scores
        By model, one score per fold; NaN where there is none.
    intervals
        By model, the mean over folds and its interval.
    score
        What the score is called.

    Attributes
    ----------
    ax_, figure_
        What ``plot`` drew into.
    dots_, bars_
        What it drew by model; no bar where there is no interval.

    Raises
    ------
    ParameterError
        When no model has a score on any fold.
    """

    def __init__(
        self, scores: Mapping[str, Sequence[float]], intervals: Mapping[str, Interval], score: str = "score"
    ) -> None:
        self.scores = {name: np.asarray(values, float) for name, values in scores.items()}
        if not any(np.isfinite(values).any() for values in self.scores.values()):
            raise ParameterError(f"FoldScoresDisplay needs a score on some fold, got none of {score}")
        self.intervals, self.score = dict(intervals), score
        #: Inches, of a new figure.
        self.figsize = 6.0, REST + ROW * len(self.scores)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.dots_: dict[str, Any] = {}
        self.bars_: dict[str, Any] = {}
        *_, last = self.scores
        for row, (name, values) in enumerate(self.scores.items()):
            color = VALIDATION if name == last else TRAINING
            # side by side where many folds have the same score
            places = row + 0.16 + 0.1 * np.sin(2.4 * np.arange(len(values)))
            (self.dots_[name],) = self.ax_.plot(values, places, "o", color=color, ms=5, alpha=0.6, mew=0)
            interval = self.intervals.get(name)
            if interval is None or math.isnan(interval.mean):
                continue
            self.ax_.plot([interval.mean], [row - 0.12], "D", color=color, ms=5)
            if interval.low is not None and interval.high is not None:
                ends = [interval.low, interval.high]
                (self.bars_[name],) = self.ax_.plot(ends, [row - 0.12] * 2, color=color, lw=1.8)
        self.ax_.set(
            yticks=range(len(self.scores)),
            yticklabels=list(self.scores),
            ylim=(len(self.scores) - 0.5, -0.5),
            xlabel=self.score,
        )
        self.ax_.tick_params(axis="y", length=0)
        set_title(self.ax_, "each fold (dots), mean and its interval", legend=False)
        return self
