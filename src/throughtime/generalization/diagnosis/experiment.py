"""The experiment: the base and its variants, trained on every fold of a repeat as one lockstep batch."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.base import clone

from throughtime.data import Sequences, as_labels, as_sequences, as_targets
from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.estimators import (
    Fit,
    Outputs,
    Problem,
    SequenceEstimator,
    checked_weights,
    fit_requests,
    fitted_as,
    predict_requests,
)
from throughtime.generalization.arguments import takes_groups
from throughtime.generalization.cached_predictions import observed_targets
from throughtime.generalization.diagnosis.gains import Units
from throughtime.generalization.diagnosis.losses import OutOfFold, Scored, Targets, losses_for
from throughtime.generalization.diagnosis.probes import Base, Variant
from throughtime.generalization.folds import Split, fold_indices, folds_in_time, given_folds, parse_cv
from throughtime.generalization.splitters import divided_in_time, groups_of, in_order, spans
from throughtime.records import EpochProgress
from throughtime.terminal import Lenient
from throughtime.training import CheckpointsOrPath, as_checkpoints

#: Blocks of one series, whose means are taken for independent; of more, each is too short for that.  Schmeiser (1982),
#: Batch size effects in the analysis of simulation output, Operations Research 30, 556-568, has 10 to 30.
_MOST_BLOCKS = 10


class Experiment:
    """Data, checked, on which conditions are trained.

    Parameters
    ----------
    estimator
        The base, unfitted.
    X, y, groups, sample_weight
        As ``fit`` takes them. Windows without groups belong to the series they were cut from; those of one series to
        blocks of time, which a number of folds then divides.
    cv
        Folds: a number or the text of ``--cv``, drawn anew in each repeat; a splitter, or pairs of indices, which stay,
        as folds in time do.
    random_state
        Of the repeats: their folds, and the seeds of their members.
    verbose, memory_budget, checkpoints
        As `fit_requests` takes them.

    Raises
    ------
    DataError, ParameterError
        For what cannot be used.
    """

    def __init__(
        self,
        estimator: SequenceEstimator,
        X: Any,
        y: Any,
        groups: Any,
        sample_weight: Any,
        cv: Any,
        random_state: int | None,
        verbose: bool,
        memory_budget: float | None,
        checkpoints: CheckpointsOrPath | None,
    ) -> None:
        if not isinstance(estimator, SequenceEstimator):
            raise ParameterError(
                f"diagnose needs a SequenceClassifier or a SequenceRegressor, got {type(estimator).__name__}; what a "
                "pipeline does before goes into the estimator's features="
            )
        self.estimator = estimator
        self.X = as_sequences(X, layout=estimator.layout)
        Problem([estimator], self.X, y)  # refuses what cannot be learned
        self.y = as_targets(y, self.X)
        self.weights = checked_weights(sample_weight, len(self.X))
        if not self.weights.any():
            raise DataError("sample_weight needs a weight above zero, got zero weights only")
        self.groups = groups_of(self.X) if groups is None else as_labels(groups, "groups", len(self.X))
        self._in_time = divided_in_time(self.X, self.groups)
        if self._in_time:
            self.groups = None  # a single one says nothing
        once = isinstance(cv, Iterable) and not isinstance(cv, str)  # pairs may come from a generator
        self.cv = list(cv) if once else folds_in_time(cv) if self._in_time else cv
        self._drawn = isinstance(cv, int | str) and not isinstance(cv, bool)
        self._entropy = int(np.random.default_rng().integers(2**63)) if random_state is None else int(random_state)
        self._verbose, self._memory_budget = verbose, memory_budget
        self._checkpoints = as_checkpoints(checkpoints)
        classes = self.estimator.task.name == "classification"
        values = observed_targets(self.y)
        self.classes = np.unique(values) if classes else None
        if len(np.unique(values)) < 2:
            what = "classes" if classes else "values of the target"
            raise DataError(f"diagnose needs at least 2 {what} to tell apart, got only {values[:1].tolist()}")
        self.losses = losses_for(estimator, len(self.X), self.weights)
        self.units = Units(self._numbers(), self.weights)
        if self.units.count < 2:
            raise DataError(f"diagnose needs at least 2 {self.unit_name} to compare, got {self.units.count}")

    @property
    def unit_name(self) -> str:
        """What the intervals take for independent."""
        return "blocks of time" if self._in_time else "series" if self.groups is None else "groups"

    def repeat(self, number: int) -> Base:
        """The base of one repeat: its folds, and the seed of all that is random in it."""
        seed = int(np.random.SeedSequence([self._entropy, number]).generate_state(1)[0])
        return Base(self.estimator, self.X, self.y, self.groups, self._folds(seed), seed)

    def run(
        self,
        base: Base,
        variants: Mapping[str, Variant],
        on_epoch: Callable[[EpochProgress], None] | None = None,
    ) -> dict[str, "Judged | Exception"]:
        """Train and judge every variant on every fold; what failed is an exception."""
        conditions: dict[str, Condition | Exception] = {}
        for name, variant in variants.items():
            try:
                conditions[name] = self._condition(base, variant)
            except ThroughtimeError as error:
                conditions[name] = error
        sound = {name: one for name, one in conditions.items() if isinstance(one, Condition)}
        if self._verbose:  # its progress knows only how many there are
            print(f"diagnose: {', '.join(sound)}", file=Lenient(sys.stderr), flush=True)
        trained = iter(
            fit_requests(
                [fit for condition in sound.values() for fit in condition.fits],
                verbose=self._verbose,
                on_epoch=on_epoch,
                memory_budget=self._memory_budget,
                checkpoints=self._checkpoints,
            )
        )
        learned = {name: [next(trained) for _ in condition.fits] for name, condition in sound.items()}
        results: dict[str, Judged | Exception] = {}
        for name, condition in conditions.items():
            results[name] = condition if isinstance(condition, Exception) else self._judge(condition, learned[name])
        return results

    def _condition(self, base: Base, variant: Variant) -> "Condition":
        """The members of a variant, one per fold."""
        estimator = clone(base.estimator).set_params(**variant.parameters)
        X = base.X if variant.X is None else variant.X
        y = base.y if variant.y is None else variant.y
        origin = variant.origin
        if origin is None and len(X) != len(base.X):
            raise ParameterError(f"a variant needs {len(base.X)} series, or the origin of each, got {len(X)}")
        weights = self.weights if origin is None else self.weights[origin]
        groups = self.groups if origin is None or self.groups is None else self.groups[origin]
        problem = Problem([estimator], X, y, weights, groups)
        folds = base.folds if variant.folds is None else variant.folds
        targets = Targets(estimator, problem.X, y, self.classes, origin)
        members, fits, trains, centers = [], [], [], []
        for number, (train, _) in enumerate(folds):
            own = train
            member = copy(estimator)  # clones of small nets take a hundredth of their training
            member.random_state = base.member_seed(number)
            if variant.train_fraction < 1:
                own = self._fraction(train, variant.train_fraction, base.seed, number)
                member.set_params(**equal_steps(estimator, len(train), len(own)))
            pieces = own if origin is None else np.flatnonzero(np.isin(origin, own))
            members.append(member)
            fits.append(Fit(member, problem, pieces, perturbations=variant.perturbations))
            trains.append(own)
            centers.append(targets.center(targets.of(own), self.weights))
        return Condition(targets, members, fits, trains, [test for _, test in folds], centers)

    def _judge(self, condition: "Condition", learned: list[dict[str, Any] | Exception]) -> "Judged | Exception":
        """Losses of the fitted members of a condition."""
        members = []
        for member, one in zip(condition.members, learned, strict=True):
            if isinstance(one, Exception):
                return one
            members.append(fitted_as(member, one))
        outputs = predict_requests(
            [Outputs(member, fit.problem.X) for member, fit in zip(members, condition.fits, strict=True)],
            memory_budget=self._memory_budget,
        )
        tests: list[Scored] = []
        trains: list[Scored] = []
        for k, (member, out) in enumerate(zip(members, outputs, strict=True)):
            if isinstance(out, Exception):
                return out
            for into, examples in ((tests, condition.tests[k]), (trains, condition.trains[k])):
                rows = condition.targets.of(examples)
                into.append(condition.targets.scored(member, out, rows, condition.centers[k]))
        return Judged(self.losses.out_of_fold(tests, trains), members)

    def _fraction(self, train: Int[ndarray, "series"], fraction: float, seed: int, fold: int) -> Int[ndarray, "series"]:
        """Some series of a training fold; a smaller fraction is part of it.

        Whole groups, or every class in proportion; of windows of one series what lies in a stretch of time, which goes
        on at the beginning where it reaches the end.
        """
        random = np.random.default_rng([seed, fold])
        if self._in_time:  # windows that overlap, drawn one by one, would still hold nearly all steps
            order = train[in_order(spans(self.X[train]))]
            begin = random.integers(len(train))
            chosen = np.roll(order, -begin)[: max(1, round(fraction * len(train)))]
            return np.asarray(train[np.isin(train, chosen)])
        units = self.units.number[train]
        kinds = np.zeros(len(train)) if self.classes is None or isinstance(self.y, Sequences) else self.y[train]
        if self.groups is not None:
            units = np.unique(units)
            kinds = np.zeros(len(units))
        order = random.permutation(len(units))
        # where each is among those of its kind, from 0 to 1: any first part has every kind in proportion
        rank = np.empty(len(units))
        for one in np.unique(kinds):
            own = order[kinds[order] == one]
            rank[own] = (np.arange(len(own)) + 0.5) / len(own)
        chosen = units[np.argsort(rank, kind="stable")[: max(1, round(fraction * len(units)))]]
        return np.asarray(train[np.isin(self.units.number[train], chosen)])

    def _numbers(self) -> Int[ndarray, "series"]:
        """The unit of each series, as a number."""
        if self._in_time:
            return blocks_in_time(self.X, self._folds(0))
        if self.groups is None:
            return np.arange(len(self.X))
        return np.unique(self.groups, return_inverse=True)[1].ravel()

    def _folds(self, seed: int) -> tuple[Split, ...]:
        by_series = self.estimator.task.name == "classification" and not isinstance(self.y, Sequences)
        cv = self.cv
        if self._drawn:
            cv = parse_cv(str(cv), classifier=by_series, random_state=seed, grouped=self.groups is not None)
        if hasattr(cv, "split") and not isinstance(cv, type):
            # folds that ignore groups may leak: that is for a probe to find
            groups = self.groups if takes_groups(cv) else np.arange(len(self.X))
            folds = fold_indices(cv, self.X, self.y, groups)
        else:
            folds = given_folds(cv, len(self.X))
        if len(folds) < 2:
            raise ParameterError(f"cv needs at least 2 folds, of which the others temper each, got {len(folds)}")
        for number, (_, test) in enumerate(folds):
            if not len(test):
                raise DataError(f"every fold needs a series to test on, got none in fold {number}")
        tested, times = np.unique(np.concatenate([test for _, test in folds]), return_counts=True)
        if times.max() > 1:
            twice = int(times.argmax())
            raise DataError(
                "diagnose needs every series in one test fold at most, since the other folds temper each, got series "
                f"{tested[twice]} {times[twice]} times; repeats= tests all again, in other folds"
            )
        return folds


@dataclass(frozen=True)
class Condition:
    """The members of one variant, one per fold, and what they are judged by."""

    targets: Targets
    members: list[SequenceEstimator]
    fits: list[Fit]
    trains: list[ndarray]
    tests: list[ndarray]
    centers: list[Float[ndarray, "output"]]


class Judged(NamedTuple):
    """A condition's losses in one repeat, and its fitted members, one per fold."""

    losses: OutOfFold
    members: list[SequenceEstimator]


def equal_steps(estimator: SequenceEstimator, n_all: int, n_some: int) -> dict[str, int]:
    """Epochs on some of the series that are as many steps of the optimizer as those on all; patience in proportion."""
    batch = estimator.batch_size
    longer = math.ceil(n_all / batch) / math.ceil(n_some / batch)
    return {name: max(1, round(getattr(estimator, name) * longer)) for name in ("max_epochs", "patience")}


def blocks_in_time(X: Sequences, folds: Sequence[Split]) -> Int[ndarray, "window"]:
    """Divide windows of one series into blocks of time, by number: as many as folds, at most 10.

    Folds in time test a block each. Windows that are in no test fold belong to the block that they lie beside.
    """
    tested = np.zeros(len(X), bool)
    for _, test in folds:
        tested[test] = True
    order = in_order(spans(X))
    tested = tested[order]
    parts = np.array_split(np.arange(tested.sum()), min(len(folds), _MOST_BLOCKS))
    number = np.empty(len(X), np.intp)
    number[order] = np.searchsorted([part[0] for part in parts[1:]], np.cumsum(tested) - tested, side="right")
    return number
