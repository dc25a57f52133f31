"""Nested cross-validation for an interval: every pair of folds left out, all of it trained in one lockstep run.

Reference: Bates, Hastie & Tibshirani (2024), https://arxiv.org/abs/2104.00673, algorithm 1.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from throughtime.data import Sequences, as_labels, unmasked
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import DEFAULT_BUDGET, targets_of
from throughtime.generalization.arguments import ObservedSteps, in_steps, network_of
from throughtime.generalization.cached_predictions import CachedPredictions
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.inner_groups import with_groups
from throughtime.generalization.intervals import Interval, nested_interval
from throughtime.training import CheckpointsOrPath

#: A score of each example, by the name of scikit-learn's scorer that is its mean.
Pointwise = Callable[[Any, Any, ndarray], Float[ndarray, "example"]]


class SeriesMeans:
    """A score of each observed step as one of each series: the mean over its steps."""

    def __init__(self, score: Pointwise) -> None:
        self.score = score

    def __call__(self, predictions: CachedPredictions, X: Any, y: ndarray) -> Float[ndarray, "series"]:
        """Score predictions on series each of which has an observed step."""
        scores = np.asarray(self.score(predictions, X, y), dtype=float)
        if scores.shape != y.shape:
            raise ParameterError(f"scoring needs to give a number for each of {len(y)} steps, got {scores.shape}")
        assert predictions.steps is not None
        series, _ = predictions.steps
        means: ndarray = np.bincount(series, scores) / np.bincount(series)
        return means


def _accuracy(estimator: Any, X: Any, y: ndarray) -> ndarray:
    return np.asarray(estimator.predict(X) == y, dtype=float)


def _log_probability(estimator: Any, X: Any, y: ndarray) -> ndarray:
    probabilities = estimator.predict_proba(X)
    columns = np.searchsorted(estimator.classes_, y).clip(max=probabilities.shape[1] - 1)
    of_truth = np.where(estimator.classes_[columns] == y, probabilities[np.arange(len(y)), columns], 0.0)
    # as scikit-learn's log_loss bounds it
    bounded: ndarray = np.log(np.clip(of_truth, np.finfo(probabilities.dtype).eps, 1.0))
    return bounded


def _squared(estimator: Any, X: Any, y: ndarray) -> ndarray:
    errors: ndarray = -((np.asarray(estimator.predict(X), dtype=float) - y) ** 2)
    return errors


def _absolute(estimator: Any, X: Any, y: ndarray) -> ndarray:
    errors: ndarray = -np.abs(np.asarray(estimator.predict(X), dtype=float) - y)
    return errors


_POINTWISE: dict[str, Pointwise] = {
    "accuracy": _accuracy,
    "neg_log_loss": _log_probability,
    "neg_mean_squared_error": _squared,
    "neg_mean_absolute_error": _absolute,
}


def nested_cv_interval(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    scoring: str | Pointwise | None = None,
    n_splits: int = 10,
    n_repeats: int = 5,
    groups: Any = None,
    level: float = 0.95,
    random_state: Any = None,
    verbose: int = 0,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> Interval:
    """Give a score's nested cross-validation interval: K(K-1)/2 + K members per repeat, trained together.

    Parameters
    ----------
    y
        One target per series; or one per step, and then a series counts as one example, by the mean over its observed
        steps after horizon and burn-in.
    scoring
        ``accuracy`` (a classifier's default), ``neg_log_loss``, ``neg_mean_squared_error`` (a regressor's default),
        ``neg_mean_absolute_error``, or a callable ``(estimator, X, y)`` that gives a score of each example, or each
        observed step: the interval is for means over examples, and for others there is `bootstrap_interval`.
    n_splits, n_repeats
        Folds, and times that they are drawn anew; more repeats make the width, not the training sets, less noisy.
    groups
        One per series, those of X by default: folds keep them whole, and a group counts as one example, by its mean.
    random_state
        Seed of the folds.

    Raises
    ------
    ParameterError
        For a score that is no mean over examples, or fewer than three folds.
    DataError
        For a series without an observed step that counts, or targets at each step of another estimator than ours.
    """
    if not n_splits >= 3 or not n_repeats >= 1:
        raise ParameterError(f"nested folds need 3 folds and 1 repeat at the least, got {n_splits} and {n_repeats}")
    if scoring is None:
        scoring = "accuracy" if is_classifier(estimator) else "neg_mean_squared_error"
    if isinstance(scoring, str) and scoring not in _POINTWISE:
        raise ParameterError(
            f"scoring needs a mean over examples, one of {', '.join(_POINTWISE)}, got {scoring!r}; bootstrap_interval "
            "is for the others"
        )
    score: Any = _POINTWISE[scoring] if isinstance(scoring, str) else scoring
    steps = in_steps(estimator, X, y)
    targets: ndarray | Sequences
    if steps is not None:
        X, targets = steps
        _refuse_unscored(estimator, X, targets)
        score = ObservedSteps(SeriesMeans(score))
    else:
        targets = np.asarray(unmasked(y))
        if targets.ndim != 1:
            raise DataError(f"nested_cv_interval needs one target per series, got y of shape {targets.shape}")
    by = getattr(X, "groups", None) if groups is None else as_labels(groups, "groups", len(targets))
    rng = check_random_state(random_state)
    repeats = [_folds(estimator, targets, by, n_splits, rng.randint(2**31)) for _ in range(n_repeats)]
    tasks = [(folds, left_out) for folds in repeats for left_out in _left_out(n_splits)]
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        scores_of_tasks = Parallel(n_jobs=2)(
            delayed(_scores)(clone(estimator), X, targets, by, [folds[k] for k in left_out], score)
            for folds, left_out in tasks
        )
    outer: list[list[Any]] = [[None] * n_splits for _ in repeats]
    inner: list[list[list[Any]]] = [[[None] * n_splits for _ in range(n_splits)] for _ in repeats]
    per_repeat = len(tasks) // n_repeats
    for place, ((_, left_out), scores) in enumerate(zip(tasks, scores_of_tasks, strict=True)):
        if len(left_out) == 1:
            (outer[place // per_repeat][left_out[0]],) = scores
        else:
            one, other = left_out
            inner[place // per_repeat][other][one], inner[place // per_repeat][one][other] = scores
    return nested_interval(outer, inner, level)


def _left_out(n_splits: int) -> list[tuple[int, ...]]:
    return [(k,) for k in range(n_splits)] + list(combinations(range(n_splits), 2))


def _folds(estimator: Any, y: ndarray | Sequences, groups: ndarray | None, n_splits: int, seed: int) -> list[ndarray]:
    labels = None if isinstance(y, Sequences) else y
    stratified = is_classifier(estimator) and labels is not None
    if groups is None:
        kind = StratifiedKFold if stratified else KFold
    else:
        kind = StratifiedGroupKFold if stratified else GroupKFold
    splitter = kind(n_splits, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(np.zeros(len(y)), labels, groups)]


def _refuse_unscored(estimator: Any, X: Sequences, y: Sequences) -> None:
    """Name the first series that none of its steps could give a score."""
    network = network_of(estimator)
    assert network is not None
    seen = ~np.isnan(targets_of(y, X, network.burn_in, network.horizon).values)
    counts = np.add.reduceat(seen.astype(np.intp), X.offsets[:-1])
    if not counts.all():
        raise DataError(
            f"nested_cv_interval needs an observed step after horizon and burn-in in every series, series "
            f"{int(counts.argmin())} has none"
        )


def _scores(
    estimator: Any, X: Any, y: ndarray | Sequences, groups: ndarray | None, left_out: list[ndarray], score: Any
) -> list[ndarray]:
    """Train without some folds, and score the examples of each."""
    train = np.setdiff1d(np.arange(len(y)), np.concatenate(left_out))
    params = _check_method_params(X, with_groups(None, estimator, X, groups) or {}, train)
    estimator.fit(*_safe_split(estimator, X, y, train), **params)
    scores_of_folds = []
    for fold in left_out:
        scores = np.asarray(score(estimator, *_safe_split(estimator, X, y, fold, train)), dtype=float)
        if scores.shape != fold.shape:
            raise ParameterError(f"scoring needs to give a number for each of {len(fold)} examples, got {scores.shape}")
        if groups is not None:
            _, places = np.unique(groups[fold], return_inverse=True)
            scores = np.bincount(places, scores) / np.bincount(places)
        scores_of_folds.append(scores)
    return scores_of_folds
