"""What is going to be trained: data, folds, scores and the estimator, all checked, and nothing trained yet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv

from throughtime.augmentation_specs import augmentation_text
from throughtime.data import Dataset, Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator, check_device, checked_weights
from throughtime.generalization import (
    TIME_SPLITS,
    Finding,
    Split,
    divided_in_time,
    fold_indices,
    folds_in_time,
    given_folds,
    groups_of,
    holdout,
    leakage_report,
    parse_cv,
    spans,
)
from throughtime.records import Records
from throughtime.study.checks import refuse_missing, refuse_other_task, refuse_uneven
from throughtime.study.matching import match_test
from throughtime.study.scores import Scorers, scorers_for
from throughtime.study.time_blocks import blocks_of, stretch_of

#: Values that a check for leakage may look at before training: some seconds.
LEAKAGE_WORK = 1e8


@dataclass(frozen=True, repr=False, eq=False)
class Plan:
    """What a study is going to train and score.

    Attributes
    ----------
    train, test
        The series and their targets; ``test`` is never trained on.
    left_out
        Series that are neither, since they share steps with a test that was set aside.
    model
        The estimator, unfitted; its ``random_state`` is that of the first seed.
    splits
        Of each fold the indices of its training and of its test series.
    scorers
        scikit-learn's scorers by the name they are shown under; the first decides.
    seeds
        Networks per fold, their ``random_state`` counting on from the model's.
    season
        Steps after which a season comes again, for a naive forecast among the baselines.
    baselines
        Whether baselines are trained too.
    units
        What is kept whole and counted, one label per training series: its group; of windows of one series the block of
        time that its fold is tested on; ``None`` where each series is one.
    sample_weight
        One per training series, or ``None``.
    findings
        What folds have in common that they should not.
    config
        Plain values that a run keeps of all this.
    """

    train: Dataset
    test: Dataset | None
    left_out: int
    model: SequenceEstimator
    splits: tuple[Split, ...]
    scorers: Scorers
    seeds: int
    season: int | None
    baselines: bool
    units: ndarray | None
    sample_weight: ndarray | None
    findings: Records[Finding]
    config: dict[str, Any]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the scores are called; the first decides."""
        return tuple(self.scorers)

    def __repr__(self) -> str:
        test = "" if self.test is None else f", {len(self.test.X)} test series"
        networks = (len(self.splits) + 1) * self.seeds
        return f"Plan of {self.train.source}: {len(self.train.X)} series, {networks} networks{test}, {self.model}"


def plan(
    model: SequenceEstimator,
    train: Dataset,
    test: Dataset | float | None = None,
    *,
    cv: Any = None,
    scoring: str | Sequence[str] | None = None,
    season: int | None = None,
    seeds: int = 1,
    baselines: bool = True,
    sample_weight: Any = None,
    leakage_work: float = LEAKAGE_WORK,
) -> Plan:
    """Check data against the estimator, set test series aside, draw the folds and look for leakage.

    Parameters
    ----------
    model
        Unfitted, and left as it is.
    train
        The series, with a target.
    test
        Series never trained on; or the fraction of the series, of the groups where there are groups, to set aside: of
        windows of one series the last.
    cv
        A number of folds, one of ``parse_cv``'s words (``"group:10"``, ``"loo"``, ...), a splitter, or the folds
        themselves, pairs of indices. By default 5 folds, or one per group where there are fewer groups. Windows
        without groups are grouped by the series they are of; those of one series are divided in time: a number of
        folds then means ``"purged:5"``.
    scoring
        Names of scikit-learn's scorers; by default accuracy, for two classes AUROC and AUPRC too, R squared of numbers.
    season
        Steps of a season, for a naive forecast.
    seeds
        Networks per fold.
    baselines
        Whether to train baselines too.
    sample_weight
        What each series of ``train`` counts in training, one number per series.
    leakage_work
        Values that a check for leakage may look at.

    Raises
    ------
    DataError
        For data that the estimator cannot be trained on, or that cannot be divided so.
    ParameterError
        For settings that are none.
    """
    seeds = _checked_seeds(seeds)
    model = clone(model)
    model.random_state = first_seed(model.random_state, seeds)
    check_device(model.device)
    refuse_other_task(model, train)
    refuse_missing(model, train)
    weights = None if sample_weight is None else checked_weights(sample_weight, len(train.X))
    whole, fraction, left_out = grouped_by_series(train), None, 0
    train = whole
    clock = refuse_uneven(model, season, whole, None)
    if isinstance(test, Dataset):
        test = match_test(train, test)
        refuse_missing(model, test)
        refuse_uneven(model, season, test, clock)
    elif test is not None:
        fraction = float(test)
        indices = set_aside(whole, fraction, model)
        train, test = (taken(whole, part) for part in indices)
        test = replace(test, source=f"{whole.source}, set aside")
        left_out = len(whole.X) - len(train.X) - len(test.X)
        weights = None if weights is None else weights[indices[0]]

    y = train.y
    assert y is not None
    cv = folds_for(train, cv)
    splitter = _splitter(cv, model, train)
    splits = fold_indices(splitter, train.X, y, train.groups)
    by_block = divided_in_time(train.X, train.groups) and isinstance(splitter, TIME_SPLITS)
    units = blocks_of(train.X, splits) if by_block else train.groups
    scoring = [scoring] if isinstance(scoring, str) else scoring
    scorers = scorers_for(model, y, scoring or ())
    burn_in = model.burn_in + model.horizon
    findings = leakage_report(train.X, y, groups=train.groups, cv=splits, burn_in=burn_in, most_work=leakage_work)
    config = {
        "source": whole.source,
        "test": None if test is None or fraction is not None else test.source,
        "split": fraction,
        "task": "classification" if is_classifier(model) else "regression",
        "columns": columns_in_config(train),
        "channels": train.X.channel_names,
        "target": train.target,
        "cv": _named(cv),
        "scoring": tuple(scorers),
        "scorers": None if scoring is None else list(scoring),
        "season": season,
        "seeds": seeds,
        "parameters": parameters_in_config(model),
    }
    return Plan(
        train, test, left_out, model, splits, scorers, seeds, season, baselines, units, weights, findings, config
    )


def columns_in_config(data: Dataset) -> dict[str, Any]:
    """How data were read, as JSON can hold it."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(data.columns).items()}


def parameters_in_config(model: SequenceEstimator) -> dict[str, Any]:
    """An estimator's parameters as JSON can hold them: classes as text, a factory and a cell by their names."""
    parameters: dict[str, Any] = model.get_params(deep=False)
    if isinstance(parameters.get("class_weight"), Mapping):
        parameters["class_weight"] = {str(label): weight for label, weight in parameters["class_weight"].items()}
    if parameters["augment"] is not None:
        parameters["augment"] = augmentation_text(parameters["augment"])
    if parameters.get("module") is not None:
        parameters["module"] = getattr(parameters["module"], "__qualname__", type(parameters["module"]).__qualname__)
    parameters["cell"] = getattr(parameters["cell"], "name", parameters["cell"])
    return parameters


def set_aside_in_words(plan: Plan) -> str:
    """How many series are for the test, how many are left to train on, and how many are neither."""
    assert plan.test is not None
    last = f", the last in time ({stretch_of(plan.test.X)})" if divided_in_time(plan.test.X, plan.test.groups) else ""
    n = plan.left_out
    neither = f"; {n} between share{'s' * (n == 1)} steps with the test and {_is(n)} left out" if n else ""
    return f"{_counted(plan.test)} for the test{last}, {_counted(plan.train)} left to train on{neither}"


def folds_in_words(plan: Plan) -> str | None:
    """How windows of one series are divided in time; ``None`` for other folds."""
    if plan.units is None or plan.units is plan.train.groups:
        return None
    X, splits = plan.train.X, plan.splits
    where = spans(X)
    forward = all(where.begins[train].max() < where.begins[test].min() for train, test in splits)
    left_out = []
    for train, test in splits:
        neither = np.ones(len(X), dtype=bool)
        neither[train] = neither[test] = False
        left_out.append(int((neither & (where.begins < where.begins[test].min())).sum() if forward else neither.sum()))
    least, most = min(left_out), max(left_out)
    blocks = f"{len(splits)} blocks of time{' after a first one' if forward else ''} ({plan.config['cv']})"
    trained = "the windows before it" if forward else "the rest"
    words = f"{blocks}, each the test of one fold trained on {trained}"
    counted = f"{most}" if least == most else f"{least} to {most}"
    return f"{words}; {counted} window{'s' * (most > 1)} near it {_is(most)} left out" if most else words


def _counted(data: Dataset) -> str:
    groups = "" if data.groups is None else f" ({len(np.unique(data.groups))} groups)"
    return f"{len(data.X)} series{groups}"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _checked_seeds(seeds: Any) -> int:
    if not isinstance(seeds, int | np.integer) or isinstance(seeds, bool):
        raise ParameterError(f"--seeds needs a whole number, got {seeds!r}")
    if seeds < 1:
        raise ParameterError(f"--seeds needs at least 1, got {seeds}")
    return int(seeds)


def first_seed(random_state: Any, seeds: int) -> int:
    """The seed of the first of a fold's networks, the others counting on from it; drawn where none is given."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if not isinstance(random_state, int | np.integer) or isinstance(random_state, bool):
        raise ParameterError(f"random_state needs a whole number in a study, got {random_state!r}")
    if random_state + seeds > 2**32:
        raise ParameterError(
            f"random_state needs to stay below 2**32 over all seeds, got {random_state} and {seeds} seeds"
        )
    return int(random_state)


def set_aside(whole: Dataset, fraction: float, model: SequenceEstimator) -> Split:
    """The series to train on, and those to test on."""
    assert whole.y is not None
    classifier = is_classifier(model) and not isinstance(whole.y, Sequences)
    groups = None if divided_in_time(whole.X, whole.groups) else whole.groups
    return holdout(whole.X, whole.y, groups, fraction, classifier=classifier, random_state=model.random_state)


def taken(whole: Dataset, indices: ndarray) -> Dataset:
    """Some of the series."""
    return replace(
        whole,
        X=whole.X[indices],
        y=None if whole.y is None else whole.y[indices],
        ids=tuple(whole.ids[index] for index in indices),
        groups=None if whole.groups is None else whole.groups[indices],
    )


def grouped_by_series(data: Dataset) -> Dataset:
    """Windows of several series with these as their groups, if they have none."""
    groups = groups_of(data.X)
    if groups is data.X.groups:
        return data
    X = data.X.replace(groups=groups)
    return replace(data, X=X, groups=X.groups)


def folds_for(data: Dataset, cv: Any) -> Any:
    """``cv``, or what stands for none; a number leaves open how to divide, which windows of one series are in time."""
    one_series = divided_in_time(data.X, data.groups)
    if cv is None:
        cv = 5 if data.groups is None or one_series else min(5, max(2, len(np.unique(data.groups))))
    return folds_in_time(cv) if one_series else cv


def _splitter(cv: Any, model: SequenceEstimator, data: Dataset) -> Any:
    """A splitter, from any of the forms of ``cv``."""
    y = data.y
    if isinstance(cv, str | Integral) and not isinstance(cv, bool):
        return parse_cv(
            str(cv),
            classifier=is_classifier(model) and not isinstance(y, Sequences),
            random_state=model.random_state,
            grouped=data.groups is not None,
        )
    if hasattr(cv, "split"):
        return cv
    return check_cv(given_folds(cv, len(data.X)))


def _named(cv: Any) -> str | int:
    """``cv`` as a run keeps it: a number, a word, or how a splitter shows itself."""
    if isinstance(cv, Integral):
        return int(cv)
    if isinstance(cv, str):
        return int(cv) if cv.strip().isdecimal() else cv
    return " ".join(repr(cv).split()) if hasattr(cv, "split") else "given"
