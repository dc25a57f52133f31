"""Blocks of time: what is kept whole of the windows of one series."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.generalization import Split


def blocks_of(X: Sequences, splits: Sequence[Split]) -> Shaped[ndarray, "window"]:
    """The block of time that each window is of: that of the fold it is tested in, or the one that none is tested in."""
    block = np.full(len(X), -1)
    for fold, (_, test) in enumerate(splits):
        block[test] = fold
    labels = np.empty(len(X), object)
    for number in np.unique(block):
        labels[block == number] = stretch_of(X[block == number])
    return labels


def stretch_of(X: Sequences) -> str:
    """From when to when windows of one series are, in words; history left out."""
    assert X.source is not None
    begins, ends = X.source.begins + X.source.history, X.source.begins + X.lengths - 1
    first, last = int(begins.argmin()), int(ends.argmax())
    clocks = X.times_of(first), X.times_of(last)
    if clocks[0] is None or clocks[1] is None:
        return f"steps {begins[first]} to {ends[last]}"
    times = np.array([clocks[0][X.source.history[first]], clocks[1][-1]])
    if times.dtype.kind != "M":
        return f"times {times[0]:g} to {times[1]:g}"
    days = times.astype("datetime64[D]")
    whole = X.time_zone is None and (days == times).all()
    zone = "" if X.time_zone is None else "Z"
    return " to ".join(f"{time}{zone}" for time in (days if whole else times.astype("datetime64[s]")))
