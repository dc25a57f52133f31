"""Which windows have steps of other windows."""

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from throughtime.data.sequences import Sequences


def shares_steps(
    X: Sequences, train: Int[ndarray, "train"], test: Int[ndarray, "test"], *, history: bool
) -> Bool[ndarray, "train"]:
    """Whether each of some windows has a step that is one of the test windows' own; never, where X is no windows.

    Parameters
    ----------
    train, test
        Indices of windows of X.
    history
        Whether the steps that a training window only reads, its history, count too. Those of a test window never do:
        when it is predicted, they are known.
    """
    source = X.source
    if source is None or not len(test):
        return np.zeros(len(train), dtype=bool)
    stride = int((source.begins + X.lengths).max()) + 1  # one axis for all series, each on a stretch of its own
    reads = source.series * stride + source.begins
    begins, ends = reads + source.history, reads + X.lengths
    order = np.argsort(begins[test], kind="stable")
    starts, reached = begins[test][order], np.maximum.accumulate(ends[test][order])
    earlier = np.searchsorted(starts, ends[train], "left")  # test windows that begin before a training window's end
    first = (reads if history else begins)[train]
    shared: ndarray = (earlier > 0) & (reached[np.maximum(earlier - 1, 0)] > first)
    return shared
