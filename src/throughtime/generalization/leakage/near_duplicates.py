"""GEN006: test series that nearly equal one in training."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from throughtime.data import Sequences, SeriesRows
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.copies import Copies
from throughtime.generalization.leakage.worst_fold import worst_fold

#: Squared distance of two series below which they count as one, by the mean of all pairs and by what unrelated series
#: that vary as these two would have: noise of 5 % of a channel's deviation on two recordings makes it .05^2 = .0025. By
#: the mean alone all quiet series would count as one beside a few that are loud.
_NEARLY_ONE = 0.0025
#: Lengths of two such series may differ by this fraction.
_OTHER_LENGTH = 0.1
#: Pairs that are looked at, which takes half a second; of more series, so many are drawn and compared with all.
_MOST_PAIRS = 5 * 10**7
#: Distances that are computed at a time, and steps that are resampled, so that what is needed on the way stays small.
_AT_ONCE, _STEPS = 10**7, 1 << 20
#: What looking at a pair of series takes in units of looking at a value once.
_PER_PAIR = 0.5


class _Rows:
    """Each series as one row, scaled by the series, or by some of them where there are many steps.

    Attributes
    ----------
    left, right
        A row of one times a row of the other is the squared distance of the two series.
    variation
        The squared distance of each from its mean in time.
    spread
        The mean squared distance of pairs.
    """

    def __init__(self, series: Sequences) -> None:
        some = max(1, _STEPS * len(series) // series.n_steps)  # hold so many steps
        every = -(-len(series) // some)
        to_rows = SeriesRows(summaries=False).fit(series[::every])
        firsts = range(0, len(series), some)
        rows = np.concatenate([to_rows.transform(series[i : i + some]).astype(np.float32) for i in firsts])
        points = rows[:, : to_rows.n_points_ * series.n_channels]
        points = points.reshape(len(series), to_rows.n_points_, series.n_channels)
        self.variation = points.var(1).sum(1) * to_rows.n_points_
        self.spread = float(2 * rows.var(0, dtype=np.float64).sum())
        rows -= rows.mean(0, dtype=np.float64).astype(np.float32)  # keeps the squares small
        squares, ones = np.square(rows).sum(1), np.ones(len(series), dtype=np.float32)
        self.left = np.column_stack([-2 * rows, squares, ones])
        self.right = np.column_stack([rows, ones, squares])


def _measure(copies: Copies, splits: Sequence[Split]) -> Measured | NotApplicable:
    # short windows are alike by chance: recordings of one event are so all along
    whole, whole_of = copies.whole, copies.whole_of
    n = len(whole.series)
    if not _enough(whole):
        return NotApplicable("fewer than 3 different series")
    rows = _Rows(whole.series)
    if not rows.spread > 0:
        return NotApplicable("the series do not differ once they are resampled")
    looked_at = np.arange(n)
    if n**2 > _MOST_PAIRS:
        looked_at = np.sort(np.random.default_rng(0).choice(n, _MOST_PAIRS // n, replace=False))
    tests = [np.intersect1d(whole_of[test], looked_at) for _, test in splits]
    trains = [np.unique(whole_of[train]) for train, _ in splits]
    near = [np.zeros(len(test), dtype=bool) for test in tests]
    at_once = max(1, _AT_ONCE // n)
    for begin in range(0, len(looked_at), at_once):
        some = looked_at[begin : begin + at_once]
        pairs = _near(whole, rows, some)
        for train, test, found in zip(trains, tests, near, strict=True):
            first, end = np.searchsorted(test, [some[0], some[-1] + 1])
            if first < end:
                own = pairs[np.searchsorted(some, test[first:end])]
                found[first:end] = own.take(train, axis=1).any(1)
    drawn = "" if len(looked_at) == n else f", of {len(looked_at)} that were drawn"
    fractions = []
    for (_, series), test, found in zip(splits, tests, near, strict=True):
        chosen = whole_of[series][np.isin(whole_of[series], looked_at)]
        fractions.append(float(np.isin(chosen, test[found]).mean()) if len(chosen) else 0.0)
    return worst_fold(
        fractions,
        "{:.1%} of the test series of fold {} of {} nearly equal one in training" + drawn,
    )


def _near(copies: Copies, rows: _Rows, some: Int[ndarray, "_"]) -> Bool[ndarray, "_ series"]:
    """Which of all series are nearly equal to each of some; not those that are equal value for value."""
    distances = rows.left[some] @ rows.right.T
    near: ndarray = distances <= _NEARLY_ONE * rows.spread
    one, other = np.divmod(np.flatnonzero(near), near.shape[1])  # np.nonzero of two axes is four times as slow
    lengths, variation, first = copies.series.lengths, rows.variation, some[one]
    long, short = np.maximum(lengths[first], lengths[other]), np.minimum(lengths[first], lengths[other])
    near[one, other] = (
        (distances[one, other] <= _NEARLY_ONE * (variation[first] + variation[other]))
        & (copies.same[first] != copies.same[other])
        & (long <= (1 + _OTHER_LENGTH) * short)
    )
    return near


def _enough(copies: Copies) -> bool:
    return len(np.unique(copies.same)) >= 3


def _work(copies: Copies, splits: Sequence[Split]) -> float:  # noqa: ARG001
    whole = copies.whole
    return _PER_PAIR * min(len(whole.series) ** 2, _MOST_PAIRS) if _enough(whole) else 0


NEAR_DUPLICATES = Check(
    "GEN006",
    "nearly identical series",
    "warning",
    needs=("copies", "splits"),
    measure=_measure,
    work=_work,
    source=f"squared distance below {_NEARLY_ONE} of that of unrelated series: two recordings with 5 % noise",
    remedy="look at them: recordings of one event need one group",
    docs="docs/guide/leakage.md#gen006",
)
