"""The shift from the series that a study was trained on to those of its test."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy import ndarray

from throughtime.data import Dataset
from throughtime.errors import DataError, DataWarning, warn
from throughtime.shift import Reference, ShiftDiagnosis, diagnose_shift
from throughtime.study.planning import taken
from throughtime.study.shift_sample import has_target

#: With a larger p-value nothing is said unasked: a random split rarely has so small a one.
UNASKED = 0.01


def shift_to(test: Dataset, reference: Reference) -> ShiftDiagnosis | str:
    """Name the shift from a reference to test series, or say why they cannot be compared."""
    try:
        if lacks_groups(reference, test):
            return "its series have no groups, as the training series do"
        test = with_targets(reference, test)
        with quietly():
            return diagnose_shift(reference, test.X, test.y, groups=groups_apart(reference, test), level=UNASKED)
    except DataError as error:
        return str(error)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep to itself what was said of these data when they were predicted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def with_targets(reference: Reference, data: Dataset) -> Dataset:
    """The series that have an observed target."""
    seen = has_target(reference.members[0], data.X, data.y)
    return data if seen.all() else taken(data, np.flatnonzero(seen))


def lacks_groups(reference: Reference, data: Dataset) -> bool:
    """Whether series cannot be told apart into the groups that the reference has."""
    return reference.embedding.unit == "group" and data.groups is None and data.X.source is None


def groups_apart(reference: Reference, data: Dataset) -> ndarray | None:
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
