"""GEN002 and GEN003: steps of test series that are in training, with their target or as inputs alone."""

from collections.abc import Sequence

from throughtime.data import Sequences
from throughtime.findings import Check, Measured
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.copies import Copies
from throughtime.generalization.leakage.worst_fold import NONE_SHARED, PER_STEP, worst_fold


def _measure_targets(copies: Copies, splits: Sequence[Split]) -> Measured:
    return worst_fold(
        [copies.steps.shared_targets(*split) for split in splits],
        "{:.1%} of the target steps of the test series of fold {} of {} are targets in training",
    )


def _measure_inputs(copies: Copies, splits: Sequence[Split]) -> Measured:
    return worst_fold(
        [copies.steps.shared_inputs(*split) for split in splits],
        "{:.1%} of the steps of the test series of fold {} of {} are inputs in training without sharing a target",
    )


def _work(copies: Copies, splits: Sequence[Split]) -> float:
    """What is no view of one buffer is hashed, with its targets once more, and then each fold looks at all steps."""
    series = copies.series
    hashed = 0 if copies.views else series.n_channels * (1 + isinstance(copies.targets, Sequences))
    return (PER_STEP * len(splits) + hashed) * series.n_steps


OVERLAPPING_TARGETS = Check(
    "GEN002",
    "overlapping targets",
    "error",
    needs=("copies", "splits"),
    measure=_measure_targets,
    work=_work,
    source=NONE_SHARED + "L1.4 and L3.2",
    remedy="give windows of one recording one group (--group), or divide in time with PurgedTimeSeriesSplit or "
    "WalkForwardSplit (--cv purged:5, forward:5), copies of windows with a purge or gap as long as a window",
    docs="docs/guide/leakage.md#gen002",
)

OVERLAPPING_INPUTS = Check(
    "GEN003",
    "overlapping inputs",
    "note",
    needs=("copies", "splits"),
    measure=_measure_inputs,
    work=_work,
    source="none is shared by series kept whole; shared history alone does not tell a target",
    remedy="harmless if it is a burn-in or history; else leave a gap as long as the shared history",
    docs="docs/guide/leakage.md#gen003",
)
