"""What scikit-learn's functions are given for what a caller handed over: the same, unless targets are one per step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit, TimeSeriesSplit, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length

from throughtime.data import Sequences, as_sequences, as_targets, is_frame, shares_steps
from throughtime.errors import DataWarning, ParameterError, warn
from throughtime.estimators import Outputs, SequenceEstimator, execute, sequences_like
from throughtime.generalization.cached_predictions import predictions_of
from throughtime.generalization.splitters import OWN_TIME_SPLITS, TIME_SPLITS, of_one_series
from throughtime.training import Observer


@dataclass(frozen=True)
class Arguments:
    """Data, groups, splitter and scoring as scikit-learn takes them; ``by_step`` says that each step has a target."""

    X: Any
    y: Any
    groups: Any
    cv: Any
    scoring: Any
    by_step: bool


def has_network(estimator: Any) -> bool:
    """Whether there is a network of ours in an estimator: itself, a step of its pipeline, what a search tunes."""
    if isinstance(estimator, SequenceEstimator):
        return True
    try:
        parts = estimator.get_params(deep=True).values()
    except (AttributeError, TypeError):  # no estimator, or a class: scikit-learn says so
        return False
    return any(isinstance(part, SequenceEstimator) for part in parts)


def refuse_observers(estimator: Any, observers: Sequence[Observer]) -> None:
    """Refuse who would watch a network where there is none."""
    if observers:
        raise ParameterError(f"observers need a network of throughtime to watch, got {type(estimator).__name__}")


def arguments_for(estimator: Any, X: Any, y: Any, groups: Any = None, cv: Any = None, scoring: Any = None) -> Arguments:
    """Fill in the groups that series bring along, and make step targets something that can be split and scored.

    Groups, and steps of windows, that plain folds may put on both sides are warned of.  With one target per series
    everything stays as it is, for scikit-learn to check.  With one per step, scores are taken over the observed steps
    of test series, and folds cannot be stratified.
    """
    routed = get_config()["enable_metadata_routing"]  # groups are then among the params
    if groups is None and isinstance(X, Sequences) and X.groups is not None and not routed:
        if takes_groups(cv):
            groups = X.groups
        elif len(np.unique(X.groups)) < len(X) and not isinstance(cv, TIME_SPLITS) and _is_rule(cv):
            warn(
                "X has groups, and these folds may put one on both sides, which makes scores too good: a splitter by "
                "groups, such as GroupKFold, keeps them whole; X.replace(groups=range(len(X))) says that each series "
                "stands alone",
                UserWarning,
            )
    if isinstance(X, Sequences) and _may_share_steps(X, cv):
        warn(
            "X are windows, and these folds may put the steps of one, or its neighbors, on both sides, which makes "
            f"scores too good: {_cure_of_windows(X)}",
            DataWarning,
        )
    steps = in_steps(estimator, X, y)
    if steps is None:
        # frames whose rows are numbered over all of them: a fold alone would not show it
        inner = getattr(estimator, "estimator", estimator)
        if isinstance(inner, SequenceEstimator) and isinstance(X, list | tuple) and any(map(is_frame, X)):
            X = as_sequences(X, layout=inner.layout)
        return Arguments(X, y, groups, cv, scoring, False)
    series, targets = steps
    check_consistent_length(series, targets, groups)
    splitter = check_cv(cv)
    looked_at = series if isinstance(splitter, OWN_TIME_SPLITS) else np.zeros(len(series))
    splits = list(splitter.split(looked_at, None, groups))
    return Arguments(series, targets, groups, splits, _by_step(estimator, scoring), True)


def _is_rule(cv: Any) -> bool:
    """Whether folds are yet to be drawn by a rule, and not those that somebody gave."""
    return cv is None or isinstance(cv, int | BaseCrossValidator | BaseShuffleSplit)


def _may_share_steps(X: Sequences, cv: Any) -> bool:
    """Whether folds of windows without groups look at neither their times nor their series."""
    grouped = X.groups is not None and not of_one_series(X)  # of these it was said
    if X.source is None or grouped or isinstance(cv, OWN_TIME_SPLITS) or takes_groups(cv) or not _is_rule(cv):
        return False
    if not isinstance(cv, TimeSeriesSplit) or len(X) <= cv.n_splits:
        return True
    # by place, which is right where windows are in order and share no step
    return any(shares_steps(X, *fold, history=False).any() for fold in cv.split(np.zeros(len(X))))


def _cure_of_windows(X: Sequences) -> str:
    if of_one_series(X):
        return "PurgedTimeSeriesSplit and WalkForwardSplit divide them in time"
    return "GroupKFold with groups=X.source.series keeps those of a series together"


def in_steps(estimator: Any, X: Any, y: Any) -> tuple[Sequences, Sequences] | None:
    """Series and targets when each step has one and a network of ours is to predict it; else ``None``."""
    network = network_of(estimator)
    if network is None or not _maybe_by_step(y):
        return None
    series = as_sequences(X, layout=network.layout)
    targets = as_targets(y, series)
    return (series, targets) if isinstance(targets, Sequences) else None


def takes_groups(cv: Any) -> bool:
    """Whether a splitter divides by groups."""
    if not hasattr(cv, "get_metadata_routing") or isinstance(cv, type):
        return False
    return cv.get_metadata_routing().split.requests.get("groups") is True


class ObservedSteps:
    """A scorer of series as one of steps: those observed after the burn-in, of all test series together."""

    def __init__(self, scorer: Callable[..., Any]) -> None:
        self.scorer = scorer

    def __call__(self, estimator: Any, X: Any, y: Any, **params: Any) -> Any:
        """Score what the estimator predicts on X."""
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        if isinstance(estimator, Pipeline):
            estimator, X = estimator[-1], estimator[:-1].transform(X)
        series = sequences_like(estimator, X)
        predictions = predictions_of(estimator, series, y, execute(Outputs(estimator, series)))
        return self.scorer(predictions, predictions, predictions.truth, **params)


def _by_step(estimator: Any, scoring: Any) -> Any:
    if scoring is None:
        return None  # the estimator's own score knows steps
    if isinstance(scoring, Mapping):
        return {name: ObservedSteps(check_scoring(estimator, scoring=one)) for name, one in scoring.items()}
    if isinstance(scoring, str) or callable(scoring):
        return ObservedSteps(check_scoring(estimator, scoring=scoring))
    return {name: ObservedSteps(check_scoring(estimator, scoring=name)) for name in scoring}


def network_of(estimator: Any) -> SequenceEstimator | None:
    """The network that makes an estimator's predictions, when it is ours."""
    while not isinstance(estimator, SequenceEstimator):
        if isinstance(estimator, Pipeline) and estimator.steps:
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return None
    return estimator


def _maybe_by_step(y: Any) -> bool:
    if isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype == object):
        return len(y) > 0 and np.ndim(y[0]) > 0
    return isinstance(y, Sequences) or getattr(y, "ndim", 1) > 1
