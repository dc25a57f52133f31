"""GEN004: groups of which some series are in training and others in test."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from throughtime.findings import Check, Measured
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.worst_fold import NONE_SHARED, worst_fold


def _measure(groups: ndarray, splits: Sequence[Split]) -> Measured:
    group = np.unique(groups, return_inverse=True)[1].ravel()
    return worst_fold(
        [float(np.isin(group[test], group[train]).mean()) for train, test in splits],
        "{:.1%} of the test series of fold {} of {} are of a group that is in training",
    )


def _work(groups: ndarray, splits: Sequence[Split]) -> float:
    return len(splits) * len(groups)


SHARED_GROUPS = Check(
    "GEN004",
    "groups on both sides",
    "error",
    needs=("groups", "splits"),
    lacking="there are no groups that folds are to keep whole",
    measure=_measure,
    work=_work,
    source=NONE_SHARED + "L3.2",
    remedy="divide by groups: GroupKFold, or --cv group:K",
    docs="docs/guide/leakage.md#gen004",
)
