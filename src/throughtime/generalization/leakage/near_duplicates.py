"""GEN006: test series that nearly equal one in training."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int
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
#: Pairs that are looked at, which takes a second or so; of more series, so many are drawn and compared with all.
_MOST_PAIRS = 10**8
#: Distances that are computed at a time, and steps that are resampled, so that what is needed on the way stays small.
_AT_ONCE, _STEPS = 10**7, 1 << 20
#: What looking at a pair of series takes in units of looking at a value once.
_PER_PAIR = 0.5


def _measure(copies: Copies, splits: Sequence[Split]) -> Measured | NotApplicable:
    series, n = copies.series, len(copies.series)
    if not _enough(copies):
        return NotApplicable("fewer than 3 different series")
    rows, variation = _resampled(series)
    spread = 2 * rows.var(0, dtype=np.float64).sum()  # the mean squared distance of pairs
    if not spread > 0:
        return NotApplicable("the series do not differ once they are resampled")
    looked_at = np.arange(n)
    if n**2 > _MOST_PAIRS:
        looked_at = np.sort(np.random.default_rng(0).choice(n, _MOST_PAIRS // n, replace=False))
    tests = [np.intersect1d(test, looked_at) for _, test in splits]
    near = [np.zeros(len(test), dtype=bool) for test in tests]
    at_once = max(1, _AT_ONCE // n)
    for begin in range(0, len(looked_at), at_once):
        some = looked_at[begin : begin + at_once]
        pairs = _near(copies, rows, some, np.minimum(spread, variation[some][:, None] + variation))
        for (train, _), test, found in zip(splits, tests, near, strict=True):
            first, end = np.searchsorted(test, [some[0], some[-1] + 1])
            if first < end:
                own = pairs[np.searchsorted(some, test[first:end])]
                found[first:end] = own.take(train, axis=1).any(1)
    drawn = "" if len(looked_at) == n else f", of {len(looked_at)} that were drawn"
    return worst_fold(
        [float(found.mean()) if len(found) else 0.0 for found in near],
        "{:.1%} of the test series of fold {} of {} nearly equal one in training" + drawn,
    )


def _resampled(series: Sequences) -> tuple[Float32[ndarray, "series feature"], Float32[ndarray, "series"]]:
    """Each series as one row, scaled by the series, or by some of them where there are many steps.

    And the squared distance of each from its mean in time.
    """
    some = max(1, _STEPS * len(series) // series.n_steps)  # hold so many steps
    every = -(-len(series) // some)
    to_rows = SeriesRows(summaries=False).fit(series[::every])
    parts = [to_rows.transform(series[first : first + some]) for first in range(0, len(series), some)]
    mean = sum(part.sum(0) for part in parts) / len(series)
    rows = np.concatenate([(part - mean).astype(np.float32) for part in parts])
    points = np.concatenate([part[:, : to_rows.n_points_ * series.n_channels].astype(np.float32) for part in parts])
    points = points.reshape(len(series), to_rows.n_points_, series.n_channels)
    return rows, points.var(1).sum(1) * to_rows.n_points_


def _near(
    copies: Copies,
    rows: Float32[ndarray, "series feature"],
    some: Int[ndarray, "_"],
    usual: Float32[ndarray, "_ series"],
) -> Bool[ndarray, "_ series"]:
    """Which of all series are nearly equal to each of some, by their usual distance; not those that are equal."""
    same, lengths = copies.same, copies.series.lengths
    squares = np.square(rows).sum(1)
    products = rows[some] @ rows.T
    products *= -2
    products += squares
    products += squares[some][:, None]
    near = products <= np.float32(_NEARLY_ONE) * usual
    near &= same[some][:, None] != same
    if (lengths != lengths[0]).any():
        long, short = (1 + _OTHER_LENGTH) * lengths, lengths[some][:, None]
        near &= (short <= long) & (lengths <= long[some][:, None])
    return near


def _enough(copies: Copies) -> bool:
    return len(np.unique(copies.same)) >= 3


def _work(copies: Copies, splits: Sequence[Split]) -> float:  # noqa: ARG001
    return _PER_PAIR * min(len(copies.series) ** 2, _MOST_PAIRS) if _enough(copies) else 0


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
