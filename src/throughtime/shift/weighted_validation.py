"""Importance-weighted cross-validation: what a network will cost where x is distributed as among deployed series.

Reference: Sugiyama, Krauledat & Müller (2007), Covariate shift adaptation by importance weighted cross validation,
JMLR 8, 985-1005, https://www.jmlr.org/papers/v8/sugiyama07a.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import stats

from throughtime.data import as_sequences, as_targets
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceEstimator, checked_weights, fit_members
from throughtime.records import Record
from throughtime.shift.arguments import check_chance, groups_of, real_numbers, series_numbers
from throughtime.shift.losses import losses_by_members
from throughtime.shift.weights import effective_size


@dataclass(frozen=True, repr=False)
class WeightedMean(Record):
    """A weighted mean over series, with its interval.

    Attributes
    ----------
    mean, low, high
        Of log losses in nats, or of squared errors.
    level
        Coverage of the interval.
    effective_size
        How many series of equal weight are as informative.
    """

    mean: float
    low: float
    high: float
    level: float
    effective_size: float


def weighted_mean(
    values: Float[ndarray, "series"],
    weights: Float[ndarray, "series"] | None = None,
    *,
    groups: ndarray | None = None,
    level: float = 0.95,
) -> WeightedMean:
    """``sum(w v) / sum(w)`` with Student's interval, its standard error linearized and clustered by group.

    Parameters
    ----------
    weights
        1 each by default: the mean with its usual interval.
    groups
        What is independent; each series by default.

    Raises
    ------
    DataError
        For values that are not finite, weights of sum 0, groups of another length, or fewer than 2 series or groups.
    ParameterError
        For a level outside of (0, 1).
    """
    check_chance(level)
    values = real_numbers(values, "a weighted mean", 1)
    groups = groups_of(groups, len(values))
    counted = checked_weights(weights, len(values))
    if not counted.any():
        raise DataError("a weighted mean needs a weight above zero, got zero weights only")
    mean = float(counted @ values / counted.sum())
    unit = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    if n_units < 2:
        raise DataError(f"an interval needs at least 2 series or groups, got {n_units}")
    sums = np.bincount(unit, counted * (values - mean)) / counted.sum()
    error = float(np.sqrt(sums @ sums * n_units / (n_units - 1)))
    half = float(stats.t.ppf((1 + level) / 2, n_units - 1)) * error
    return WeightedMean(mean, mean - half, mean + half, level, effective_size(counted))


def weighted_cross_validation(
    estimators: Sequence[SequenceEstimator],
    X: Any,
    y: Any,
    weights: Float[ndarray, "series"],
    splits: Sequence[tuple[Int[ndarray, "_"], Int[ndarray, "_"]]],
) -> list[Float[ndarray, "series"]]:
    """Out-of-fold losses of weighted fits, all folds of all estimators in lockstep; `weighted_mean` makes scores.

    Parameters
    ----------
    estimators
        Unfitted, such as one of each setting to choose from.
    weights
        One per series, as `covariate_weights` gives them: of the training loss.
    splits
        Training and test series, each series in one test fold at most.

    Returns
    -------
    One array per estimator, the loss of each series (nats, or squared error); NaN where it is in no test fold.

    Raises
    ------
    DataError, ParameterError
        As `fit_members` does; what a single fold fails with is raised too.
    """
    if isinstance(estimators, SequenceEstimator):
        raise ParameterError(f"weighted_cross_validation needs a list of estimators, got {type(estimators).__name__}")
    estimators, splits = list(estimators), list(splits)
    if not estimators or not splits:
        raise ParameterError(
            f"weighted_cross_validation needs estimators and splits, got {len(estimators)} and {len(splits)}"
        )
    for estimator in estimators:
        if not isinstance(estimator, SequenceEstimator):
            raise ParameterError(f"weighted_cross_validation needs estimators, got {type(estimator).__name__}")
    series = as_sequences(X, layout=estimators[0].layout)
    targets = as_targets(y, series)
    splits = _checked_splits(splits, len(series))
    n_folds = len(splits)
    fitted: list[Any] = fit_members(
        [estimator for estimator in estimators for _ in splits],
        series,
        targets,
        train_indices=[train for train, _ in splits] * len(estimators),
        sample_weight=weights,
    )
    for result in fitted:
        if isinstance(result, Exception):
            raise result
    tests = [test for _, test in splits]
    return [
        losses_by_members(fitted[m * n_folds : (m + 1) * n_folds], series, targets, tests)
        for m in range(len(estimators))
    ]


def _checked_splits(splits: Sequence[Any], n: int) -> list[tuple[Int[ndarray, "_"], Int[ndarray, "_"]]]:
    """Training and test series by number, each series in one test fold at most."""
    found = []
    tested = np.zeros(n, bool)
    for split in splits:
        if not isinstance(split, tuple | list) or len(split) != 2:
            raise DataError(f"splits need pairs of training and test series, got {split!r:.60}")
        train, test = (series_numbers(part, n, "a split") for part in split)
        if tested[test].any() or len(np.unique(test)) < len(test):
            raise DataError("splits need each series in one test fold at most, got some in two, or twice in one")
        tested[test] = True
        found.append((train, test))
    return found
