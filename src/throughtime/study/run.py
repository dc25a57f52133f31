"""A run on disk, read file by file, each checked against the manifest and each value of its type."""

import os
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from throughtime import storage
from throughtime.data import Dataset
from throughtime.errors import DataError, ParameterError, StorageError
from throughtime.estimators import FACTS, WEIGHTS, SequenceEstimator, from_plain
from throughtime.generalization import Finding
from throughtime.records import Records
from throughtime.shift import NamedShift, Reference
from throughtime.stability import flow_from_arrays
from throughtime.study import contents
from throughtime.study.contents import DataFacts
from throughtime.study.files import FLOW, TEST_SHIFT
from throughtime.study.fingerprint import fingerprint_of
from throughtime.study.planning import grouped_by_series, set_aside, taken
from throughtime.study.results import Fold, MemberFlow, StudyMember, Table
from throughtime.study.scores import Metrics, Score, summary_of
from throughtime.study.shift_outcomes import outcome_from
from throughtime.study.shift_sample import SAMPLE, SAMPLE_FACTS, reference_from, sampled_reference


class Run:
    """What ``throughtime fit``, ``search`` and `Study.save` wrote.

    `open` checks every file against the manifest. What a file holds is read when it is first asked for, and checked
    again then. Whatever is missing, damaged or not of its type is a `StorageError` that names the file.

    Parameters
    ----------
    files
        The run as ``throughtime.storage.read_run`` opens it.
    module
        The factory of the networks, where the estimator was given one: a run holds their weights, not their code.
    cell
        The same for a `CellSpec` of the user's own.
    """

    def __init__(self, files: storage.Run, module: Any = None, cell: Any = None) -> None:
        self._files = files
        self._code = module, cell

    @classmethod
    def open(cls, directory: str | PathLike[str], *, module: Any = None, cell: Any = None) -> Self:
        """Open a run.

        Raises
        ------
        StorageError
            If there is no run, or a file is missing, damaged or not of it.
        ParameterError
            For a directory that is no path.
        """
        if not isinstance(directory, str | PathLike):
            raise ParameterError(f"directory needs a path, got {directory!r}")
        return cls(storage.read_run(Path(directory)), module, cell)

    @property
    def directory(self) -> Path:
        """Where the run is."""
        return self._files.directory

    @property
    def directory_name(self) -> str:
        """What its directory is called, though it was given as ``.`` from within."""
        return Path(os.path.abspath(self.directory)).name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its files."""
        return tuple(sorted(self._files.manifest.files))

    @property
    def facts(self) -> dict[str, Any]:
        """What the bits of the run depend on: device, instruction set, threads."""
        return dict(self._files.manifest.facts)

    @property
    def created(self) -> str:
        """When it was written, UTC in ISO 8601."""
        return self._files.manifest.created

    @property
    def versions(self) -> dict[str, str | None]:
        """Versions of Python and of the packages that wrote it."""
        return dict(self._files.manifest.versions)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What was asked for: the source, its columns, folds, scores, the estimator's parameters."""
        return contents.config_of(*self._json("config.json"))

    @cached_property
    def data(self) -> DataFacts:
        """What the data held, and the fingerprint that tells them from others."""
        return contents.data_facts_of(*self._json("data.json"))

    @property
    def seeds(self) -> int:
        """Networks per fold."""
        seeds: int = self.config["seeds"]
        return seeds

    @cached_property
    def folds(self) -> list[Fold]:
        """The series on either side of every fold."""
        return contents.folds_of(*self._json("folds.json"))

    @cached_property
    def metrics(self) -> Metrics:
        """The scores of the baselines and, last, of the network."""
        return contents.metrics_of(*self._json("metrics.json"), self.config["scoring"], len(self.folds))

    @property
    def scores(self) -> Records[Score]:
        """Mean scores by metric and model, with the interval of the validation score."""
        return summary_of(self.metrics)

    @cached_property
    def findings(self) -> Records[Finding]:
        """What the folds have in common that they should not; none in runs of early versions."""
        return contents.findings_of(*self._json("metrics.json"))

    @cached_property
    def estimator(self) -> SequenceEstimator:
        """The network of the first seed, trained on all training series."""
        estimator = from_plain(self._files.json(FACTS), self._files.arrays(WEIGHTS), str(self.directory), *self._code)
        return self._with_flow(estimator, 0, None)

    @cached_property
    def members(self) -> list[StudyMember]:
        """Every network: by seed those of the folds, then that of all series."""
        value, source = self._json("members.json")
        arrays = self._files.arrays("members.safetensors")
        members = []
        for facts, entry in zip(value, contents.member_entries_of(value, source), strict=True):
            if entry.failure is not None:
                members.append(StudyMember(entry.seed, entry.fold, None, entry.failure))
                continue
            weights = contents.member_arrays(arrays, entry.prefix)
            estimator = from_plain(facts, weights, f"{source}: {entry.prefix}", *self._code)
            members.append(StudyMember(entry.seed, entry.fold, self._with_flow(estimator, entry.seed, entry.fold)))
        return members

    @cached_property
    def failures(self) -> list[StudyMember]:
        """The networks that could not be trained, and why."""
        entries = contents.member_entries_of(*self._json("members.json"))
        return [StudyMember(one.seed, one.fold, None, one.failure) for one in entries if one.failure is not None]

    @cached_property
    def flow(self) -> list[MemberFlow]:
        """Gradients through time, of every network with a monitor and of those of all series; none in early runs."""
        if FLOW not in self.names:
            return []
        arrays, source = self._files.arrays(FLOW), str(self.directory / FLOW)
        value, names = self._json("members.json")
        found = []
        for entry in contents.member_entries_of(value, names):
            own = contents.member_arrays(arrays, entry.prefix)
            if own:
                records = flow_from_arrays(own, f"{source}: {entry.prefix}")
                found.append(MemberFlow(entry.seed, entry.fold, records))
        return found

    def reference(self, data: Dataset | None = None) -> Reference:
        """What `throughtime.diagnose_shift` compares new series with: the sample that the run keeps.

        Parameters
        ----------
        data
            The series that the run was made of, as they were read for it, to make the reference anew of all of them,
            or of a run of an early version, which keeps none.

        Raises
        ------
        StorageError
            When the run has no sample.
        DataError
            When none could be made, or ``data`` are not those of the run.
        """
        folds = {member.fold: member.estimator for member in self.members if member.seed == 0}
        fitted = {fold: member for fold, member in folds.items() if fold is not None}
        if data is not None:
            data = self._trained_on(data)
            splits = [(fold.train, fold.test) for fold in self.folds]
            members = [fitted.get(fold) for fold in range(len(splits))]
            return sampled_reference(members, data, splits, self.estimator.random_state_, most=len(data.X))
        if SAMPLE_FACTS not in self.names:
            raise StorageError(
                f"{self.directory} needs {SAMPLE} for shift tests, which runs of early versions lack; fit it again, or "
                "give Run.reference the series that it was made of"
            )
        arrays = self._files.arrays(SAMPLE) if SAMPLE in self.names else None
        return reference_from(self._files.json(SAMPLE_FACTS), arrays, fitted, str(self.directory / SAMPLE_FACTS))

    @cached_property
    def shift_to_test(self) -> NamedShift | str | None:
        """The shift from the training series to the test's, or why they cannot be compared.

        ``None`` without a test, and in runs of early versions.
        """
        if TEST_SHIFT not in self.names:
            return None
        kept = contents.shift_to_test_of(*self._json(TEST_SHIFT))
        return kept.reason or outcome_from(kept.outcome, str(self.directory / TEST_SHIFT))

    @property
    def estimators(self) -> list[SequenceEstimator]:
        """The networks trained on all training series, one per seed."""
        return [member.estimator for member in self.members if member.fold is None and member.estimator is not None]

    @cached_property
    def curves(self) -> Table:
        """Every epoch of every network."""
        return contents.curves_of(self._files.bytes("curves.csv"), str(self.directory / "curves.csv"))

    @cached_property
    def out_of_fold(self) -> Table | None:
        """Every target of the training series, predicted by networks that did not train on it."""
        return self._predictions("out_of_fold.csv")

    @cached_property
    def test_predictions(self) -> Table | None:
        """Every target of the test series; ``None`` without any."""
        return self._predictions("test_predictions.csv")

    @cached_property
    def search(self) -> Table | None:
        """The settings that a search tried, columns of ``cv_results_``; ``None`` where there was no search."""
        if "search.csv" not in self.names:
            return None
        return contents.search_of(self._files.bytes("search.csv"), str(self.directory / "search.csv"))

    @property
    def pictures(self) -> dict[str, bytes]:
        """Its pictures by name, PNG."""
        return {name: self._files.bytes(name) for name in self.names if name.endswith(".png")}

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, created {self.created})"

    def _with_flow(self, estimator: SequenceEstimator, seed: int, fold: int | None) -> SequenceEstimator:
        """A network with its records of gradients, where there are some."""
        for own in self.flow:
            if (own.seed, own.fold) == (seed, fold):
                estimator.flow_ = own.records
        return estimator

    def _trained_on(self, data: Dataset) -> Dataset:
        """The training series among data, which are refused if they are others than the run's."""
        data = grouped_by_series(data)
        if self.config["split"] is not None:
            data = taken(data, set_aside(data, self.config["split"], self.estimator)[0])
        marks = self.data.fingerprint
        if marks is not None and fingerprint_of(data) != {name: marks[name] for name in marks if name != "weights"}:
            raise DataError(f"{data.source} needs to hold what {self.directory} was trained on, got other series")
        return data

    def _json(self, name: str) -> tuple[Any, str]:
        """A JSON file's value, and what an error calls it."""
        return self._files.json(name), str(self.directory / name)

    def _predictions(self, name: str) -> Table | None:
        if name not in self.names:
            return None
        classes = getattr(self.estimator, "classes_", None)
        target = np.dtype(np.float64) if classes is None else classes.dtype
        return contents.predictions_of(self._files.bytes(name), str(self.directory / name), target)
