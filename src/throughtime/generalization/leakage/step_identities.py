"""Which steps are copies of one step of a recording, found by runs of equal steps."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.data import Sequences

#: Steps that copies of a recording share come in runs of so many, or of a quarter of the shortest series; others are
#: alike by chance.
_RUN = 32
#: Bits beyond those of the number of pairs: one in a thousand data sets without copies has a run twice by chance.
_CERTAIN = 10


def step_identities(
    series: Sequences, recording: Int[ndarray, "series"], targets: Float[ndarray, "step 1"] | None = None
) -> Int[ndarray, "step"]:
    """A number for each step, the same for those that copies of one recording share.

    These are alike in the number of their ``recording``, values and targets, and in time where there are times, in runs
    of which half the steps differ from the one before: single steps of several series are alike by chance where values
    are few, rounded or constant.
    """
    n, shortest = series.n_steps, int(series.lengths.min())
    values = series.values if targets is None else np.column_stack([series.values, targets])
    bits = _bits(values)
    alike = numbered(np.column_stack([np.repeat(recording, series.lengths), bits]))
    length = int(np.clip(shortest // 4, 2, _RUN))
    if series.times is None:
        length = max(length, _telling_length(values, alike))
        if length > shortest // 2:
            return np.arange(n)
    else:
        clock = np.unique(np.asarray(series.times), return_inverse=True)[1]
        alike = np.unique(alike * n + clock, return_inverse=True)[1].ravel()
    if n < length:
        return np.arange(n)
    runs = alike
    have = 1
    while have < length:  # runs[i] numbers the steps from i on, so many
        more = min(have, length - have)
        runs = np.unique(runs[: len(runs) - more] * n + runs[more:], return_inverse=True)[1].ravel()
        have += more
    series_of = np.repeat(np.arange(len(series)), series.lengths)
    changes = np.concatenate([[0], np.cumsum((bits[1:] != bits[:-1]).any(1))])
    starts = np.arange(n - length + 1)
    ends = starts + length - 1
    starts = starts[(series_of[starts] == series_of[ends]) & (2 * (changes[ends] - changes[starts]) >= length - 1)]
    first = np.full(n, n)
    np.minimum.at(first, runs[starts], starts)
    starts = starts[first[runs[starts]] < starts]
    copied = first[runs[starts]]
    same = np.arange(n)  # the first step known to be the same, at last of all that are linked by some chain of runs
    while True:
        before = same.copy()
        for place in range(length):
            least = np.minimum(same[starts + place], same[copied + place])
            np.minimum.at(same, starts + place, least)
            np.minimum.at(same, copied + place, least)
        while (same[same] != same).any():
            same = same[same]
        if (same == before).all():
            return same


def _telling_length(values: Float[ndarray, "step channel"], alike: Int[ndarray, "step"]) -> int:
    """Steps of a run that two recordings hardly have in common by chance.

    A step tells as much as two of its kind differ: -log2 of the fraction of equal pairs of steps, or of equal pairs of
    changes if that is less (collision entropy, in bits). All pairs of runs ask for the bits of their number; twice
    that, since the changes of one series depend on each other.
    """
    n = len(alike)
    if n < 2:
        return n
    with np.errstate(over="ignore", invalid="ignore"):
        changes = numbered(_bits(np.diff(values, axis=0)))
    bits_per_step = min(-np.log2(np.square(np.bincount(kind) / len(kind)).sum()) for kind in (alike, changes))
    needed = 2 * (2 * np.log2(n) + _CERTAIN)
    return int(np.ceil(needed / bits_per_step)) if bits_per_step * n > needed else n


def _bits(values: Float[ndarray, "step channel"]) -> Int[ndarray, "step channel"]:
    bits: ndarray = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return bits


def numbered(rows: Int[ndarray, "row column"]) -> Int[ndarray, "row"]:
    """A number for each row, the same for equal ones."""
    numbers: ndarray = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return numbers
