"""How well a net will do: its folds, seeds and refits trained together, its scores beside those of the baselines."""

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone
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

from throughtime.data import Sequences, reason
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import (
    DEFAULT_BUDGET,
    SequenceClassifier,
    SequenceEstimator,
    fit_members,
    known_channels,
    predict_members,
)
from throughtime.generalization.baselines import Baseline, SeasonalNaive, baselines_for
from throughtime.generalization.cached_predictions import (
    CachedPredictions,
    concatenate_predictions,
    observed_targets,
    predictions_from,
    predictions_of,
    select_targets,
)
from throughtime.generalization.folds import Split
from throughtime.generalization.intervals import Interval, corrected_interval
from throughtime.records import EpochProgress, Record

Scorers = Mapping[str, Any]

#: What an area under a curve is called here.
_NAMES = {"roc_auc": "AUROC", "average_precision": "AUPRC", "r2": "R2"}
#: Beginnings of the names of scores of how predictions and truth go together. A fold that has more of a class leaves
#: less of it to train on, so that predictions constant in each fold go against the truth once the folds are pooled: an
#: AUROC of 0 in leave-one-out (Airola et al. 2011, https://doi.org/10.1016/j.csda.2010.11.018).
_RANKINGS = ("AUROC", "AUPRC", "roc_auc", "average_precision", "matthews_corrcoef")
#: Beginnings of the names of scores between 0 and 1.
_SHARES = (
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
class Assessment(Record):
    """A net's scores, and everything that was trained for them: a row per seed."""

    scores: ModelScores
    folds: list[list[SequenceEstimator | Exception]]
    refits: list[SequenceEstimator | Exception]
    out_of_fold: list[list[CachedPredictions | None]]
    test_predictions: list[CachedPredictions | None]


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
        if isinstance(model, SequenceClassifier):
            names = ["accuracy", "roc_auc", "average_precision"] if len(classes) == 2 else ["accuracy"]
    found = {}
    for name in names:
        if name not in get_scorer_names():
            close = difflib.get_close_matches(name, get_scorer_names(), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ParameterError(f"scoring needs the name of one of scikit-learn's scorers, got {name!r}{hint}")
        scorer = _scorer(model, name, classes)
        perfect = CachedPredictions(model, truth, truth)
        if isinstance(model, SequenceClassifier):
            perfect = CachedPredictions(
                model, truth, truth, np.eye(len(classes))[np.searchsorted(classes, truth)], classes
            )
        try:
            _quietly(scorer, perfect)
        except (ValueError, TypeError, AttributeError) as error:
            what = f"{len(classes)} classes" if isinstance(model, SequenceClassifier) else "numbers"
            raise ParameterError(f"scoring {name!r} does not apply to a target of {what}: {reason(error)}") from error
        found[_NAMES.get(name, name)] = scorer
    return found


def assess(
    estimators: Sequence[SequenceEstimator],
    X: Sequences,
    y: Any,
    splits: Sequence[Split],
    scorers: Scorers,
    *,
    test: tuple[Sequences, Any] | None = None,
    groups: Any = None,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> Assessment:
    """Train one member per fold and seed, and one per seed on all series, in lockstep; score them.

    Parameters
    ----------
    estimators
        One per seed.
    splits
        The folds, as rows of X.
    test
        Series and targets that no member trains on.
    memory_budget
        As `fit_members` takes it.
    """
    everything = np.arange(len(X))
    n_folds = len(splits)
    members = [estimator for estimator in estimators for _ in splits] + list(estimators)
    fitted = fit_members(
        members,
        X,
        y,
        train_indices=[train for _ in estimators for train, _ in splits] + [everything] * len(estimators),
        eval_indices=[held for _ in estimators for _, held in splits] + [None] * len(estimators),
        groups=groups,
        on_epoch=on_epoch,
        memory_budget=memory_budget,
    )
    folds = [fitted[s * n_folds : (s + 1) * n_folds] for s in range(len(estimators))]
    refits = fitted[len(estimators) * n_folds :]
    held = [_answers(seed, X, y, [rows for _, rows in splits]) for seed in folds]
    trained = [_answers(seed, X, y, [rows for rows, _ in splits]) for seed in folds]
    tested: list[CachedPredictions | None] = [None] * len(estimators)
    if test is not None:
        tested = _answers(refits, test[0], test[1], [np.arange(len(test[0]))] * len(refits))
    scores = ModelScores(
        name=str(getattr(estimators[0].cell, "name", estimators[0].cell)).upper(),
        validation=_table(scorers, held),
        training=_table(scorers, trained),
        pooled={name: [_pooled_score(scorers, name, seed) for seed in held] for name in scorers},
        test={} if test is None else {name: [_score(scorers[name], one) for one in tested] for name in scorers},
    )
    return Assessment(scores, folds, refits, held, tested)


def assess_baselines(
    model: SequenceEstimator,
    X: Sequences,
    y: Any,
    splits: Sequence[Split],
    scorers: Scorers,
    *,
    test: tuple[Sequences, Any] | None = None,
    groups: ndarray | None = None,
    season: int | None = None,
    on_model: Callable[[str], None] | None = None,
) -> list[ModelScores]:
    """Score the baselines on the same folds and test series.

    Parameters
    ----------
    model
        The net they stand beside, unfitted: what it predicts, they do; what it may not see of a forecast's future, they
        do not either.
    season
        Steps after which a season comes again: `SeasonalNaive` looks back by whole seasons. Without one, it gives the
        last value that a forecast knows.
    on_model
        Told the name of each before it is trained.
    """
    if test is not None:
        _refuse_other_names(X, test[0])
    classifier = isinstance(model, SequenceClassifier)
    found = []
    known = known_channels(model.known, X)
    for baseline in baselines_for(X, y, classifier=classifier, horizon=model.horizon, known=known, season=season):
        if on_model is not None:
            on_model(baseline.name)
        held = []
        for train, rest in splits:
            fold = deepcopy(baseline).fit(X[train], select_targets(y, train), None if groups is None else groups[train])
            held.append(_baseline_predictions(model, fold, X[rest], select_targets(y, rest)))
        tests = {}
        if test is not None:
            whole = _baseline_predictions(model, baseline.fit(X, y, groups), *test)
            tests = {name: [_score(scorer, whole)] for name, scorer in scorers.items()}
        blind = getattr(baseline, "rows", ...) is None
        found.append(
            ModelScores(
                baseline.name,
                _table(scorers, [held]),
                {},  # of no interest, and for 1-NN as dear as everything else together
                {name: [_pooled_score(scorers, name, held, blind)] for name in scorers},
                tests,
            )
        )
    return found


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
    lowest, highest = _bounds(metric)
    return replace(interval, low=max(interval.low, lowest), high=min(interval.high, highest))


def fold_sizes(splits: Sequence[Split], groups: ndarray | None = None) -> tuple[list[int], list[int]]:
    """How many series, or groups where there are groups, are on the training and on the test side of every fold."""
    sides = zip(*splits, strict=True)
    train, test = ([len(rows if groups is None else np.unique(groups[rows])) for rows in side] for side in sides)
    return train, test


def _bounds(metric: str) -> tuple[float, float]:
    """The worst and the best that a score can be."""
    if metric.startswith(_SHARES):
        return 0.0, 1.0
    return -np.inf, 1.0 if metric == "R2" else 0.0 if metric.startswith("neg_") else np.inf


def with_seed(estimator: SequenceEstimator, seed: int) -> SequenceEstimator:
    """A copy of an unfitted estimator with another seed."""
    copy: SequenceEstimator = clone(estimator)
    copy.random_state = seed
    return copy


def _answers(
    fitted: Sequence[SequenceEstimator | Exception], X: Sequences, y: Any, rows: Sequence[ndarray]
) -> list[CachedPredictions | None]:
    """What every member that lives says of its own series, predicted in lockstep."""
    alive = [(member, own) for member, own in zip(fitted, rows, strict=True) if isinstance(member, SequenceEstimator)]
    outputs = iter(predict_members([member for member, _ in alive], X, [own for _, own in alive]))
    return [
        predictions_of(member, X[own], select_targets(y, own), next(outputs))
        if isinstance(member, SequenceEstimator)
        else None
        for member, own in zip(fitted, rows, strict=True)
    ]


def _baseline_predictions(
    model: SequenceEstimator, baseline: Baseline | SeasonalNaive, X: Sequences, y: Any
) -> CachedPredictions:
    if isinstance(baseline, SeasonalNaive):
        return predictions_from(model, X, y, baseline.predict(X, y))
    predicted = baseline.predict(X)
    if not hasattr(baseline, "predict_proba"):
        return predictions_from(model, X, y, predicted)
    return predictions_from(model, X, y, predicted, baseline.predict_proba(X), baseline.classes_)  # type: ignore[attr-defined]


def _refuse_other_names(X: Sequences, test: Sequences) -> None:
    """Refuse test series with other channels or static features, as the networks do: baselines go by place."""
    for what in ("channel_names", "static_names"):
        own, other = getattr(X, what), getattr(test, what)
        if own is not None and other is not None and own != other:
            raise DataError(f"test needs the {what} of X in their order, {', '.join(own)}, got {', '.join(other)}")


def _table(scorers: Scorers, predictions: Sequence[Sequence[CachedPredictions | None]]) -> dict[str, list[list[float]]]:
    return {name: [[_score(scorer, one) for one in seed] for seed in predictions] for name, scorer in scorers.items()}


def _score(scorer: Any, predictions: CachedPredictions | None) -> float:
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
    """scikit-learn's scorer of that name, told which class is positive and which classes there are."""
    if not isinstance(model, SequenceClassifier):
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


def _pooled_score(
    scorers: Scorers, name: str, predictions: Sequence[CachedPredictions | None], blind: bool = False
) -> float:
    """The score of all predictions together; ``blind`` says that the model looks at no series."""
    alive = [one for one in predictions if one is not None]
    if not alive:
        return float("nan")
    if name.startswith(_RANKINGS) and (blind or _constant(alive)):
        return float("nan")
    together = concatenate_predictions(alive)
    if together.probabilities is None and alive[0].probabilities is not None:
        return float("nan")  # folds that know different classes have no common columns
    return _score(scorers[name], together)


def _constant(parts: Sequence[CachedPredictions]) -> bool:
    """Whether no fold's probabilities tell its examples apart, where a fold has several."""
    several = [part.probabilities for part in parts if len(part.truth) > 1]
    return bool(several) and all(shares is not None and (shares == shares[:1]).all() for shares in several)
