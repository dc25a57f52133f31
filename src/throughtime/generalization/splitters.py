"""``PurgedTimeSeriesSplit``: folds in time, with what touches the test series left out of training.

Reference: Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7.4, purged K-fold cross-validation.
"""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import BaseCrossValidator

from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError


class PurgedTimeSeriesSplit(BaseCrossValidator):  # type: ignore[misc]
    """K folds, each tested on a stretch of time and trained on what lies far enough before and after it.

    Parameters
    ----------
    n_splits
        Number of folds; every series is tested once.
    purge
        Distance kept on either side of the test stretch, at the least the reach of a target or of a window: training
        series any nearer are left out. With `Sequences` that have times it counts steps (of the median time between
        two steps), from the test's first to its last; else it counts series, which must then be in order of time.
    embargo
        More of the same after the test stretch, for what the test series still influence.

    Notes
    -----
    Training on what comes after the test is no forecast. `sklearn.model_selection.TimeSeriesSplit` trains on the past
    alone.

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
        if not isinstance(n_splits, Integral) or n_splits < 2:
            raise ParameterError(f"n_splits needs a whole number of at least 2, got {n_splits!r}")
        for name, distance in (("purge", purge), ("embargo", embargo)):
            if not isinstance(distance, Real) or not 0 <= distance < np.inf:
                raise ParameterError(f"{name} needs a finite number of at least 0, got {distance!r}")
        self.n_splits = n_splits
        self.purge = purge
        self.embargo = embargo

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002
        """The number of folds."""
        return int(self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[ndarray, ndarray]]:  # noqa: ARG002
        """Rows to train on and rows to test, for each fold.

        Raises
        ------
        DataError
            If there are fewer series than folds, or a fold has nothing left to train on.
        """
        begins, ends = spans(X)
        n = len(begins)
        if n < self.n_splits:
            raise DataError(
                f"Cannot have number of splits n_splits={self.n_splits} greater than the number of samples: {n}"
            )
        order = np.lexsort([ends, begins])
        for fold, test in enumerate(np.array_split(order, self.n_splits)):
            first, last = begins[test].min(), ends[test].max()
            apart = (ends < first - self.purge) | (begins > last + self.purge + self.embargo)
            apart[test] = False
            train = np.flatnonzero(apart)
            if not len(train):
                raise DataError(
                    f"PurgedTimeSeriesSplit needs series to train on, got none in fold {fold} with "
                    f"purge={self.purge}, embargo={self.embargo}"
                )
            yield train, np.sort(test)


def spans(X: Any) -> tuple[ndarray, ndarray]:
    """When each series begins and ends: in steps with times, by position without."""
    times = X.times if isinstance(X, Sequences) else None
    if times is None:
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        return np.arange(n, dtype=float), np.arange(n, dtype=float)
    clock = times.astype("datetime64[ns]").astype(np.int64) if times.dtype.kind == "M" else times
    edges = X.offsets
    within = np.ones(len(clock), dtype=bool)
    within[edges[:-1]] = False
    steps = np.diff(clock, prepend=clock[:1])[within]
    step = float(np.median(steps)) if len(steps) else 1.0
    origin = clock[edges[:-1]].min()  # small numbers, that float64 holds exactly
    return (clock[edges[:-1]] - origin) / step, (clock[edges[1:] - 1] - origin) / step
