"""Training, validation and test series, without a group, or a stretch of time, on two sides."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
)

from throughtime.errors import DataError, ParameterError
from throughtime.generalization.splitters import apart, in_order, spans
from throughtime.records import Record


@dataclass(frozen=True, repr=False)
class ThreeWaySplit(Record):
    """Indices of the three parts, each sorted; by time, series left out between them are in none."""

    train: Int[ndarray, "train"]
    validation: Int[ndarray, "validation"]
    test: Int[ndarray, "test"]


def train_validation_test_split(
    X: Any,
    *,
    validation_size: float = 0.2,
    test_size: float = 0.2,
    groups: Any = None,
    stratify: Any = None,
    by_time: bool = False,
    purge: float = 0,
    random_state: int | None = None,
) -> ThreeWaySplit:
    """Divide series in three: to train on, to choose by, and to be looked at once.

    Parameters
    ----------
    X
        The series, in any form the estimators take.
    validation_size, test_size
        Fractions of all series, or of the groups when there are groups.
    groups
        One per series, those that X brings along by default: a group is in one part.
    stratify
        One class per series: each has nearly the same fraction in all parts.
    by_time
        Train on the earliest and test on the latest; nothing is shuffled. Without times in X, its order is time.
    purge
        With ``by_time``, the distance kept between two parts, as `PurgedTimeSeriesSplit` counts it.
    random_state
        Seed of the shuffling.

    Returns
    -------
    Indices: ``X[split.train]`` are the series to train on.

    Raises
    ------
    ParameterError
        If the fractions leave a part empty, or ``by_time`` is to be combined with groups or strata.
    DataError
        If labels are not one per series, or a class or the groups are too few to be in every part.
    """
    for name, size in (("validation_size", validation_size), ("test_size", test_size)):
        if not isinstance(size, Real) or not 0 < size < 1:
            raise ParameterError(f"{name} needs a fraction between 0 and 1, got {size!r}")
    if not validation_size + test_size < 1:
        raise ParameterError(f"validation_size and test_size need a sum below 1, got {validation_size} + {test_size}")
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    by = None if by_time and groups is None else getattr(X, "groups", None) if groups is None else groups
    by, strata = _labels(by, "groups", n), _labels(stratify, "stratify", n)
    if by_time:
        if by is not None or strata is not None:
            raise ParameterError("by_time needs no groups and no strata: the parts are stretches of time")
        return _in_time(X, validation_size, test_size, purge)
    if purge:
        raise ParameterError(f"purge needs by_time=True, got purge={purge}")
    everything = np.arange(n)
    rest, test = _part(everything, test_size, by, strata, random_state)
    train, validation = _part(rest, validation_size / (1 - test_size), by, strata, random_state)
    return ThreeWaySplit(np.sort(train), np.sort(validation), np.sort(test))


def _in_time(X: Any, validation_size: float, test_size: float, purge: float) -> ThreeWaySplit:
    where = spans(X)
    order = in_order(where)
    n = len(order)
    n_test, n_validation = (max(1, round(size * n)) for size in (test_size, validation_size))
    test = order[n - n_test :]
    validation = order[max(n - n_test - n_validation, 0) : n - n_test]
    train = order[: max(n - n_test - n_validation, 0)]
    validation = np.intersect1d(validation, apart(X, where, test, before=purge))
    for later in (test, validation):
        if len(later):
            train = np.intersect1d(train, apart(X, where, later, before=purge))
    for name, rows in (("train", train), ("validation", validation)):
        if not len(rows):
            raise ParameterError(
                f"by_time needs series in every part, got none to {'train on' if name == 'train' else 'validate'} "
                f"with purge={purge} and fractions of {validation_size} and {test_size} of {n} series"
            )
    return ThreeWaySplit(train, validation, np.sort(test))


def _part(
    rows: ndarray, size: float, groups: ndarray | None, strata: ndarray | None, seed: int | None
) -> tuple[ndarray, ndarray]:
    """Divide series in what remains and a part of about that fraction."""
    groups = None if groups is None else groups[rows]
    strata = None if strata is None else strata[rows]
    splitter: BaseCrossValidator
    if groups is not None and strata is not None:
        splitter = StratifiedGroupKFold(max(2, round(1 / size)), shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = GroupShuffleSplit(1, test_size=size, random_state=seed)
    elif strata is not None:
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    else:
        splitter = ShuffleSplit(1, test_size=size, random_state=seed)
    try:
        remaining, part = next(iter(splitter.split(rows, strata, groups)))
    except ValueError as error:
        raise DataError(f"a fraction of {size:.3g} of {len(rows)} series cannot be set apart: {error}") from error
    return rows[remaining], rows[part]


def _labels(labels: Any, name: str, n: int) -> ndarray | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"{name} needs one value per series ({n}), got shape {array.shape}")
    return array
