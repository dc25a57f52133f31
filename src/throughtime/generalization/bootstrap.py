"""Bootstrap of predictions that were made, for scores that are no mean over examples: AUROC, average precision, R2.

Reference: Efron & Tibshirani (1993), An Introduction to the Bootstrap, sections 8.3 (groups) and 13.3 (percentiles).
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from sklearn.exceptions import UndefinedMetricWarning

from throughtime.errors import DataError, ParameterError
from throughtime.generalization.intervals import Interval

#: Of the resamples, the fraction that may have no score (one class only) before there is no interval.
_MOST_UNSCORED = 0.1


def bootstrap_interval(
    metric: Callable[[Any, Any], float],
    truth: Shaped[ndarray, "example"],
    predicted: Shaped[ndarray, "example ..."],
    *,
    groups: Shaped[ndarray, "example"] | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    random_state: int | None = None,
) -> Interval:
    """Give a percentile interval of a score of predictions already made, whole groups resampled.

    It holds for the models that made the predictions: what other training series would have changed is not in it.

    Parameters
    ----------
    metric
        ``metric(truth, predicted)``, such as ``sklearn.metrics.roc_auc_score``.
    truth, predicted
        One per example, or a row: those of ``cross_val_predict``, or of series that were never trained on.
    groups
        What is drawn as one; the series, when there is a prediction per step. Each example by default.
    n_resamples
        Resamples; one without a score, for having a single class, is left out, and ``method`` counts it.
    level
        Coverage asked for, between 0 and 1.

    Raises
    ------
    ParameterError
        For a level outside (0, 1) or fewer than 100 resamples.
    DataError
        For lengths that differ, or fewer than two groups.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    by = np.arange(len(truth)) if groups is None else np.asarray(groups)
    if not len(truth) == len(predicted) == len(by):
        raise DataError(
            f"truth, predicted and groups need one entry per example, got {len(truth)}, {len(predicted)}, {len(by)}"
        )
    if not 0 < level < 1:
        raise ParameterError(f"level needs a number between 0 and 1, got {level}")
    if n_resamples < 100:
        raise ParameterError(f"n_resamples needs at least 100, got {n_resamples}")
    _, places = np.unique(by, return_inverse=True)
    order = np.argsort(places, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(places))[:-1])
    if len(members) < 2:
        raise DataError(f"a bootstrap needs at least 2 groups, got {len(members)}")
    rng = np.random.default_rng(random_state)
    scores = np.full(n_resamples, np.nan)
    for draw in range(n_resamples):
        rows = np.concatenate([members[group] for group in rng.integers(len(members), size=len(members))])
        scores[draw] = _score(metric, truth[rows], predicted[rows])
    whole = float(metric(truth, predicted))
    scored = scores[np.isfinite(scores)]
    unscored = n_resamples - len(scored)
    unit = "examples" if groups is None else "groups"
    if unscored > _MOST_UNSCORED * n_resamples:
        return Interval(whole, None, None, level, f"no interval: {unscored} of {n_resamples} resamples have no score")
    low, high = np.quantile(scored, [(1 - level) / 2, (1 + level) / 2])
    method = (
        f"{100 * level:g} % bootstrap of the predictions given, percentiles, {len(members)} {unit}, "
        f"{n_resamples} resamples"
    )
    if unscored:
        method += f" ({unscored} left out, without a score)"
    return Interval(whole, float(low), float(high), level, method)


def _score(metric: Callable[[Any, Any], float], truth: ndarray, predicted: ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return float(metric(truth, predicted))
        except ValueError:  # a resample that lacks a class
            return float("nan")
