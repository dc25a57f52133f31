"""GEN005: times of which training and test both have a target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from throughtime.data import Sequences, WindowSource
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.worst_fold import NONE_SHARED, PER_STEP, worst_fold

#: Times are numbered without sorting them where at most so many steps are without one, for each with one.
_SPARSE = 4


@dataclass(frozen=True, eq=False)
class Times:
    """When series were: by step, or one time per series.

    Attributes
    ----------
    edges
        Where the times of each series begin, and the end of the last.
    counted
        Those of a target; a burn-in may be of any time.
    source
        Of windows, where they were cut from.
    """

    values: Shaped[ndarray, "time"]
    edges: Int[ndarray, "edge"]
    counted: Bool[ndarray, "time"]
    by_step: bool
    source: WindowSource | None = None

    def begin_anew(self) -> bool:
        """Whether they are numbers that count from the start of each series, the same in all of them."""
        if not self.by_step or self.values.dtype.kind == "M" or len(self.edges) < 3:
            return False
        first = self.values[self.edges[:-1]]
        if self.source is None:
            return bool((first == first[0]).all())
        # windows of two series that begin at the same place
        order = np.lexsort((self.source.series, self.source.begins))
        begins, series, first = self.source.begins[order], self.source.series[order], first[order]
        elsewhere = (begins[1:] == begins[:-1]) & (series[1:] != series[:-1])
        return bool(elsewhere.any() and (first[1:] == first[:-1])[elsewhere].all())


def times_of(series: Sequences, time: Any, targeted: Bool[ndarray, "step"]) -> Times | None:
    """The times that the caller gives, one per series, or those of the steps."""
    if time is not None:
        return Times(np.asarray(time), np.arange(len(series) + 1), np.ones(len(series), dtype=bool), by_step=False)
    if series.times is None:
        return None
    return Times(np.asarray(series.times), series.offsets, targeted, by_step=True, source=series.source)


def _measure(times: Times, splits: Sequence[Split]) -> Measured | NotApplicable:
    if times.begin_anew():
        return NotApplicable("times that begin with the same number in every series count from there")
    clock, lengths = _numbered(times.values), np.diff(times.edges)
    known = np.zeros(int(clock.max()) + 1, dtype=bool)

    def counted(indices: ndarray) -> Int[ndarray, "time"]:
        chosen = np.zeros(len(lengths), dtype=bool)
        chosen[indices] = True
        theirs: ndarray = clock[np.repeat(chosen, lengths) & times.counted]
        return theirs

    def fraction(train: ndarray, test: ndarray) -> float:
        known[:] = False
        known[counted(train)] = True
        tested = counted(test)
        return float(known[tested].mean()) if len(tested) else 0.0

    return worst_fold(
        [fraction(*split) for split in splits],
        "{:.1%} of the times of the test series of fold {} of {} are times of training",
    )


def _numbered(values: Shaped[ndarray, "time"]) -> Int[ndarray, "time"]:
    """A number for each time, the same for equal ones: whole steps from the first where that is few, else its rank."""
    whole = values.dtype.kind == "f" and np.ptp(values) < 2**53 and bool((values == np.floor(values)).all())
    if values.dtype.kind == "M" or whole:
        since: ndarray = (values - values.min()).astype(np.int64)
        step = max(int(np.gcd.reduce(since)), 1)
        if since.max() // step < _SPARSE * len(values):
            since //= step
            return since
    ranks: ndarray = np.unique(values, return_inverse=True)[1].ravel()
    return ranks


def _work(times: Times, splits: Sequence[Split]) -> float:
    return (1 + PER_STEP * len(splits)) * len(times.values) if times.by_step and not times.begin_anew() else 0


SHARED_TIMES = Check(
    "GEN005",
    "times on both sides",
    "warning",
    needs=("times", "splits"),
    lacking="the series have no times",
    measure=_measure,
    work=_work,
    source=NONE_SHARED + "L3.1: what happened at a time, happened to all series of that time",
    remedy="divide in time, PurgedTimeSeriesSplit or WalkForwardSplit (--cv purged:5, forward:5), if the model is to "
    "be used on another time",
    docs="docs/guide/leakage.md#gen005",
)
