"""New series compared with those that a study or a run was trained on: which shift it is, or whether there is one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Dataset
from throughtime.errors import DataError, DataWarning, warn
from throughtime.records import Record
from throughtime.shift import Reference, ShiftDiagnosis, ShiftTest, covariate_test, diagnose_shift, embed, take
from throughtime.study.planning import columns_in_config, taken
from throughtime.study.results import Results
from throughtime.study.run import Run
from throughtime.study.shift_sample import SAMPLE, has_target

#: Of fewer series, and with a larger p-value, nothing is said unasked.
FEWEST, UNASKED = 20, 0.01
#: Of fewer permutations the joint p-value of several tests is hardly ever so small.
PERMUTATIONS = 999
#: Of more series of either side so many are looked at unasked, drawn at random.
MOST_UNASKED = 500


@dataclass(frozen=True, repr=False, eq=False)
class ShiftReport(Record):
    """A diagnosis of shift, and what it is of.

    Attributes
    ----------
    data
        The deployed series.
    diagnosis
        The verdict and what it rests on.
    config
        Plain values: the run, the source and its columns, what was asked for.
    """

    data: Dataset
    diagnosis: ShiftDiagnosis
    config: dict[str, Any]


def report_shift(run: Run, data: Dataset, *, labels: bool = False, **options: Any) -> ShiftReport:
    """Name the shift from the series that a run was trained on to new ones.

    Parameters
    ----------
    data
        The new series, read as the run's.
    labels
        Whether to use their targets, without which concept shift cannot be seen.
    **options
        ``level``, ``permutations`` and ``random_state`` of ``throughtime.diagnose_shift``.

    Raises
    ------
    DataError
        For targets that are asked for and not there, and series that cannot be compared.
    StorageError
        For a run without a sample.
    """
    reference = run.reference()
    if labels and data.y is None:
        raise DataError(f"{data.source} needs a target for --labels, got none; --labels can be left out")
    if labels:
        data = _with_targets(reference, data)
    found = diagnose_shift(
        reference, data.X, data.y if labels else None, groups=_own_groups(reference, data), **options
    )
    config = {
        "run": str(run.directory),
        "source": data.source,
        "columns": columns_in_config(data),
        "series": len(data.X),
        "labels": labels,
        "options": options,
    }
    return ShiftReport(data, found, config)


def shift_of_test(results: Results) -> ShiftDiagnosis | str | None:
    """Name the shift from the training series to the test, at a level at which a random split is rarely said to differ.

    Returns
    -------
    Why they cannot be compared, as text; ``None`` without a test.
    """
    if results.test is None:
        return None
    try:
        reference = results.reference()
        if _lacks_groups(reference, results.test):
            return "its series have no groups, as the training series do"
        test = _with_targets(reference, results.test)
        with _said_before():
            return diagnose_shift(reference, test.X, test.y, groups=_own_groups(reference, test), level=UNASKED)
    except DataError as error:
        return str(error)


def inputs_left(run: Run, data: Dataset) -> ShiftTest | None:
    """Whether new series have left the distribution of those that a run was trained on, at .01, labels left aside.

    Returns
    -------
    The test if they have. ``None`` otherwise, of fewer than 20 series, and where there is nothing to compare them with:
    a run without a sample, or groups of the run's that the series lack.
    """
    if len(data.X) < FEWEST or SAMPLE not in run.names:
        return None
    reference, rng = run.reference(), np.random.default_rng(0)
    if _lacks_groups(reference, data):
        return None  # one person's series are alike, which is no shift
    if len(data.X) > MOST_UNASKED:
        data = taken(data, np.sort(rng.choice(len(data.X), MOST_UNASKED, replace=False)))
    known = reference.embedding
    if len(known) > MOST_UNASKED:
        known = take(known, np.sort(rng.choice(len(known), MOST_UNASKED, replace=False)))
    try:
        with _said_before():
            found = embed(reference, data.X, groups=_own_groups(reference, data))
            test = covariate_test(known, found, permutations=PERMUTATIONS)
    except DataError:  # too few groups
        return None
    return test if test.p_value <= UNASKED else None


@contextmanager
def _said_before() -> Iterator[None]:
    """Keep to itself what was said of these data when they were predicted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def _with_targets(reference: Reference, data: Dataset) -> Dataset:
    """The series that have an observed target."""
    seen = has_target(reference.members[0], data.X, data.y)
    return data if seen.all() else taken(data, np.flatnonzero(seen))


def _lacks_groups(reference: Reference, data: Dataset) -> bool:
    return reference.embedding.unit == "group" and data.groups is None and data.X.source is None


def _own_groups(reference: Reference, data: Dataset) -> ndarray | None:
    """The groups of deployed series; those that the reference has too get names of their own, with a warning."""
    known = reference.embedding
    if data.groups is None or known.unit != "group" or known.groups is None:
        return None
    groups = np.array(data.groups.tolist(), object)
    if shared := set(groups) & set(known.groups.tolist()):
        some = ", ".join(sorted(map(str, shared))[:3]) + (", ..." if len(shared) > 3 else "")
        warn(
            f"{len(shared)} of the groups of {data.source} are in the training series too ({some}): they are taken for "
            "other groups",
            DataWarning,
        )
        groups = np.array([f"{label}, deployed" for label in groups], object)
    return groups
