"""Whole series, or steps with their history, as rows of one length for models that know no time.

Whatever is learned here (means that stand for missing values, scales, sizes) comes from the series of ``fit`` alone.
"""

from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.data.moments import weighted_moments
from throughtime.data.sequences import Sequences

_MOST_COLUMNS = 512  # a resampled series may fill; more would make a linear model slow, not better
_MOST_POINTS = 32


class _Scaling:
    """Training means and deviations of columns; a missing value becomes the mean, that is 0."""

    def fit(self, values: Float[ndarray, "row column"]) -> Self:
        self.mean_, self.scale_ = weighted_moments(values, np.ones(len(values)))
        return self

    def transform(self, values: Float[ndarray, "row column"]) -> Float[ndarray, "row column"]:
        scaled: ndarray = (values - self.mean_) / self.scale_
        scaled[np.isnan(scaled)] = 0
        return scaled


class SeriesRows:
    """Each series as one row: resampled in time by linear interpolation, then its static features.

    Parameters
    ----------
    summaries
        Add mean, deviation, minimum, maximum, first, last and slope of every channel, and the log of the length.
    """

    def __init__(self, *, summaries: bool) -> None:
        self.summaries = summaries

    def fit(self, X: Sequences) -> Self:
        """Learn scales and the number of points, the median length within bounds."""
        self.scaling_ = _Scaling().fit(X.values)
        self.static_scaling_ = None if X.static is None else _Scaling().fit(X.static)
        longest = max(2, min(_MOST_POINTS, _MOST_COLUMNS // X.n_channels))
        self.n_points_ = int(np.clip(np.median(X.lengths), 2, longest))
        return self

    def transform(self, X: Sequences) -> Float[ndarray, "series feature"]:
        """Give the rows of any series with the same channels and static features."""
        values, starts, lengths = self.scaling_.transform(X.values), X.offsets[:-1], X.lengths
        positions = np.linspace(0, 1, self.n_points_) * (lengths[:, None] - 1)
        before = np.floor(positions).astype(np.intp)
        after = np.minimum(before + 1, lengths[:, None] - 1)
        weight = (positions - before)[..., None]
        points = (1 - weight) * values[starts[:, None] + before] + weight * values[starts[:, None] + after]
        parts = [points.reshape(len(X), -1)]
        if self.summaries:
            parts += _summaries(values, starts, lengths)
        if self.static_scaling_ is not None:
            parts.append(self.static_scaling_.transform(np.asarray(X.static)))
        return np.concatenate(parts, axis=1)


class StepRows:
    """Each step as one row: static features, then the inputs now and in windows that double as they reach back.

    The windows are lags 0, 1, 2, 3, 4-7, 8-15, 16-31, ...: the last few steps as they are, means before that.  Rows
    with a shorter history are the first columns of rows with a longer one.  Where a series has just begun, a window
    is cut to the steps there are, at the least to the series' first.
    """

    def fit(self, X: Sequences, rows: Int[ndarray, "row"]) -> Self:
        """Learn scales from all steps; reach back as far as half of the training ``rows`` can."""
        self.scaling_ = _Scaling().fit(X.values)
        self.static_scaling_ = None if X.static is None else _Scaling().fit(X.static)
        reach = int(np.median(steps_within(X.lengths)[rows]))
        self.windows_ = [(lag, lag) for lag in range(min(reach, 3) + 1)]
        while self.windows_[-1][1] < reach and len(self.windows_) >= 4:
            begin = self.windows_[-1][1] + 1
            self.windows_.append((begin, 2 * begin - 1))
        n_static = 0 if X.static is None else X.static.shape[1]
        # How much of a row to choose from: the step alone, its four lags, then one more window at a time.
        counts = sorted({1, min(4, len(self.windows_)), *range(4, len(self.windows_) + 1)})
        self.widths_ = [n_static + count * X.n_channels for count in counts]
        return self

    def transform(self, X: Sequences, rows: Int[ndarray, "row"]) -> Float[ndarray, "row feature"]:
        """Give the rows of the steps ``rows``, numbered over all series one after the other."""
        age = steps_within(X.lengths)[rows]
        oldest = int((rows - np.minimum(self.windows_[-1][1], age)).min())
        values = self.scaling_.transform(X.values[oldest : rows.max() + 1])
        # Sums up to each step make any window two look-ups; scaled values keep the differences accurate.
        sums = np.concatenate([np.zeros((1, X.n_channels)), values.cumsum(0)])
        parts = []
        if self.static_scaling_ is not None:
            series = np.repeat(np.arange(len(X)), X.lengths)[rows]
            parts.append(self.static_scaling_.transform(np.asarray(X.static))[series])
        for nearest, farthest in self.windows_:
            near, far = np.minimum(nearest, age), np.minimum(farthest, age)
            window_sums = sums[rows - oldest - near + 1] - sums[rows - oldest - far]
            parts.append(window_sums / (far - near + 1)[:, None])
        return np.concatenate(parts, axis=1)


def steps_within(lengths: Int[ndarray, "series"]) -> Int[ndarray, "step"]:
    """The place of every step in its own series: 0, 1, ... for each of these lengths."""
    places: ndarray = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return places


def _summaries(
    values: Float[ndarray, "step channel"], starts: Int[ndarray, "series"], lengths: Int[ndarray, "series"]
) -> list[Any]:
    """Mean, deviation, extremes, ends and slope of every channel of every series, and the log of its length."""
    n = lengths[:, None]
    mean = np.add.reduceat(values, starts) / n
    centered = values - np.repeat(mean, lengths, axis=0)
    deviation = np.sqrt(np.add.reduceat(centered**2, starts) / n)
    clock = np.concatenate([np.arange(length) - (length - 1) / 2 for length in lengths])[:, None]
    spread = np.where(n > 1, n * (n**2 - 1) / 12, 1)  # sum of squares of the clock; a single step has slope 0
    slope = np.add.reduceat(clock * values, starts) / spread
    extremes = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return [mean, deviation, *extremes, values[starts], values[starts + lengths - 1], slope, np.log(n)]
