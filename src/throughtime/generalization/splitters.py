"""Folds in time, with what touches the test series left out of training.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7.4, purged K-fold cross-validation;
Tashman (2000), Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16, 437-450, which
calls walking forward a rolling origin.
"""

from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from sklearn.model_selection import BaseCrossValidator, TimeSeriesSplit

from throughtime.data import Sequences, shares_steps
from throughtime.errors import DataError, ParameterError


class _TimeSplit(BaseCrossValidator):  # type: ignore[misc]
    """Blocks of time, each tested by what was trained on the series that lie apart from it."""

    n_splits: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002
        """The number of folds."""
        return int(self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[ndarray, ndarray]]:  # noqa: ARG002
        """Rows to train on and rows to test, for each fold.

        Raises
        ------
        DataError
            If there are fewer series than folds need, or a fold has nothing left to train on.
        """
        where = spans(X)
        before, after = self._distances()
        for fold, test in enumerate(self._blocks(in_order(where))):
            train = apart(X, where, test, before=before, after=after)
            if not len(train):
                raise DataError(f"{type(self).__name__} needs series to train on, got none {self._trained(fold)}")
            yield train, np.sort(test)

    def _blocks(self, order: Int[ndarray, "series"]) -> list[ndarray]:
        """Of the series in order of time those that each fold tests."""
        raise NotImplementedError

    def _distances(self) -> tuple[float, float]:
        """How far before and after a block series must lie to be trained on."""
        raise NotImplementedError

    def _trained(self, fold: int) -> str:
        """Where series to train on were looked for, and what leaves more."""
        raise NotImplementedError


class PurgedTimeSeriesSplit(_TimeSplit):
    """K folds, each tested on a stretch of time and trained on what lies far enough before and after it.

    Parameters
    ----------
    n_splits
        Number of folds; every series is tested once.
    purge
        Distance kept on either side of the test stretch, at the least the reach of a target: training series any nearer
        are left out. It counts steps, from the test's first to its last, where `Sequences` have times (of the median
        time between two steps) or are windows of one series; else it counts series, which must then be in order of
        time.
    embargo
        More of the same after the test stretch, for what the test series still influence.

    Notes
    -----
    Windows of one series never have a step on both sides, purge or not: a training window with a step in the test
    stretch is left out, though it be a step of its history, which is input alone. The history of a test window may
    reach back into training, as it will in use.

    Training on what comes after the test is no forecast: `WalkForwardSplit` trains on the past alone.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import PurgedTimeSeriesSplit
    >>> for train, test in PurgedTimeSeriesSplit(3, purge=1, embargo=1).split(np.zeros(9)):
    ...     print(train, test)
    [5 6 7 8] [0 1 2]
    [0 1 8] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    """

    n_splits: int
    purge: float
    embargo: float

    def __init__(self, n_splits: int = 5, *, purge: float = 0, embargo: float = 0) -> None:
        self.n_splits = _checked_number(n_splits)
        self.purge = _checked_distance("purge", purge)
        self.embargo = _checked_distance("embargo", embargo)

    def _blocks(self, order: Int[ndarray, "series"]) -> list[ndarray]:
        if len(order) < self.n_splits:
            raise DataError(
                f"Cannot have number of splits n_splits={self.n_splits} greater than the number of samples: "
                f"{len(order)}"
            )
        return np.array_split(order, self.n_splits)

    def _distances(self) -> tuple[float, float]:
        return self.purge, self.purge + self.embargo

    def _trained(self, fold: int) -> str:
        return (
            f"in fold {fold} with purge={self.purge}, embargo={self.embargo}; smaller ones, or shorter windows or "
            "history, leave some"
        )


class WalkForwardSplit(_TimeSplit):
    """K blocks of time after a first one, each tested by what was trained on everything before it.

    Parameters
    ----------
    n_splits
        Number of folds. The first block, which is never tested, takes the series that are over.
    gap
        Distance kept before the test block, at the least the reach of a target: training series any nearer are left
        out. It counts as the purge of `PurgedTimeSeriesSplit` does.

    Notes
    -----
    Without times or windows it is `sklearn.model_selection.TimeSeriesSplit`. Where series overlap, only those that end
    before the test block begins are trained on; the history of a test window may reach back into training.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import WalkForwardSplit
    >>> for train, test in WalkForwardSplit(3, gap=1).split(np.zeros(9)):
    ...     print(train, test)
    [0 1] [3 4]
    [0 1 2 3] [5 6]
    [0 1 2 3 4 5] [7 8]
    """

    n_splits: int
    gap: float

    def __init__(self, n_splits: int = 5, *, gap: float = 0) -> None:
        self.n_splits = _checked_number(n_splits)
        self.gap = _checked_distance("gap", gap)

    def _blocks(self, order: Int[ndarray, "series"]) -> list[ndarray]:
        if len(order) <= self.n_splits:
            raise DataError(
                f"Cannot have number of folds={self.n_splits + 1} greater than the number of samples={len(order)}"
            )
        size = len(order) // (self.n_splits + 1)
        first = len(order) - self.n_splits * size
        return [order[begin : begin + size] for begin in range(first, len(order), size)]

    def _distances(self) -> tuple[float, float]:
        return self.gap, np.inf

    def _trained(self, fold: int) -> str:
        return f"that end before fold {fold} with gap={self.gap}; a smaller gap, or fewer folds, leave some"


#: These divide by time, whatever the groups are; those of ours look at the series themselves.
OWN_TIME_SPLITS = PurgedTimeSeriesSplit, WalkForwardSplit
TIME_SPLITS = TimeSeriesSplit, *OWN_TIME_SPLITS


class Spans(NamedTuple):
    """When each series is first read, its history included, begins, and has its last step."""

    reads: Float[ndarray, "series"]
    begins: Float[ndarray, "series"]
    ends: Float[ndarray, "series"]


def spans(X: Any) -> Spans:
    """Where each series lies in time: in steps with times, or of windows of one series; else by position."""
    if isinstance(X, Sequences) and len(X):
        source = X.source
        history = np.zeros(len(X), np.int64) if source is None else source.history
        if X.times_of(0) is not None:
            clocks = [_clock(X, at) for at in (np.zeros_like(history), history, X.lengths - 1)]
            origin, step = clocks[0].min(), _step(X)  # small numbers, that float64 holds exactly
            # What rounding leaves of a step of 0.1 would decide whether neighbors are apart.
            return Spans(*(np.round((clock - origin) / step, 6) for clock in clocks))
        if source is not None and of_one_series(X):
            first = source.begins.astype(float)
            return Spans(first, first + history, first + X.lengths - 1)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    position = np.arange(n, dtype=float)
    return Spans(position, position, position)


def _clock(X: Sequences, steps: Int[ndarray, "series"]) -> ndarray:
    """When one step of each series is, as a number; windows that overlap have far more times than there are."""
    return _numbers(X.cut(np.arange(len(X)), steps, steps + 1).times)


def _step(X: Sequences) -> float:
    """The median time from one step to the next."""
    X = X[:: max(1, X.n_steps // len(X.buffer))]  # each step of windows that overlap about once
    clock = _numbers(X.times)
    within = np.ones(len(clock), dtype=bool)
    within[X.offsets[:-1]] = False
    steps = np.diff(clock, prepend=clock[:1])[within] if within.any() else np.diff(np.unique(clock))
    return float(np.median(steps)) if len(steps) else 1.0


def _numbers(times: ndarray | None) -> ndarray:
    assert times is not None
    return times.astype("datetime64[ns]").astype(np.int64) if times.dtype.kind == "M" else times


def of_one_series(X: Sequences) -> bool:
    """Whether X are windows, all of one series."""
    source = X.source
    return source is not None and len(X) > 0 and bool((source.series == source.series[0]).all())


def groups_of(X: Sequences) -> Shaped[ndarray, "series"] | None:
    """The groups of X; of windows of several series that bring none, the series that each was cut from."""
    source = X.source
    return X.groups if X.groups is not None or source is None or of_one_series(X) else source.series


def divided_in_time(X: Sequences, groups: ndarray | None) -> bool:
    """Whether X are windows of one series, without groups that could be kept whole instead."""
    return of_one_series(X) and (groups is None or len(np.unique(groups)) == 1)


def number_series(X: Sequences, groups: ndarray | None) -> bool:
    """Whether groups only say which series each window is of, as they do where nobody gave others."""
    source = X.source
    if source is None or groups is None:
        return False
    codes = [np.unique(labels, return_inverse=True)[1].ravel() for labels in (groups, source.series)]
    n_pairs = np.unique(np.stack(codes), axis=1).shape[1]
    return bool(n_pairs == codes[0].max(initial=-1) + 1 == codes[1].max(initial=-1) + 1)


def lie_apart_in_time(X: Sequences, splits: Iterable[tuple[ndarray, ndarray]]) -> bool:
    """Whether X has times, and all that is trained on is over before the test begins or begins when it is over."""
    if not len(X) or X.times_of(0) is None:
        return False
    where = spans(X)
    return all(
        bool(((where.ends[train] < where.begins[test].min()) | (where.reads[train] > where.ends[test].max())).all())
        for train, test in splits
    )


def apart(X: Any, where: Spans, test: ndarray, *, before: float, after: float = np.inf) -> ndarray:
    """The series that lie more than a distance before or after those of the test, and share no step with them.

    Without ``after`` it is those before alone.
    """
    begin, end = where.begins[test].min(), where.ends[test].max()
    away = (where.ends < begin - before) | (where.reads > end + after)
    away[test] = False
    train = np.flatnonzero(away)
    if isinstance(X, Sequences):  # windows of several series without times are told apart by their series alone
        train = train[~shares_steps(X, train, test, history=True)]
    return train


def in_order(where: Spans) -> ndarray:
    """Indices of the series by their first own step."""
    order: ndarray = np.lexsort([where.ends, where.begins])
    return order


def _checked_number(n_splits: int) -> int:
    if not isinstance(n_splits, Integral) or n_splits < 2:
        raise ParameterError(f"n_splits needs a whole number of at least 2, got {n_splits!r}")
    return n_splits


def _checked_distance(name: str, distance: float) -> float:
    if not isinstance(distance, Real) or not 0 <= distance < np.inf:
        raise ParameterError(f"{name} needs a finite number of at least 0, got {distance!r}")
    return distance
