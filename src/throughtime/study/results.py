"""What a study comes to, and what a run keeps of it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy import ndarray

from throughtime.data import Dataset
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator
from throughtime.generalization import Finding, Split
from throughtime.records import Record, Records
from throughtime.shift import Reference, ShiftDiagnosis
from throughtime.stability import FlowRecord
from throughtime.study.assessment import Assessment
from throughtime.study.scores import Metrics, fold_sizes
from throughtime.study.searching import Ranking
from throughtime.study.shift_sample import sampled_reference
from throughtime.study.shift_to_test import shift_to

#: A table: columns of one length by name.
Table = dict[str, ndarray]


@dataclass(frozen=True, repr=False, eq=False)
class Fold(Record):
    """Indices of the series on either side of a fold, and how many units these are: series, groups or time blocks."""

    train: ndarray
    test: ndarray
    n_train: int
    n_test: int


@dataclass(frozen=True, repr=False, eq=False)
class StudyMember(Record):
    """One network of a study: of a fold, or of all series where ``fold`` is ``None``; its failure if it has none."""

    seed: int
    fold: int | None
    estimator: SequenceEstimator | None
    failure: str | None = None


@dataclass(frozen=True, repr=False, eq=False)
class MemberFlow(Record):
    """What was measured of one network's gradients through time; of all series where ``fold`` is ``None``."""

    seed: int
    fold: int | None
    records: Records[FlowRecord]


@dataclass(frozen=True, repr=False, eq=False)
class Results:
    """Everything that a study measured and trained.

    Attributes
    ----------
    train, test
        The series and their targets.
    splits
        Of each fold the indices of its training and of its test series.
    assessment
        The networks, their predictions and their scores.
    metrics
        The scores of the baselines and of the network, with intervals.
    units
        What intervals count and baselines keep whole, one label per training series: its group, or its block of time;
        ``None`` where each series is one.
    findings
        What folds have in common that they should not.
    config
        What was asked for, in plain values.
    search
        The settings that were tried, where there was a search.
    sample_weight
        What each training series counted, ``None`` when all counted alike.
    """

    train: Dataset
    test: Dataset | None
    splits: tuple[Split, ...]
    assessment: Assessment
    metrics: Metrics
    units: ndarray | None
    findings: Records[Finding]
    config: dict[str, Any] = field(default_factory=dict)
    search: Ranking | None = None
    sample_weight: ndarray | None = None

    def reference(self) -> Reference:
        """What new series are compared with: those trained on, by networks of the first seed that did not see them.

        At most some thousand, drawn at random. `throughtime.diagnose_shift` takes it.

        Raises
        ------
        DataError
            When every fold failed, or the folds' networks do not know the same classes.
        """
        if isinstance(self._reference, DataError):
            raise self._reference
        return self._reference

    @cached_property
    def _reference(self) -> Reference | DataError:
        try:
            return sampled_reference(self.fold_members, self.train, self.splits, self.estimator.random_state_)
        except DataError as error:
            return error

    @cached_property
    def shift_to_test(self) -> ShiftDiagnosis | str | None:
        """The shift from the training series to the test's; why they cannot be compared; ``None`` without a test."""
        if self.test is None:
            return None
        known = self._reference
        return str(known) if isinstance(known, DataError) else shift_to(self.test, known)

    @property
    def fold_members(self) -> list[SequenceEstimator | None]:
        """The networks of the first seed's folds, ``None`` where one failed."""
        return [member if isinstance(member, SequenceEstimator) else None for member in self.assessment.folds[0]]

    @property
    def estimators(self) -> list[SequenceEstimator]:
        """The networks trained on all training series, one per seed."""
        return [refit for refit in self.assessment.refits if isinstance(refit, SequenceEstimator)]

    @property
    def estimator(self) -> SequenceEstimator:
        """The network of the first seed, trained on all training series."""
        return self.estimators[0]

    @property
    def members(self) -> list[StudyMember]:
        """Every network: by seed those of the folds, then that of all series."""
        return [
            StudyMember(seed, fold, None, str(member))
            if isinstance(member, Exception)
            else StudyMember(seed, fold, member)
            for seed, (folds, refit) in enumerate(zip(self.assessment.folds, self.assessment.refits, strict=True))
            for fold, member in [*enumerate(folds), (None, refit)]
        ]

    @property
    def flow(self) -> list[MemberFlow]:
        """Gradients through time, of every network with a monitor and of those trained on all series."""
        return [
            MemberFlow(member.seed, member.fold, member.estimator.flow_)
            for member in self.members
            if member.estimator is not None and hasattr(member.estimator, "flow_") and member.estimator.flow_
        ]

    @property
    def folds(self) -> list[Fold]:
        """The folds, with what is counted on either side."""
        sizes = zip(*fold_sizes(self.splits, self.units), strict=True)
        return [Fold(train, test, *size) for (train, test), size in zip(self.splits, sizes, strict=True)]
