"""GEN001: test series that are in training, value for value."""

from collections.abc import Sequence

import numpy as np

from throughtime.findings import Check, Measured
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.copies import Copies
from throughtime.generalization.leakage.telling_windows import telling_windows
from throughtime.generalization.leakage.worst_fold import NONE_SHARED, worst_fold


def _measure(copies: Copies, splits: Sequence[Split]) -> Measured:
    # of the same inputs and the same targets
    same = copies.same * (len(copies.series) + 1) + copies.variant
    telling = telling_windows(copies.series)
    return worst_fold(
        [float((np.isin(same[test], same[train]) & telling[test]).mean()) for train, test in splits],
        "{:.1%} of the test series of fold {} of {} are in training, value for value",
    )


def _work(copies: Copies, splits: Sequence[Split]) -> float:
    return len(splits) * len(copies.series)


DUPLICATES = Check(
    "GEN001",
    "duplicates",
    "error",
    needs=("copies", "splits"),
    measure=_measure,
    work=_work,
    source=NONE_SHARED + "L1.4",
    remedy="remove copies, or give copies one group and divide by groups",
    docs="docs/guide/leakage.md#gen001",
)
