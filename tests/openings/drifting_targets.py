"""A check of a user's own, in one file: folds whose test targets are unlike those of training."""

from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.findings import Check, Measured, NotApplicable


def measure(targets: Any, splits: list[tuple[ndarray, ndarray]]) -> Measured | NotApplicable:
    """The largest distance of a fold's mean target from that of its training series, in deviations of all targets."""
    if isinstance(targets, Sequences) or targets.dtype.kind not in "iuf":
        return NotApplicable("it compares one number per series")
    deviation = targets.std()
    if not deviation > 0:
        return NotApplicable("the targets are all the same")
    distances = [abs(targets[test].mean() - targets[train].mean()) / deviation for train, test in splits]
    return Measured(float(max(distances)), f"{max(distances):.2g} deviations in fold {int(np.argmax(distances)) + 1}")


DRIFTING_TARGETS = Check(
    "LAB001",
    "drifting targets",
    "warning",
    needs=("targets", "splits"),
    lacking="there are no targets to compare",
    measure=measure,
    threshold=0.5,
    source="a medium effect: Cohen (1988), Statistical Power Analysis for the Behavioral Sciences",
    remedy="shuffle the folds, or stratify them",
)
