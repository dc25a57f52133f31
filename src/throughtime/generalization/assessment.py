"""How well a net will do: its folds, seeds and refits trained together, its scores beside those of the baselines."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, check_scoring, get_scorer_names, make_scorer

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator, fit_members, predict_members
from throughtime.generalization.answers import Answers, answers_from, answers_of, pooled, take
from throughtime.generalization.baselines import Baseline, baselines
from throughtime.generalization.folds import Split
from throughtime.generalization.intervals import Interval, corrected_interval
from throughtime.records import EpochProgress

Scorers = Mapping[str, Any]

#: What an area under a curve is called here.
_NAMES = {"roc_auc": "AUROC", "average_precision": "AUPRC", "r2": "R2"}


@dataclass(frozen=True)
class ModelScores:
    """One model's scores by metric: ``validation`` and ``training`` a row a seed and a column a fold, others a seed.

    ``pooled`` is the score of all out-of-fold predictions taken together; ``test`` that of the model trained on all
    training series, empty without test series; baselines have no ``training``. A score that cannot be had is NaN.
    """

    name: str
    validation: dict[str, list[list[float]]]
    training: dict[str, list[list[float]]]
    pooled: dict[str, list[float]]
    test: dict[str, list[float]]


@dataclass(frozen=True)
class Assessment:
    """A net's scores, and everything that was trained for them: a row a seed."""

    scores: ModelScores
    folds: list[list[SequenceEstimator | Exception]]
    refits: list[SequenceEstimator | Exception]
    out_of_fold: list[list[Answers | None]]
    test_answers: list[Answers | None]


def scorers_for(model: SequenceEstimator, y: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Scorers by the name they are shown under.

    Parameters
    ----------
    names
        scikit-learn's names. By default accuracy, for two classes AUROC and AUPRC too; R squared for numbers.

    Raises
    ------
    ParameterError
        For a name that scikit-learn does not know.
    """
    if not names:
        names = ["r2"]
        if isinstance(model, SequenceClassifier):
            two = not isinstance(y, Sequences) and len(np.unique(y)) == 2
            names = ["accuracy", "roc_auc", "average_precision"] if two else ["accuracy"]
    found = {}
    for name in names:
        if name not in get_scorer_names():
            raise ParameterError(f"scoring needs names of scikit-learn's scorers, got {name!r}")
        found[_NAMES.get(name, name)] = (
            make_scorer(average_precision_score, response_method="predict_proba", pos_label=np.unique(y)[1])
            if name == "average_precision" and not isinstance(y, Sequences)
            else check_scoring(model, scoring=name)
        )
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
) -> Assessment:
    """Train one member a fold and seed, and one a seed on all series, in lockstep; score them.

    Parameters
    ----------
    estimators
        One a seed.
    splits
        The folds, as rows of X.
    test
        Series and targets that no member trains on.
    """
    everything = np.arange(len(X))
    n_folds = len(splits)
    members = [estimator for estimator in estimators for _ in splits] + list(estimators)
    fitted = fit_members(
        members,
        X,
        y,
        train_rows=[train for _ in estimators for train, _ in splits] + [everything] * len(estimators),
        watch_rows=[held for _ in estimators for _, held in splits] + [None] * len(estimators),
        groups=groups,
        on_epoch=on_epoch,
    )
    folds = [fitted[s * n_folds : (s + 1) * n_folds] for s in range(len(estimators))]
    refits = fitted[len(estimators) * n_folds :]
    held = [_answers(seed, X, y, [rows for _, rows in splits]) for seed in folds]
    trained = [_answers(seed, X, y, [rows for rows, _ in splits]) for seed in folds]
    tested: list[Answers | None] = [None] * len(estimators)
    if test is not None:
        tested = _answers(refits, test[0], test[1], [np.arange(len(test[0]))] * len(refits))
    scores = ModelScores(
        name=estimators[0].cell.upper(),
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
    on_model: Callable[[str], None] | None = None,
) -> list[ModelScores]:
    """Score the baselines on the same folds and test series.

    Parameters
    ----------
    model
        The net they stand beside, unfitted: what it predicts, they do.
    on_model
        Told the name of each before it is trained.
    """
    classifier = isinstance(model, SequenceClassifier)
    found = []
    for baseline in baselines(X, y, classifier=classifier):
        if on_model is not None:
            on_model(baseline.name)
        held = []
        for train, rest in splits:
            fold = clone_baseline(X, y, classifier, baseline.name).fit(
                X[train], take(y, train), None if groups is None else groups[train]
            )
            held.append(_baseline_answers(model, fold, X[rest], take(y, rest)))
        tests = {}
        if test is not None:
            whole = _baseline_answers(model, baseline.fit(X, y, groups), *test)
            tests = {name: [_score(scorer, whole)] for name, scorer in scorers.items()}
        found.append(
            ModelScores(
                baseline.name,
                _table(scorers, [held]),
                {},  # of no interest, and for 1-NN as dear as everything else together
                {name: [_pooled_score(scorers, name, held)] for name in scorers},
                tests,
            )
        )
    return found


def clone_baseline(X: Sequences, y: Any, classifier: bool, name: str) -> Baseline:
    """An untrained baseline of that name."""
    return next(one for one in baselines(X, y, classifier=classifier) if one.name == name)


def interval_of(scores: ModelScores, metric: str, splits: Sequence[Split]) -> Interval:
    """The mean over folds, seeds averaged within each, with the corrected resampled t interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a fold without any score stays NaN and is left out
        by_fold = np.nanmean(np.array(scores.validation[metric], dtype=float), axis=0)
    return corrected_interval(by_fold, [len(train) for train, _ in splits], [len(test) for _, test in splits])


def with_seed(estimator: SequenceEstimator, seed: int) -> SequenceEstimator:
    """A copy of an unfitted estimator with another seed."""
    copy: SequenceEstimator = clone(estimator)
    copy.random_state = seed
    return copy


def _answers(
    fitted: Sequence[SequenceEstimator | Exception], X: Sequences, y: Any, rows: Sequence[ndarray]
) -> list[Answers | None]:
    """What every member that lives says of its own series, predicted in lockstep."""
    alive = [(member, own) for member, own in zip(fitted, rows, strict=True) if isinstance(member, SequenceEstimator)]
    outputs = iter(predict_members([member for member, _ in alive], X, [own for _, own in alive]))
    return [
        answers_of(member, X[own], take(y, own), next(outputs)) if isinstance(member, SequenceEstimator) else None
        for member, own in zip(fitted, rows, strict=True)
    ]


def _baseline_answers(model: SequenceEstimator, baseline: Baseline, X: Sequences, y: Any) -> Answers:
    predicted = baseline.predict(X)
    if not hasattr(baseline, "predict_proba"):
        return answers_from(model, X, y, predicted)
    return answers_from(model, X, y, predicted, baseline.predict_proba(X), baseline.classes_)  # type: ignore[attr-defined]


def _table(scorers: Scorers, answers: Sequence[Sequence[Answers | None]]) -> dict[str, list[list[float]]]:
    return {name: [[_score(scorer, one) for one in seed] for seed in answers] for name, scorer in scorers.items()}


def _score(scorer: Any, answers: Answers | None) -> float:
    """A score, or NaN where there is none: a member that failed, R squared of one value, AUROC of one class."""
    if answers is None:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return float(scorer(answers, answers, answers.truth))


def _pooled_score(scorers: Scorers, name: str, answers: Sequence[Answers | None]) -> float:
    alive = [one for one in answers if one is not None]
    if not alive:
        return float("nan")
    together = pooled(alive)
    if together.probabilities is None and alive[0].probabilities is not None:
        return float("nan")  # folds that know different classes have no common columns
    return _score(scorers[name], together)
