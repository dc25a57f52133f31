"""New series compared with those that a study or a run was trained on: which shift it is, or whether there is one."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughtime.data import Dataset
from throughtime.errors import DataError
from throughtime.records import Record
from throughtime.shift import ShiftDiagnosis, ShiftTest, covariate_test, diagnose_shift, embed, take
from throughtime.study.planning import columns_in_config, taken
from throughtime.study.run import Run
from throughtime.study.shift_sample import SAMPLE
from throughtime.study.shift_to_test import UNASKED, groups_apart, lacks_groups, quietly, with_targets

#: Of fewer series nothing is said unasked.
FEWEST = 20
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
        data = with_targets(reference, data)
    found = diagnose_shift(
        reference, data.X, data.y if labels else None, groups=groups_apart(reference, data), **options
    )
    config = {
        "run": os.path.abspath(run.directory),
        "source": data.source,
        "columns": columns_in_config(data),
        "series": len(data.X),
        "labels": labels,
        "options": options,
    }
    return ShiftReport(data, found, config)


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
    if lacks_groups(reference, data):
        return None  # one person's series are alike, which is no shift
    if len(data.X) > MOST_UNASKED:
        data = taken(data, np.sort(rng.choice(len(data.X), MOST_UNASKED, replace=False)))
    known = reference.embedding
    if len(known) > MOST_UNASKED:
        known = take(known, np.sort(rng.choice(len(known), MOST_UNASKED, replace=False)))
    try:
        with quietly():
            found = embed(reference, data.X, groups=groups_apart(reference, data))
            test = covariate_test(known, found, permutations=PERMUTATIONS)
    except DataError:  # too few groups
        return None
    return test if test.p_value <= UNASKED else None
