"""Two models on the same folds: the difference of their scores, fold by fold, with a corrected interval and test.

Reference: Nadeau & Bengio (2003), https://doi.org/10.1023/A:1024068626366.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.cross_validation import cross_validate
from throughtime.generalization.intervals import Interval, corrected_interval
from throughtime.records import Record
from throughtime.training import CheckpointsOrPath


@dataclass(frozen=True)
class Comparison(Record):
    """First model less second: the mean difference with its interval, and the two-sided p of no difference.

    ``p_value`` is ``None`` when there is no interval.
    """

    difference: Interval
    p_value: float | None
    first: tuple[float, ...]
    second: tuple[float, ...]


def paired_comparison(
    first: ArrayLike, second: ArrayLike, n_train: ArrayLike, n_test: ArrayLike, level: float = 0.95
) -> Comparison:
    """Compare the scores of two models on the same splits, by the corrected resampled t test.

    Parameters
    ----------
    first, second
        One score per split, of the same splits in the same order; a split in which either has none is left out.
    n_train, n_test, level
        As `corrected_interval` takes them.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise ParameterError(f"a comparison needs the same splits of both, got scores {one.shape} and {other.shape}")
    difference = corrected_interval(one - other, n_train, n_test, level)
    p_value = None
    if difference.low is not None and difference.high is not None:
        df = int(np.isfinite(one - other).sum()) - 1
        error = (difference.high - difference.low) / 2 / stats.t.ppf((1 + level) / 2, df)
        if error > 0:
            p_value = float(2 * stats.t.sf(abs(difference.mean) / error, df))
        else:
            p_value = 1.0 if difference.mean == 0 else 0.0
    return Comparison(difference, p_value, tuple(one.tolist()), tuple(other.tolist()))


def compare_estimators(
    first: Any,
    second: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    level: float = 0.95,
    verbose: int = 0,
    error_score: Any = np.nan,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> Comparison:
    """Train two estimators on the same folds, networks of one shape together, and compare their scores.

    Parameters
    ----------
    first, second
        Estimators, of this package or of scikit-learn.
    scoring
        One score; by default the estimator's ``score``.
    X, y, groups, cv, verbose, error_score, memory_budget, checkpoints
        As `cross_validate` takes them; folds are drawn once for both.
    level
        Coverage of the interval.
    """
    given = arguments_for(first, X, y, groups, cv, None)
    labels = None if isinstance(given.y, Sequences) else given.y
    splitter = check_cv(given.cv, labels, classifier=is_classifier(first) and labels is not None)
    splits = list(splitter.split(given.X, labels, given.groups))
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        one, other = Parallel(n_jobs=2)(
            delayed(cross_validate)(model, X, y, groups=groups, scoring=scoring, cv=splits, error_score=error_score)
            for model in (first, second)
        )
    if "test_score" not in one:
        raise ParameterError(f"compare_estimators needs one score, got {', '.join(sorted(one))}")
    sizes = [len(train) for train, _ in splits], [len(test) for _, test in splits]
    return paired_comparison(one["test_score"], other["test_score"], *sizes, level=level)
