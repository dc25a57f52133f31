"""Which steps are copies of one step of a recording, found by runs of equal steps."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64
from numpy import ndarray

from throughtime.data import Sequences

#: Steps that copies of a recording share come in runs of so many, or of a quarter of the shortest series; others are
#: alike by chance.
_RUN = 32
#: Bits beyond those of the number of pairs: one in a thousand data sets without copies has a run twice by chance.
_CERTAIN = 10
#: Steps whose kinds are counted to tell how much a step tells; of more, so many are drawn.
_COUNTED = 1 << 20
#: Steps hashed at a time, which stay in the cache; runs sorted at a time, so that what is needed on the way is small.
_CHUNK, _SORTED = 1 << 15, 1 << 21
#: Odd constants of a multiplicative hash: 2^64 over the golden ratio, and of MurmurHash3's finalizer.
_GOLDEN, _MURMUR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


def step_identities(
    series: Sequences, recording: Int[ndarray, "series"], targets: Sequences | None = None
) -> Int[ndarray, "step"]:
    """A number for each step, the same for those that copies of one recording share.

    These are alike in the number of their ``recording``, values and targets, and in time where there are times, in runs
    of which half the steps differ from the one before: single steps of several series are alike by chance where values
    are few, rounded or constant. Series that have a run in common are laid side by side; where a recording repeats
    itself they could be in several ways, and are in one.

    Steps are compared by 64-bit hashes: two among 10^7 have the same by chance once in 4e5 data sets.
    """
    n, shortest = series.n_steps, int(series.lengths.min())
    number = np.int32 if n < 2**31 else np.int64
    own: ndarray = np.arange(n, dtype=number)
    length = int(np.clip(shortest // 4, 2, _RUN))
    parts = [series.values] if targets is None else [series.values, targets.values]
    hashes = _hashes(parts, np.repeat(recording.astype(np.uint64), series.lengths))
    if series.times is None:
        length = max(length, _telling_length(parts, hashes))
        if length > shortest // 2:
            return own
    else:
        hashes = _mixed(hashes, np.ascontiguousarray(series.times).view(np.int64))
    if n < length:
        return own
    first = _first_runs(hashes, _telling_runs(series, parts, length), length)
    again = first != own
    if not again.any():
        return own
    covered = again.copy()
    covered[first[again]] = True
    covered = _dilated(covered, length)
    # of neighboring runs that are copies of neighboring ones, the first says it all
    again[1:] &= (first[1:] - first[:-1] != 1) | ~again[:-1]
    starts = np.flatnonzero(again)
    copied = first[starts]
    del first, again
    place = _side_by_side(series, starts, copied).astype(number)
    place = np.repeat(place, series.lengths) + own
    # Of the steps laid at one place, those equal to the first are it; the others are compared among themselves.
    left = np.flatnonzero(covered).astype(number)
    identity, at_place = own, np.empty(n, dtype=number)
    while len(left):
        for rows in reversed(_chunks(len(left))):
            at_place[place[left[rows][::-1]]] = left[rows][::-1]  # the first comes last and stays
        others = []
        for rows in _chunks(len(left)):
            steps = left[rows]
            there = at_place[place[steps]]
            equal = hashes[there] == hashes[steps]
            identity[steps[equal]] = there[equal]
            others.append(steps[~equal])
        left = np.concatenate(others)
    return identity


def _first_runs(hashes: UInt64[ndarray, "step"], telling: Bool[ndarray, "step"], length: int) -> Int[ndarray, "step"]:
    """For each step the first at which the same run begins; itself where none does, or the run tells nothing."""
    runs, have = hashes, 1
    while have < length:  # runs[i] is the hash of the steps from i on, so many
        more = min(have, length - have)
        runs = _mixed(runs[: len(runs) - more], runs[more:])
        have += more
    n = len(hashes)
    first: ndarray = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)
    # sorted part by part, by the highest bits, to need little memory
    n_parts = 1 << int(np.clip(n // _SORTED, 0, 128)).bit_length()
    part_of = np.empty(len(runs), dtype=np.int16)
    for rows in _chunks(len(runs)):
        part_of[rows] = (runs[rows] >> np.uint64(56)) % np.uint64(n_parts)
    part_of[~telling[: len(runs)]] = -1
    for part in range(n_parts):
        begins = np.flatnonzero(part_of == part)
        if not len(begins):
            continue
        hashed = runs[begins]
        order = np.argsort(hashed)
        begins, hashed = begins[order], hashed[order]
        new = np.concatenate([[True], hashed[1:] != hashed[:-1]])
        edges = np.flatnonzero(new)
        if len(edges) < len(begins):
            least = np.minimum.reduceat(begins, edges)
            first[begins] = np.repeat(least, np.diff(edges, append=len(begins)))
    return first


def _side_by_side(
    series: Sequences, starts: Int[ndarray, "pair"], copied: Int[ndarray, "pair"]
) -> Int[ndarray, "series"]:
    """What to add to the number of a step of each series so that runs that are the same are at the same place.

    Places are from 0 to the number of steps; series without a run in common share none.
    """
    offsets, lengths, n = series.offsets[:-1], series.lengths, len(series)
    one, other = (np.searchsorted(offsets, steps, "right") - 1 for steps in (starts, copied))
    apart = (copied - offsets[other]) - (starts - offsets[one])  # from where the other begins to where the one does
    root, begins = np.arange(n), np.zeros(n, dtype=np.int64)  # where each begins, counted from where its root does
    while True:
        joined = root[one] != root[other]
        one, other, apart = one[joined], other[joined], apart[joined]
        if not len(one):
            break
        # the root of the higher number becomes part of the other
        between = begins[other] + apart - begins[one]
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        between = np.where(root[one] == high, between, -between)
        order = np.lexsort((low, high))
        low, high, between = low[order], high[order], between[order]
        least = np.concatenate([[True], high[1:] != high[:-1]])
        parent, beyond = np.arange(n), np.zeros(n, dtype=np.int64)
        parent[high[least]], beyond[high[least]] = low[least], between[least]
        while (parent[parent] != parent).any():
            beyond, parent = beyond + beyond[parent], parent[parent]
        root, begins = parent[root], begins + beyond[root]
    first = np.zeros(n, dtype=np.int64)
    np.minimum.at(first, root, begins)
    last = np.zeros(n, dtype=np.int64)
    np.maximum.at(last, root, begins + lengths)
    extent = np.where(root == np.arange(n), last - first, 0)
    base = np.cumsum(extent) - extent
    places: ndarray = base[root] + begins - first[root] - offsets
    return places


def _telling_runs(series: Sequences, parts: list[ndarray], length: int) -> Bool[ndarray, "step"]:
    """Whether a run of this length from each step on is within a series, and half its steps differ from the last."""
    n = series.n_steps
    changes: ndarray = np.cumsum(changes_of(parts), dtype=np.int32 if n < 2**31 else np.int64)
    telling = np.zeros(n, dtype=bool)
    telling[: n - length + 1] = 2 * (changes[length - 1 :] - changes[: n - length + 1]) >= length - 1
    whole = np.maximum(series.lengths - length + 1, 0)
    telling &= np.repeat(np.tile([True, False], len(series)), np.column_stack([whole, series.lengths - whole]).ravel())
    return telling


def changes_of(parts: list[ndarray]) -> Bool[ndarray, "step"]:
    """Whether each step differs, in some value of some part, from the one before; the first does not."""
    changed = np.zeros(len(parts[0]), dtype=bool)
    for values in parts:
        for channel in range(values.shape[1]):
            for rows in _chunks(len(changed) - 1):
                bits = _bits(values[rows.start : rows.stop + 1, channel])
                changed[1:][rows] |= bits[1:] != bits[:-1]
    return changed


def _telling_length(parts: list[ndarray], hashes: UInt64[ndarray, "step"]) -> int:
    """Steps of a run that two recordings hardly have in common by chance."""
    n = len(hashes)
    if n < 2:
        return n
    drawn = np.arange(n - 1) if n <= _COUNTED else np.sort(np.random.default_rng(0).integers(n - 1, size=_COUNTED))
    bits = _bits_per_step(parts, hashes if n <= _COUNTED else hashes[drawn], drawn)
    return int(np.ceil(bits_needed(n) / bits)) if bits * n > bits_needed(n) else n


def bits_needed(n_steps: int) -> float:
    """Bits of a run that none of so many steps begins by chance as well.

    All pairs of runs ask for the bits of their number; twice that, since changes of one series depend on each other.
    """
    return float(2 * (2 * np.log2(n_steps) + _CERTAIN))


def bits_per_change(values: Float[ndarray, "step channel"], changed: Bool[ndarray, "step"]) -> float:
    """Bits of a step that differs from the one before; 0 where none does."""
    steps = np.flatnonzero(changed)
    if len(steps) > _COUNTED:
        steps = np.sort(np.random.default_rng(0).choice(steps, size=_COUNTED))
    if not len(steps):
        return 0.0
    return _bits_per_step([values], _hashes([values[steps]], np.zeros(len(steps), dtype=np.uint64)), steps - 1)


def _bits_per_step(parts: list[ndarray], hashes: UInt64[ndarray, "_"], before: Int[ndarray, "_"]) -> float:
    """How much a step tells: as much as two of its kind differ.

    That is -log2 of the fraction of equal pairs of steps, given by their hashes, or of equal pairs of changes from some
    step to the next if that is less (collision entropy, in bits).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = [values[before + 1] - values[before] for values in parts]
    changes = _hashes(steps, np.zeros(len(before), dtype=np.uint64))
    bits = np.inf
    for kinds in (hashes, changes):
        counts = np.unique(kinds, return_counts=True)[1]
        bits = min(bits, -np.log2(np.square(counts / len(kinds)).sum()))
    return float(bits)


def _hashes(parts: list[ndarray], hashes: UInt64[ndarray, "step"]) -> UInt64[ndarray, "step"]:
    """Of each step the values of all parts, mixed into the hashes that are given."""
    for values in parts:
        for channel in range(values.shape[1]):
            for rows in _chunks(len(values)):
                hashes[rows] = _mixed(hashes[rows], _bits(values[rows, channel]))
    return hashes


def _chunks(n: int) -> list[slice]:
    return [slice(begin, begin + _CHUNK) for begin in range(0, n, _CHUNK)]


def _bits(values: ndarray) -> Int[ndarray, "step"]:
    bits: ndarray = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return bits


def _mixed(hashes: UInt64[ndarray, "step"], more: ndarray) -> UInt64[ndarray, "step"]:
    """Hashes of what was hashed and of one more number each; of another order they are others."""
    mixed = np.empty_like(hashes)
    for rows in _chunks(len(hashes)):
        part = hashes[rows] * _GOLDEN
        part ^= part >> _HALF
        part += more[rows].astype(np.uint64, copy=False)
        part *= _MURMUR
        part ^= part >> _HALF
        mixed[rows] = part
    return mixed


def _dilated(marked: Bool[ndarray, "step"], length: int) -> Bool[ndarray, "step"]:
    """Each mark spread to so many steps from it on."""
    spread, have = marked, 1
    while have < length:
        more = min(have, length - have)
        spread = spread.copy()
        spread[more:] |= spread[:-more].copy()
        have += more
    return spread
