"""``cross_validate`` for recurrent estimators: every fold a member, all of them trained and scored in lockstep.

The signature, the keys and the errors are scikit-learn's.
"""

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from throughtime.data import Sequences, as_sequences
from throughtime.estimators import SequenceEstimator, fit_members, predict_members
from throughtime.estimators.targets import targets_of
from throughtime.generalization.answers import answers_of, take
from throughtime.records import EpochProgress

Split = tuple[ndarray, ndarray]


@dataclass(frozen=True)
class Folds:
    """What became of each fold: a fitted estimator or its exception, the split, the outputs on test and train."""

    estimators: list[SequenceEstimator | Exception]
    splits: list[Split]
    test_outputs: list[ndarray | None]
    train_outputs: list[ndarray | None]
    fit_seconds: float
    score_seconds: float


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
) -> dict[str, Any]:
    """Fit and score an estimator on every fold, as ``sklearn.model_selection.cross_validate`` does, in lockstep.

    Parameters
    ----------
    estimator
        A ``SequenceClassifier`` or ``SequenceRegressor``; any other is handed to scikit-learn.
    y
        One target a series, or one a step: then scores are taken over the observed steps of the test series.
    params
        ``sample_weight``, one a series, goes to ``fit``.
    n_jobs, pre_dispatch
        For scikit-learn's estimators; members need no processes.

    Returns
    -------
    scikit-learn's dictionary. ``fit_time`` is the wall time of all members divided by their number, and so is
    ``score_time`` that of all predictions and scores.
    """
    if not isinstance(estimator, SequenceEstimator):
        return dict(
            sklearn_cross_validate(
                estimator,
                X,
                y,
                groups=groups,
                scoring=scoring,
                cv=cv,
                n_jobs=n_jobs,
                verbose=verbose,
                params=params,
                pre_dispatch=pre_dispatch,
                return_train_score=return_train_score,
                return_estimator=return_estimator,
                return_indices=return_indices,
                error_score=error_score,
            )
        )
    series = as_sequences(X, layout=estimator.layout)
    targets = targets_of(y, series)
    splitter = check_cv(cv, None if targets.by_step else targets.values, classifier=is_classifier(estimator))
    by = series.groups if groups is None else groups
    placeholder = np.zeros((len(series), 1))
    splits = list(splitter.split(placeholder, None if targets.by_step else targets.values, by))
    scorer = check_scoring(estimator, scoring=scoring)
    # scikit-learn's members are silent unless asked; so are ours
    member = clone(estimator).set_params(verbose=max(verbose, estimator.verbose))
    weights = (params or {}).get("sample_weight")
    folds = run_folds(
        [member] * len(splits),
        X,
        y,
        splits,
        sample_weight=weights,
        groups=groups,
        on_train=return_train_score,
    )
    failures = [fold for fold in folds.estimators if isinstance(fold, Exception)]
    if failures:
        _tell_failures(failures, len(splits), error_score)

    scores: dict[str, list[Any]] = {"test": [], "train": []}
    begin = time.perf_counter()
    for m, fitted in enumerate(folds.estimators):
        for part, outputs in (("test", folds.test_outputs[m]), ("train", folds.train_outputs[m])):
            if part == "train" and not return_train_score:
                continue
            rows = splits[m][part == "test"]
            scores[part].append(_score(scorer, fitted, series, y, rows, outputs, error_score))
    seconds = folds.score_seconds + time.perf_counter() - begin

    n = len(splits)
    results: dict[str, Any] = {
        "fit_time": np.full(n, folds.fit_seconds / n),
        "score_time": np.full(n, seconds / n),
    }
    if return_estimator:
        results["estimator"] = [member if isinstance(fold, Exception) else fold for fold in folds.estimators]
    if return_indices:
        results["indices"] = {"train": [train for train, _ in splits], "test": [test for _, test in splits]}
    names = _metric_names(scores["test"])
    for part in ("test", "train") if return_train_score else ("test",):
        for name in names:
            values = [score.get(name, error_score) if isinstance(score, dict) else score for score in scores[part]]
            results[f"{part}_{name}"] = np.array(values)
    return results


def run_folds(
    estimators: Sequence[SequenceEstimator],
    X: Any,
    y: Any,
    splits: Sequence[Split],
    *,
    sample_weight: Any = None,
    groups: Any = None,
    on_train: bool = False,
    watch: bool = False,
    on_epoch: Callable[[EpochProgress], None] | None = None,
) -> Folds:
    """Train one estimator a split in lockstep and run each over its own test series.

    Parameters
    ----------
    on_train
        Run each over its training series too.
    watch
        Note each epoch's loss on the test series in ``history_``; nothing is chosen by it.
    """
    series = as_sequences(X, layout=estimators[0].layout)
    begin = time.perf_counter()
    fitted = fit_members(
        estimators,
        X,
        y,
        train_rows=[train for train, _ in splits],
        watch_rows=[test for _, test in splits] if watch else None,
        sample_weight=sample_weight,
        groups=groups,
        on_epoch=on_epoch,
    )
    fit_seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    alive = {m: fold for m, fold in enumerate(fitted) if isinstance(fold, SequenceEstimator)}
    outputs: dict[bool, list[ndarray | None]] = {True: [None] * len(fitted), False: [None] * len(fitted)}
    for is_test in (True, False) if on_train else (True,):
        found = predict_members(list(alive.values()), series, [splits[m][is_test] for m in alive])
        for m, own in zip(alive, found, strict=True):
            outputs[is_test][m] = own
    return Folds(fitted, list(splits), outputs[True], outputs[False], fit_seconds, time.perf_counter() - begin)


def _score(
    scorer: Any, fitted: Any, series: Sequences, y: Any, rows: ndarray, outputs: ndarray | None, error_score: Any
) -> Any:
    if isinstance(fitted, Exception) or outputs is None:
        return error_score
    X = series[rows]
    answers = answers_of(fitted, X, take(y, rows), outputs)
    try:
        return scorer(answers, answers, answers.truth)
    except Exception:
        if error_score == "raise":
            raise
        warnings.warn(
            f"Scoring failed. The score on this train-test partition for these parameters will be set to "
            f"{error_score}. Details: \n{traceback.format_exc()}",
            UserWarning,
            stacklevel=3,
        )
        return error_score


def _metric_names(scores: Sequence[Any]) -> list[str]:
    for score in scores:
        if isinstance(score, dict):
            return list(score)
    return ["score"]


def _tell_failures(failures: Sequence[Exception], n: int, error_score: Any) -> None:
    if error_score == "raise":
        raise failures[0]
    told = "\n".join(f"{type(failure).__name__}: {failure}" for failure in failures)
    if len(failures) == n:
        raise ValueError(
            f"\nAll the {n} fits failed.\nIt is very likely that your model is misconfigured.\n"
            f"You can try to debug the error by setting error_score='raise'.\n\n"
            f"Below are more details about the failures:\n"
            f"{told}"
        )
    warnings.warn(
        f"\n{len(failures)} fits failed out of a total of {n}.\nThe score on these train-test partitions for these "
        f"parameters will be set to {error_score}.\nIf these failures are not expected, you can try to debug them by "
        f"setting error_score='raise'.\n\nBelow are more details about the failures:\n{told}",
        FitFailedWarning,
        stacklevel=3,
    )
