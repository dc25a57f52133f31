"""``throughtime.evaluate``: from an estimator and data to a study, as ``throughtime fit`` makes one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from throughtime.data import Dataset, Layout, as_sequences, as_targets
from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.estimators import DEFAULT_BUDGET, SequenceEstimator
from throughtime.study.planning import plan
from throughtime.study.study import Study
from throughtime.study.training import train
from throughtime.training import CheckpointsOrPath

#: Flags of the command line in messages of the packages below, and the argument's name here.
_FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: (?=\d))?")


def evaluate(
    estimator: SequenceEstimator,
    X: Any,
    y: Any = None,
    *,
    cv: Any = None,
    groups: Any = None,
    test: Any = None,
    scoring: str | Sequence[str] | None = None,
    season: int | None = None,
    seeds: int = 1,
    baselines: bool = True,
    sample_weight: Any = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> Study:
    """Say how well an estimator does on series it has not seen, and train it on all of them.

    What ``throughtime fit`` does: leakage between the folds is looked for, baselines and the networks of all folds
    and seeds are trained, the latter in lockstep together with those of all series, and scored with intervals.

    Parameters
    ----------
    estimator
        A `SequenceClassifier` or `SequenceRegressor`, unfitted; left as it is. ``verbose=1`` shows the training.
    X
        The series, n of them: `Sequences`, an array (n, time, channel), a list of arrays (time, channel), a 2-D array
        (n, time) of one channel; or a `Dataset`, which `read` gives and brings names, groups and targets.
    y
        One target per series, (n,), or one per step: `Sequences` or a list of arrays as long as the series, NaN where
        unobserved. ``None`` for that of a `Dataset`.
    cv
        A number of folds, a word of ``throughtime fit --cv`` such as ``"group:10"``, ``"loo"`` or
        ``"purged:5,purge=30"``, a splitter of scikit-learn's kind, or the folds themselves, pairs of indices. By
        default 5 folds, or one per group where there are fewer groups; stratified by class, groups kept whole. Windows
        are grouped by the series they are of; those of one series are divided in time, by default ``"purged:5"``.
    groups
        One per series, (n,); those of X by default.
    test
        Series never trained on: ``(X, y)``, a `Dataset`, or the fraction of the series, or groups, to set aside;
        of windows of one series the last.
    scoring
        Names of scikit-learn's scorers, the first decides; by default accuracy, for two classes AUROC and AUPRC too,
        R squared of numbers.
    season
        Steps of a season, for the naive forecast among the baselines.
    seeds
        Networks per fold, from ``estimator.random_state`` on.
    baselines
        Whether to train the baselines too.
    sample_weight
        What each series counts in training, (n,); baselines and scores count all alike.
    memory_budget
        Bytes that networks training at a time may take; ``None`` for no bound.
    checkpoints
        As `fit_members` takes it.

    Returns
    -------
    The scores, predictions, findings and networks; ``save`` writes a run.

    Raises
    ------
    DataError
        For data that cannot be used or divided so.
    ParameterError
        For settings that are none.
    DivergenceError
        When a network trained on all series diverges; folds that fail have no score.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import SequenceClassifier, evaluate
    >>> X = np.random.default_rng(0).normal(size=(20, 5, 1))
    >>> y = (X.mean((1, 2)) > 0).astype(int)
    >>> study = evaluate(SequenceClassifier(max_epochs=2, random_state=0), X, y, cv=2, scoring="accuracy")
    >>> [model.name for model in study.metrics.models][-1]
    'GRU'
    """
    _check_estimator(estimator)
    if not isinstance(baselines, bool | np.bool_):
        raise ParameterError(f"baselines needs True or False, got {baselines!r}")
    with _in_python_words():
        data = _dataset(X, y, groups, "X", estimator.layout)
        if isinstance(test, tuple):
            if len(test) != 2:
                raise ParameterError(f"test needs (X, y), a Dataset or a fraction, got a tuple of {len(test)}")
            test = _dataset(*test, None, "test", estimator.layout)
        elif isinstance(test, bool | str) or not (
            test is None or isinstance(test, Dataset) or (np.ndim(test) == 0 and hasattr(test, "__float__"))
        ):
            raise ParameterError(f"test needs (X, y), a Dataset or a fraction, got {type(test).__name__}")
        made = plan(
            estimator,
            data,
            test,
            cv=cv,
            scoring=scoring,
            season=season,
            seeds=seeds,
            baselines=baselines,
            sample_weight=sample_weight,
        )
        return train(made, memory_budget=memory_budget, checkpoints=checkpoints)


def _check_estimator(estimator: Any) -> None:
    if isinstance(estimator, type) and issubclass(estimator, BaseEstimator):
        raise ParameterError(f"estimator needs an instance, got the class; try {estimator.__name__}()")
    if not isinstance(estimator, SequenceEstimator):
        raise ParameterError(
            f"estimator needs to be a SequenceClassifier or SequenceRegressor, got {type(estimator).__name__}; "
            "cross_validate takes pipelines and searches"
        )


def _dataset(X: Any, y: Any, groups: Any, name: str, layout: Layout) -> Dataset:
    """The data in the form that the readers give; series without names are numbered."""
    if isinstance(X, Dataset):
        if y is not None:
            raise ParameterError(f"y needs to be left out where {name} is a Dataset, which has its targets")
        if X.y is None:
            raise DataError(f"{X.source} needs a target, got none")
        data = X
    else:
        series = as_sequences(X, layout=layout)
        ids = tuple(map(str, range(len(series))))
        data = Dataset(series, as_targets(y, series), ids, name, name, series.groups)
    if groups is None:
        return data
    grouped = data.X.replace(groups=groups)
    return replace(data, X=grouped, groups=grouped.groups)


@contextmanager
def _in_python_words() -> Iterator[None]:
    """Name arguments in errors as they are called here, not as flags."""
    try:
        yield
    except ThroughtimeError as error:
        text = str(error)
        words = _FLAG.sub(lambda flag: _argument(flag[1]) + ("=" if flag[0].endswith(" ") else ""), text)
        if words == text:
            raise
        raise type(error)(words) from error


def _argument(flag: str) -> str:
    return {"split": "test", "group": "groups"}.get(flag, flag.replace("-", "_"))
