"""Predicted against observed values: over time where no two have the same time, else one against the other."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import MaxNLocator
from numpy import ndarray
from sklearn.base import is_regressor
from sklearn.metrics import r2_score

from throughtime.data import Sequences
from throughtime.displays.canvas import OBSERVED, PREDICTED, axes_for, set_title
from throughtime.displays.pairs import pair_up, unscored_steps

#: A line breaks where nothing was observed for more than so many of the usual steps.
LONGEST_GAP = 5
#: From so many on, points are drawn lighter.
MANY = 1_000


class PredictionsDisplay:
    """Observed values and what was predicted for them.

    Parameters
    ----------
    observed, predicted
        One number per example.
    times
        One per example, numbers or dates. Without them, or when several values have the same time, as those of
        different series may, one is drawn against the other.
    target
        What the values are, with their unit.
    time
        What times that are numbers count.

    Attributes
    ----------
    lines_
        What ``plot`` drew of observed and of predicted values; or the points of one against the other.
    ax_, figure_
        What it drew into.
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

    @property
    def figsize(self) -> tuple[float, float]:
        """Width and height in inches."""
        return (5, 4.8) if self.times is None else (9, 3.2)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Predict the series of X with a fitted regressor, and draw; ``options`` as `from_predictions` takes them.

        ``X[3:4], y[3:4]`` draws one series over its time.

        Raises
        ------
        ValueError
            For what is no regressor.
        """
        if not is_regressor(estimator):
            raise ValueError(f"{cls.__name__}.from_estimator only supports regressors")
        return cls._of_pairs(y, estimator.predict(X), unscored_steps(estimator), **options)

    @classmethod
    def from_predictions(cls, y_true: Any, y_pred: Any, **options: Any) -> Self:
        """Draw what was predicted for which truth, such as what ``cross_val_predict`` gives.

        Parameters
        ----------
        y_true, y_pred
            One number per series, or ``Sequences`` with one per step: the times of ``y_pred`` are then its steps',
            and a single series without times is drawn by step. The first steps of a series that have no prediction
            (NaN), as those of a forecast, are left out.
        options
            ``times``, one per observed value; ``target`` and ``time``, what is on the axes, as the class has
            them; ``ax``.
        """
        return cls._of_pairs(y_true, y_pred, 0, **options)

    @classmethod
    def _of_pairs(
        cls,
        y_true: Any,
        y_pred: Any,
        unscored: int,
        *,
        times: ndarray | None = None,
        target: str = "target",
        time: str = "time",
        ax: Axes | None = None,
    ) -> Self:
        truth, predicted, rows = pair_up(y_true, y_pred, unscored)
        if times is None and isinstance(y_pred, Sequences):
            if y_pred.times is not None:
                times = y_pred.times[rows]
            elif len(y_pred) == 1:
                times, time = rows, "step"
        return cls(truth, predicted, times, target, time).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_ = [self._scatter()] if self.times is None else self._over_time(self.times)
        n = len(self.observed)
        title = f"{n} predictions"
        if n > 1 and np.ptp(self.observed) > 0:  # else there is no R squared
            title += f", R² {r2_score(self.observed, self.predicted):.2f}"
        set_title(self.ax_, title, legend=self.times is not None)
        return self

    def _over_time(self, times: ndarray) -> list[Any]:
        order = np.argsort(times)
        when = times[order]
        steps = np.diff(when)
        far = steps > LONGEST_GAP * np.median(steps) if len(steps) else np.zeros(0, dtype=bool)
        isolated = np.append(True, far) & np.append(far, True)
        breaks = np.flatnonzero(far) + 1
        line_times = np.insert(when, breaks, when[breaks - 1])
        lines = []
        for values, color, name in (
            (self.observed[order], OBSERVED, "observed"),
            (self.predicted[order], PREDICTED, "predicted"),
        ):
            line = np.insert(values.astype(np.float64), breaks, np.nan)
            lines += self.ax_.plot(line_times, line, color=color, lw=0.9, label=name)
            self.ax_.plot(when[isolated], values[isolated], ".", color=color, ms=3)
        self.ax_.set(ylabel=self.target)
        if times.dtype.kind == "M":
            locator = AutoDateLocator()  # type: ignore[no-untyped-call]
            self.ax_.xaxis.set_major_locator(locator)
            self.ax_.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        else:
            self.ax_.set(xlabel=self.time)
        self.ax_.margins(x=0.01)
        return lines

    def _scatter(self) -> Any:
        both = np.concatenate([self.observed, self.predicted])
        ends = (both.min(), both.max())
        self.ax_.plot(ends, ends, color=OBSERVED, lw=0.8, ls=":")
        light = len(self.observed) >= MANY
        (points,) = self.ax_.plot(
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
        return points
