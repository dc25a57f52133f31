"""How well a network will do: its folds, seeds and refits trained together, beside what baselines reach."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone, is_classifier

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import DEFAULT_BUDGET, SequenceEstimator, fit_members, known_channels, predict_members
from throughtime.generalization import (
    Baseline,
    CachedPredictions,
    SeasonalNaive,
    Split,
    baselines_for,
    predictions_from,
    predictions_of,
    select_targets,
)
from throughtime.records import EpochProgress, Record
from throughtime.study.kept_baselines import KeptBaselines
from throughtime.study.scores import ModelScores, Scorers, pooled_score, score_of, score_table
from throughtime.training import CheckpointsOrPath, FlowMonitor, Observer


@dataclass(frozen=True, repr=False)
class Assessment(Record):
    """A network's scores, and everything that was trained for them: a row per seed."""

    scores: ModelScores
    folds: list[list[SequenceEstimator | Exception]]
    refits: list[SequenceEstimator | Exception]
    out_of_fold: list[list[CachedPredictions | None]]
    test_predictions: list[CachedPredictions | None]


def _name_of(model: SequenceEstimator) -> str:
    """What a model is called in tables."""
    if model.module is not None:
        return "module"
    return str(getattr(model.cell, "name", model.cell)).upper()


def name_of_member(fold: int | None, seed: int, seeds: int) -> str:
    """What messages call a network, counted from 1: ``fold 1, seed 2``; that of ``fold=None`` knows all series."""
    which = "all series" if fold is None else f"fold {fold + 1}"
    return f"{which}, seed {seed + 1}" if seeds > 1 else which


def members_of(n_folds: int, seeds: int) -> list[tuple[int, int | None]]:
    """Seed and fold of every network that `assess` trains, in its order; those of all series are the last."""
    return [(seed, fold) for folds in (range(n_folds), [None]) for seed in range(seeds) for fold in folds]


def assess(
    estimators: Sequence[SequenceEstimator],
    X: Sequences,
    y: Any,
    splits: Sequence[Split],
    scorers: Scorers,
    *,
    test: tuple[Sequences, Any] | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
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
    sample_weight
        One per series of X: what it counts in training. Scores count all series alike.
    memory_budget, checkpoints, observers
        As `fit_members` takes them; members are in the order of `members_of`.
    """
    everything = np.arange(len(X))
    n_folds = len(splits)
    members = [estimator for estimator in estimators for _ in splits] + list(estimators)
    # Of a network of all series that no monitor looks at, how far its gradients reach in the end.
    refitted = range(n_folds * len(estimators), len(members))
    unmonitored = [m for m in refitted if members[m].monitor is None and members[m].module is None]
    last_look = FlowMonitor(unmonitored, every=None, warn=False)
    fitted = fit_members(
        members,
        X,
        y,
        train_indices=[train for _ in estimators for train, _ in splits] + [everything] * len(estimators),
        eval_indices=[held for _ in estimators for _, held in splits] + [None] * len(estimators),
        sample_weight=sample_weight,
        groups=groups,
        on_epoch=on_epoch,
        memory_budget=memory_budget,
        checkpoints=checkpoints,
        observers=[*([last_look] if unmonitored else []), *observers],
        names=[name_of_member(fold, seed, len(estimators)) for seed, fold in members_of(n_folds, len(estimators))],
    )
    for m in unmonitored:
        refit = fitted[m]
        if not isinstance(refit, Exception):
            refit.flow_ = last_look.records(m)
    folds = [fitted[s * n_folds : (s + 1) * n_folds] for s in range(len(estimators))]
    refits = fitted[len(estimators) * n_folds :]
    held_out = [_predictions(seed, X, y, [rows for _, rows in splits]) for seed in folds]
    trained = [_predictions(seed, X, y, [rows for rows, _ in splits]) for seed in folds]
    tested: list[CachedPredictions | None] = [None] * len(estimators)
    if test is not None:
        tested = _predictions(refits, test[0], test[1], [np.arange(len(test[0]))] * len(refits))
    scores = ModelScores(
        name=_name_of(estimators[0]),
        validation=score_table(scorers, held_out),
        training=score_table(scorers, trained),
        pooled={name: [pooled_score(scorers, name, seed) for seed in held_out] for name in scorers},
        test={} if test is None else {name: [score_of(scorers[name], one) for one in tested] for name in scorers},
    )
    return Assessment(scores, folds, refits, held_out, tested)


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
    kept: KeptBaselines | None = None,
) -> list[ModelScores]:
    """Score the baselines on the same folds and test series.

    Parameters
    ----------
    model
        The network they stand beside, unfitted: what it predicts, they do; what it may not see of a forecast's future,
        they do not either.
    season
        Steps after which a season comes again: `SeasonalNaive` looks back by whole seasons. Without one, it gives the
        last value that a forecast knows.
    on_model
        Called with the name of each before it is trained.
    kept
        What is known from a call before, and told of each that is scored.
    """
    if test is not None:
        _refuse_other_names(X, test[0])
    classifier = is_classifier(model)
    scored = []
    known = known_channels(model.known, X)
    for baseline in baselines_for(X, y, classifier=classifier, horizon=model.horizon, known=known, season=season):
        if kept is not None and (known_scores := kept.get(baseline.name)) is not None:
            scored.append(known_scores)
            continue
        if on_model is not None:
            on_model(baseline.name)
        held = []
        for train, rest in splits:
            fold = deepcopy(baseline).fit(X[train], select_targets(y, train), None if groups is None else groups[train])
            held.append(_baseline_predictions(model, fold, X[rest], select_targets(y, rest)))
        tests = {}
        if test is not None:
            whole = _baseline_predictions(model, baseline.fit(X, y, groups), *test)
            tests = {name: [score_of(scorer, whole)] for name, scorer in scorers.items()}
        blind = getattr(baseline, "rows", ...) is None
        scored.append(
            ModelScores(
                baseline.name,
                score_table(scorers, [held]),
                {},  # of no interest, and for 1-NN as dear as everything else together
                {name: [pooled_score(scorers, name, held, blind)] for name in scorers},
                tests,
            )
        )
        if kept is not None:
            kept.keep(scored[-1])
    return scored


def with_seed(estimator: SequenceEstimator, seed: int) -> SequenceEstimator:
    """A copy of an unfitted estimator with another seed."""
    copy: SequenceEstimator = clone(estimator)
    copy.random_state = seed
    return copy


def _predictions(
    fitted: Sequence[SequenceEstimator | Exception], X: Sequences, y: Any, rows: Sequence[ndarray]
) -> list[CachedPredictions | None]:
    """What every member that did not fail predicts on its series, in lockstep."""
    pairs = list(zip(fitted, rows, strict=True))
    succeeded = [(member, indices) for member, indices in pairs if isinstance(member, SequenceEstimator)]
    outputs = iter(predict_members([member for member, _ in succeeded], X, [indices for _, indices in succeeded]))
    return [
        predictions_of(member, X[indices], select_targets(y, indices), next(outputs))
        if isinstance(member, SequenceEstimator)
        else None
        for member, indices in pairs
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
        wanted, given = getattr(X, what), getattr(test, what)
        if wanted is not None and given is not None and wanted != given:
            raise DataError(f"test needs the {what} of X in their order, {', '.join(wanted)}, got {', '.join(given)}")
