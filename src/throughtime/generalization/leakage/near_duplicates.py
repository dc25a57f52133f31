"""GEN006: test series that nearly equal one in training."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from sklearn.neighbors import NearestNeighbors

from throughtime.data import SeriesRows
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.copies import Copies
from throughtime.generalization.leakage.worst_fold import worst_fold

#: Squared distance of two series, by the mean of all pairs, below which they count as one: noise of 5 % of a channel's
#: deviation on two recordings of the same thing makes it .05^2 = .0025.
_NEARLY_ONE = 0.0025
#: Lengths of two such series may differ by this fraction.
_OTHER_LENGTH = 0.1
#: What looking at a pair of series takes in units of looking at a value once.
_PER_PAIR = 4


def _measure(copies: Copies, splits: Sequence[Split]) -> Measured | NotApplicable:
    series, same = copies.series, copies.same
    if not _enough(copies):
        return NotApplicable("fewer than 3 different series")
    rows = SeriesRows(summaries=False).fit(series).transform(series)
    spread = 2 * rows.var(0).sum()  # the mean squared distance of pairs
    if not spread > 0:
        return NotApplicable("the series do not differ once they are resampled")
    finder = NearestNeighbors(radius=float(np.sqrt(_NEARLY_ONE * spread))).fit(rows)
    near = finder.radius_neighbors_graph(rows).tocoo()
    one, other = near.row, near.col
    long, short = (
        np.maximum(series.lengths[one], series.lengths[other]),
        np.minimum(series.lengths[one], series.lengths[other]),
    )
    kept = (same[one] != same[other]) & (long <= (1 + _OTHER_LENGTH) * short)
    one, other = one[kept], other[kept]

    def fraction(train: ndarray, test: ndarray) -> float:
        trained = np.zeros(len(series), dtype=bool)
        trained[train] = True
        return float(np.isin(test, one[trained[other]]).mean())

    return worst_fold(fraction, splits, "{:.1%} of the test series of fold {} of {} nearly equal one in training")


def _enough(copies: Copies) -> bool:
    return len(np.unique(copies.same)) >= 3


def _work(copies: Copies, splits: Sequence[Split]) -> float:  # noqa: ARG001
    return _PER_PAIR * len(copies.series) ** 2 if _enough(copies) else 0


NEAR_DUPLICATES = Check(
    "GEN006",
    "nearly identical series",
    "warning",
    needs=("copies", "splits"),
    measure=_measure,
    work=_work,
    source=f"squared distance below {_NEARLY_ONE} of the mean over pairs: two recordings with 5 % noise",
    remedy="look at them: recordings of one event need one group",
    docs="docs/guide/leakage.md#gen006",
)
