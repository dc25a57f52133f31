"""The scores of a model on folds, pooled and on test series, and the interval around their mean."""

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import is_classifier
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    check_scoring,
    f1_score,
    get_scorer_names,
    jaccard_score,
    log_loss,
    make_scorer,
    precision_score,
    recall_score,
)

from throughtime.data import reason
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.generalization import (
    CachedPredictions,
    Interval,
    Split,
    concatenate_predictions,
    corrected_interval,
    observed_targets,
)
from throughtime.records import Record, Records

Scorers = Mapping[str, Any]

#: What an area under a curve is called here.
_NAMES = {"roc_auc": "AUROC", "average_precision": "AUPRC", "r2": "R2"}
#: Beginnings of the names of scores of how predictions and truth go together. A fold that has more of a class leaves
#: less of it to train on, so that predictions constant in each fold go against the truth once the folds are pooled: an
#: AUROC of 0 in leave-one-out (Airola et al. 2011, https://doi.org/10.1016/j.csda.2010.11.018).
_RANKINGS = ("AUROC", "AUPRC", "roc_auc", "average_precision", "matthews_corrcoef")
#: Beginnings of the names of scores between 0 and 1.
_FRACTIONS = (
    "accuracy",
    "balanced_accuracy",
    "top_k",
    "AUROC",
    "AUPRC",
    "roc_auc",
    "f1",
    "precision",
    "recall",
    "jaccard",
)


@dataclass(frozen=True, repr=False)
class ModelScores(Record):
    """One model's scores by metric: ``validation`` and ``training`` (seed, fold), the others (seed,).

    ``pooled`` is the score of all out-of-fold predictions taken together; ``test`` that of the model trained on all
    training series, empty without test series; baselines have no ``training``. A score that cannot be had is NaN, and
    so is a pooled area under a curve, or a correlation, of models that tell no example of a fold from another: it would
    be one of the folds.
    """

    name: str
    validation: dict[str, list[list[float]]]
    training: dict[str, list[list[float]]]
    pooled: dict[str, list[float]]
    test: dict[str, list[float]]


@dataclass(frozen=True, repr=False)
class Metrics(Record):
    """The scores of all models of a study, the baselines first and the network last.

    ``intervals`` holds, by model and metric, the mean over the folds and its interval.
    """

    models: list[ModelScores]
    intervals: dict[str, dict[str, Interval]]


@dataclass(frozen=True, repr=False)
class Score(Record):
    """A model's scores of one metric: means over folds and seeds; the interval is that of ``validation``."""

    model: str
    metric: str
    training: float | None
    validation: float
    low: float | None
    high: float | None
    pooled: float
    test: float | None


def metrics_of(
    models: Sequence[ModelScores], names: Sequence[str], splits: Sequence[Split], groups: ndarray | None
) -> Metrics:
    """Scores of models, the intervals of all of them added; ``names`` are those of the scores."""
    intervals = {model.name: {name: interval_of(model, name, splits, groups) for name in names} for model in models}
    return Metrics(list(models), intervals)


def summary_of(metrics: Metrics) -> Records[Score]:
    """One record per metric and model, for printing and for notebooks."""
    return Records(
        Score(
            model.name,
            metric,
            _mean_of(model.training.get(metric)),
            metrics.intervals[model.name][metric].mean,
            metrics.intervals[model.name][metric].low,
            metrics.intervals[model.name][metric].high,
            float(np.mean(model.pooled[metric])),
            _mean_of(model.test.get(metric)),
        )
        for metric in metrics.models[-1].validation
        for model in metrics.models
    )


def _mean_of(scores: Any) -> float | None:
    """The mean of the scores that can be had; ``None`` without any."""
    known = np.array([] if scores is None else scores, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else None


def scorers_for(model: SequenceEstimator, y: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Scorers by the name they are shown under.

    Parameters
    ----------
    names
        scikit-learn's names. By default accuracy, for two classes AUROC and AUPRC too; R squared for numbers. Of two
        classes the second, in order, is the positive one.

    Raises
    ------
    ParameterError
        For a name that scikit-learn does not know, or a score that does not apply to these targets.
    """
    truth = observed_targets(y)
    classes = np.unique(truth)
    if not names:
        names = ["r2"]
        if is_classifier(model):
            names = ["accuracy", "roc_auc", "average_precision"] if len(classes) == 2 else ["accuracy"]
    scorers = {}
    for name in names:
        if name not in get_scorer_names():
            close = difflib.get_close_matches(name, get_scorer_names(), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ParameterError(f"scoring needs the name of one of scikit-learn's scorers, got {name!r}{hint}")
        scorer = _scorer(model, name, classes)
        perfect = CachedPredictions(model, truth, truth)
        if is_classifier(model):
            perfect = CachedPredictions(
                model, truth, truth, np.eye(len(classes))[np.searchsorted(classes, truth)], classes
            )
        try:
            _quietly(scorer, perfect)
        except (ValueError, TypeError, AttributeError) as error:
            what = f"{len(classes)} classes" if is_classifier(model) else "numbers"
            raise ParameterError(f"scoring {name!r} does not apply to a target of {what}: {reason(error)}") from error
        scorers[_NAMES.get(name, name)] = scorer
    return scorers


def interval_of(scores: ModelScores, metric: str, splits: Sequence[Split], groups: ndarray | None = None) -> Interval:
    """The mean over folds, seeds averaged within each, with the corrected resampled t interval.

    Groups, when given, are what is counted on either side; the ends stay within what the score can reach.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a fold without any score stays NaN and is left out
        by_fold = np.nanmean(np.array(scores.validation[metric], dtype=float), axis=0)
    interval = corrected_interval(by_fold, *fold_sizes(splits, groups))
    if interval.low is None or interval.high is None:
        return interval
    lowest, highest = score_bounds(metric)
    return replace(interval, low=max(interval.low, lowest), high=min(interval.high, highest))


def fold_sizes(splits: Sequence[Split], groups: ndarray | None = None) -> tuple[list[int], list[int]]:
    """How many series, or groups where there are groups, are on the training and on the test side of every fold."""
    sides = zip(*splits, strict=True)
    train, test = ([len(rows if groups is None else np.unique(groups[rows])) for rows in side] for side in sides)
    return train, test


def score_bounds(metric: str) -> tuple[float, float]:
    """The worst and the best that a score can be."""
    if metric.startswith(_FRACTIONS):
        return 0.0, 1.0
    return -np.inf, 1.0 if metric == "R2" else 0.0 if metric.startswith("neg_") else np.inf


def score_table(
    scorers: Scorers, predictions: Sequence[Sequence[CachedPredictions | None]]
) -> dict[str, list[list[float]]]:
    """Scores by metric, a row per seed and a column per fold."""
    return {name: [[score_of(scorer, one) for one in seed] for seed in predictions] for name, scorer in scorers.items()}


def score_of(scorer: Any, predictions: CachedPredictions | None) -> float:
    """A score, or NaN where there is none: a member that failed, R squared of one value, AUROC of one class."""
    if predictions is None:
        return float("nan")
    try:
        return _quietly(scorer, predictions)
    except ValueError:  # it does apply, ``scorers_for`` has seen to that: so these few predictions cannot have it
        return float("nan")


def _quietly(scorer: Any, predictions: CachedPredictions) -> float:
    """A score without scikit-learn's warnings of what is missing among the predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return float(scorer(predictions, predictions, predictions.truth))


def _scorer(model: SequenceEstimator, name: str, classes: ndarray) -> Any:
    """scikit-learn's scorer of that name, knowing which class is positive and which classes there are."""
    if not is_classifier(model):
        return check_scoring(model, scoring=name)
    if name == "neg_log_loss":
        return make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=classes)
    if len(classes) == 2 and name in _OF_POSITIVE:
        function, words = _OF_POSITIVE[name]
        return make_scorer(function, pos_label=classes[1], **words)
    return check_scoring(model, scoring=name)


def _average_precision(truth: ndarray, scores: ndarray, pos_label: Any) -> float:
    """Average precision; NaN where all predictions are of one class, as AUROC has it (scikit-learn's is 0 or 1)."""
    if len(np.unique(truth)) < 2:
        return float("nan")
    return float(average_precision_score(truth, scores, pos_label=pos_label))


#: Scores of one class, which scikit-learn takes to be called 1.
_OF_POSITIVE: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "average_precision": (_average_precision, {"response_method": "predict_proba"}),
    "neg_brier_score": (brier_score_loss, {"response_method": "predict_proba", "greater_is_better": False}),
    "f1": (f1_score, {}),
    "jaccard": (jaccard_score, {}),
    "precision": (precision_score, {}),
    "recall": (recall_score, {}),
}


def pooled_score(
    scorers: Scorers, name: str, predictions: Sequence[CachedPredictions | None], blind: bool = False
) -> float:
    """The score of all predictions together; ``blind`` says that the model looks at no series."""
    succeeded = [one for one in predictions if one is not None]
    if not succeeded:
        return float("nan")
    if name.startswith(_RANKINGS) and (blind or _constant(succeeded)):
        return float("nan")
    together = concatenate_predictions(succeeded)
    if together.probabilities is None and succeeded[0].probabilities is not None:
        return float("nan")  # folds that know different classes have no common columns
    return score_of(scorers[name], together)


def _constant(parts: Sequence[CachedPredictions]) -> bool:
    """Whether no fold's probabilities tell its examples apart, where a fold has several."""
    several = [part.probabilities for part in parts if len(part.truth) > 1]
    return bool(several) and all(one is not None and (one == one[:1]).all() for one in several)
