"""``leakage_report``: what test series have in common with training series, fold by fold.

Reference: Kapoor & Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science,
Patterns 4, 100804, https://doi.org/10.1016/j.patter.2023.100804, whose kinds of leakage are cited by number.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from sklearn.model_selection import check_cv
from sklearn.neighbors import NearestNeighbors

from throughtime.data import Sequences, as_sequences
from throughtime.data.conversion import as_targets
from throughtime.estimators.features import steps_within
from throughtime.generalization.findings import Finding, Severity
from throughtime.generalization.folds import Split
from throughtime.generalization.rows import SeriesRows
from throughtime.records import Records

#: Squared distance of two series, by the mean of all pairs, below which they count as one: noise of 5 % of a channel's
#: deviation on two recordings of the same thing makes it .05^2 = .0025.
NEARLY_ONE = 0.0025
#: Lengths of two such series may differ by this share.
_OTHER_LENGTH = 0.1

#: Steps that copies of a recording share come in runs of so many, or of a quarter of the shortest series; others are
#: alike by chance.
_RUN = 32
#: Bits beyond those of the number of pairs: one in a thousand data sets without copies has a run twice by chance.
_CERTAIN = 10
#: What looking at a pair of series, and sorting a value, take in units of looking at a value once.
_PER_PAIR, _PER_SORTED = 4, 10

_NONE_SHARED = "none may be shared: Kapoor & Narayanan (2023), "


def leakage_report(
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    time: Any = None,
    cv: Any = None,
    warmup: int = 0,
    layout: Any = "ntc",
    most_work: float | None = None,
) -> Records[Finding]:
    """Look for what would let a model know its test series from training.

    Parameters
    ----------
    X
        The series, in any form the estimators take. Windows are known to overlap when ``Sequences.windows`` or ``cut``
        made them; copies of windows by runs of steps that are equal in group and values, and in time where they have
        times. Without times a run must be too long to be equal by chance, which values of few kinds do not allow.
    y
        One target per series, or one per step. Series of the same inputs whose targets differ share covariates, such as
        shops of one town its weather, and are no copies of each other. With one per step, steps with a target in
        training and in test leak, while shared input that has no target on both sides, such as a warm-up, may not.
    groups
        One per series, those of X by default.
    time
        One per series: when it was; the times of the steps of X by default.
    cv
        A splitter, a number of folds, or the folds themselves.
    warmup
        First steps of each series whose targets count for nothing; of a forecast, its horizon and its warm-up.
    most_work
        A check that would look at more values than so many is not made, and its verdict says so: 1e8 take seconds.
        All are made by default.

    Returns
    -------
    One finding a check, in order of code, whether it found something, nothing, or was not applicable:

    - ``GEN001`` the same series in training and test, in its targets too;
    - ``GEN002`` steps of a test series that are in training with their target;
    - ``GEN003`` input steps, without a target on both sides, that test and training share;
    - ``GEN004`` a group in training and test;
    - ``GEN005`` a time of a target in training and test, unless times are numbers that begin anew with every series;
    - ``GEN006`` a test series nearly identical to one in training.
    """
    series = as_sequences(X, layout=layout)
    targets = None if y is None else as_targets(y, series)
    by = series.groups if groups is None else np.asarray(groups)
    splits = _splits(series, targets, by, cv)
    same = _identities(series)
    voice = _voices(same, targets)
    most = np.inf if most_work is None else most_work
    return Records(
        (
            _duplicates(same * (len(series) + 1) + voice, splits, most),
            *_overlaps(series, targets, by, voice, warmup, splits, most),
            _shared_groups(by, splits, most),
            _shared_times(series, time, _targeted(series, targets, warmup), splits, most),
            _near(series, same, splits, most),
        )
    )


def _splits(series: Sequences, targets: Any, groups: ndarray | None, cv: Any) -> list[Split]:
    one_each = targets is not None and not isinstance(targets, Sequences)
    labels = targets if one_each else np.zeros(len(series))
    classes = one_each and targets.dtype.kind not in "f"
    return list(check_cv(cv, labels, classifier=classes).split(series, labels, groups))


def _duplicates(same: ndarray, splits: Sequence[Split], most: float) -> Finding:
    what: tuple[str, str, Severity] = "GEN001", "duplicates", "error"
    source = _NONE_SHARED + "L1.4"
    if (work := len(splits) * len(same)) > most:
        return _too_much(what, source, work)

    def share(train: ndarray, test: ndarray) -> float:
        return float(np.isin(same[test], same[train]).mean())

    return _of_folds(
        what,
        share,
        splits,
        "{:.1%} of the test series of fold {} of {} are in training, value for value",
        source,
        "remove copies, or give copies one group and divide by groups",
    )


def _overlaps(
    series: Sequences,
    targets: Any,
    groups: ndarray | None,
    voice: Int[ndarray, "series"],
    warmup: int,
    splits: Sequence[Split],
    most: float,
) -> tuple[Finding, Finding]:
    codes: tuple[tuple[str, str, Severity], ...] = (
        ("GEN002", "overlapping targets", "error"),
        ("GEN003", "overlapping inputs", "warning"),
    )
    sources = (
        _NONE_SHARED + "L1.4 and L3.2",
        "none is shared by series kept whole; shared history alone does not tell a target",
    )
    sorted_values = series.n_channels + 2 + isinstance(targets, Sequences) * (series.n_channels + 3)
    work = (len(splits) + _PER_SORTED * sorted_values) * series.n_steps
    if work > most:
        one, other = (_too_much(code, source, work) for code, source in zip(codes, sources, strict=True))
        return one, other
    pieces = _Pieces(series, targets, groups, voice, warmup)
    return (
        _of_folds(
            codes[0],
            pieces.shared_targets,
            splits,
            "{:.1%} of the target steps of the test series of fold {} of {} are targets in training",
            sources[0],
            "cut windows after splitting, give windows of one recording one group (--group), or divide with "
            "PurgedTimeSeriesSplit(purge=window length), --cv purged:5,purge=30",
        ),
        _of_folds(
            codes[1],
            pieces.shared_inputs,
            splits,
            "{:.1%} of the steps of the test series of fold {} of {} are inputs in training without sharing a target",
            sources[1],
            "harmless if it is a warm-up; else leave a gap as long as the shared history",
        ),
    )


class _Pieces:
    """Series as runs of steps, of which several may hold the same."""

    def __init__(
        self, series: Sequences, targets: Any, groups: ndarray | None, voice: Int[ndarray, "series"], warmup: int
    ) -> None:
        self.edges = series.offsets
        within = np.arange(series.n_steps) - np.repeat(self.edges[:-1], series.lengths)
        self.steps = np.repeat(series.starts, series.lengths) + within
        views = len(np.unique(self.steps)) < len(self.steps)  # of one buffer
        if not views:
            own = voice if groups is None else _numbered(np.column_stack([_codes(groups), voice]))
            self.steps = _step_identities(series, own)
        elif voice.any():
            self.steps = self.steps + np.repeat(voice, series.lengths) * (self.steps.max() + 1)
            self.steps = np.unique(self.steps, return_inverse=True)[1].ravel()
        #: steps that are the same in their target too
        self.told = self.steps
        #: one target per series is one of all of its steps
        self.observed: ndarray = np.ones(len(within), dtype=bool)
        self.targeted = self.observed
        if isinstance(targets, Sequences):
            self.observed = ~np.isnan(targets.values[:, 0])
            self.targeted = _targeted(series, targets, warmup)
            if not views:
                self.told = _step_identities(series, own, targets.values)

    def shared_targets(self, train: ndarray, test: ndarray) -> float:
        own = self._of(test)
        own = own[self.targeted[own]]
        return float(self._shared(self.told, self.targeted, train)[own].mean()) if len(own) else 0.0

    def shared_inputs(self, train: ndarray, test: ndarray) -> float:
        everywhere = np.ones_like(self.targeted)
        with_target = self._shared(self.told, self.targeted, train) & self.targeted
        # the same inputs with another target are those of another series
        shared = self._shared(self.told, everywhere, train) | self._shared(self.steps, ~self.observed, train)
        shared |= self._shared(self.steps, everywhere, train) & ~self.observed
        return float((shared & ~with_target)[self._of(test)].mean())

    def _of(self, rows: ndarray) -> ndarray:
        return np.concatenate([np.arange(self.edges[row], self.edges[row + 1]) for row in rows])

    def _shared(
        self, steps: Int[ndarray, "step"], which: Bool[ndarray, "step"], rows: ndarray
    ) -> Bool[ndarray, "step"]:
        """The steps that are the same as some of these rows' steps."""
        marked = np.zeros(int(steps.max()) + 1, dtype=bool)
        own = self._of(rows)
        marked[steps[own[which[own]]]] = True
        shared: ndarray = marked[steps]
        return shared


def _shared_groups(groups: ndarray | None, splits: Sequence[Split], most: float) -> Finding:
    what: tuple[str, str, Severity] = "GEN004", "groups on both sides", "error"
    source = _NONE_SHARED + "L3.2"
    if groups is None:
        return _not_applicable(what, source, "the series have no groups")
    if (work := len(splits) * len(groups)) > most:
        return _too_much(what, source, work)

    def share(train: ndarray, test: ndarray) -> float:
        return float(np.isin(groups[test], groups[train]).mean())

    return _of_folds(
        what,
        share,
        splits,
        "{:.1%} of the test series of fold {} of {} are of a group that is in training",
        source,
        "divide by groups: GroupKFold, or --cv group:K",
    )


def _shared_times(
    series: Sequences, time: Any, targeted: Bool[ndarray, "step"], splits: Sequence[Split], most: float
) -> Finding:
    what: tuple[str, str, Severity] = "GEN005", "times on both sides", "warning"
    source = _NONE_SHARED + "L3.1: what happened at a time, happened to all series of that time"
    if time is None and series.times is None:
        return _not_applicable(what, source, "the series have no times")
    if time is None and _begin_anew(series):
        return _not_applicable(what, source, "times that begin with the same number in every series count from there")
    if time is None and (work := len(splits) * series.n_steps) > most:
        return _too_much(what, source, work)
    clock = np.asarray(series.times if time is None else time)
    edges = series.offsets if time is None else np.arange(len(series) + 1)
    counted = targeted if time is None else np.ones(len(series), dtype=bool)
    _, clock = np.unique(clock, return_inverse=True)

    def share(train: ndarray, test: ndarray) -> float:
        # Steps whose target counts: a warm-up may be of any time.
        in_train, in_test = (
            np.concatenate([clock[edges[row] : edges[row + 1]][counted[edges[row] : edges[row + 1]]] for row in rows])
            for rows in (train, test)
        )
        return float(np.isin(in_test, in_train).mean()) if len(in_test) else 0.0

    return _of_folds(
        what,
        share,
        splits,
        "{:.1%} of the times of the test series of fold {} of {} are times of training",
        source,
        "divide in time, TimeSeriesSplit or PurgedTimeSeriesSplit, if the model is to be used on another time",
    )


def _targeted(series: Sequences, targets: Any, warmup: int) -> Bool[ndarray, "step"]:
    """Steps whose target counts; one target per series is one of all of its steps."""
    if not isinstance(targets, Sequences):
        return np.ones(series.n_steps, dtype=bool)
    counted: ndarray = ~np.isnan(targets.values[:, 0]) & (steps_within(series.lengths) >= warmup)
    return counted


def _begin_anew(series: Sequences) -> bool:
    """Whether times are numbers that every series begins with the same of."""
    times = series.times
    assert times is not None
    first = times[series.offsets[:-1]]
    return times.dtype.kind != "M" and len(first) > 1 and bool((first == first[0]).all())


def _near(series: Sequences, same: ndarray, splits: Sequence[Split], most: float) -> Finding:
    what: tuple[str, str, Severity] = "GEN006", "nearly identical series", "warning"
    source = f"squared distance below {NEARLY_ONE} of the mean over pairs: two recordings with 5 % noise"
    if len(np.unique(same)) < 3:
        return _not_applicable(what, source, "fewer than 3 different series")
    if (work := _PER_PAIR * len(series) ** 2) > most:
        return _too_much(what, source, work)
    rows = SeriesRows(summaries=False).fit(series).transform(series)
    spread = 2 * rows.var(0).sum()  # the mean squared distance of pairs
    if not spread > 0:
        return _not_applicable(what, source, "the series do not differ once they are resampled")
    finder = NearestNeighbors(radius=float(np.sqrt(NEARLY_ONE * spread))).fit(rows)
    near = finder.radius_neighbors_graph(rows).tocoo()
    one, other = near.row, near.col
    long, short = (
        np.maximum(series.lengths[one], series.lengths[other]),
        np.minimum(series.lengths[one], series.lengths[other]),
    )
    kept = (same[one] != same[other]) & (long <= (1 + _OTHER_LENGTH) * short)
    one, other = one[kept], other[kept]

    def share(train: ndarray, test: ndarray) -> float:
        trained = np.zeros(len(series), dtype=bool)
        trained[train] = True
        return float(np.isin(test, one[trained[other]]).mean())

    return _of_folds(
        what,
        share,
        splits,
        "{:.1%} of the test series of fold {} of {} nearly equal one in training",
        source,
        "look at them: recordings of one event need one group",
    )


def _identities(series: Sequences) -> ndarray:
    """A number for each series, the same for those that are equal value for value."""
    static = series.static
    known: dict[tuple[bytes, bytes], int] = {}
    return np.array(
        [
            known.setdefault((x.tobytes(), b"" if static is None else static[row].tobytes()), row)
            for row, x in enumerate(series)
        ]
    )


def _voices(same: Int[ndarray, "series"], targets: Any) -> Int[ndarray, "series"]:
    """Numbers series of equal inputs by their targets: 0 for the first and for its copies, 1 for the next, ...

    Series that share covariates, such as shops of one town its weather, are no copies: their targets differ, in some
    step that was observed in both.
    """
    voice = np.zeros(len(same), dtype=np.int64)
    if targets is None:
        return voice
    known: dict[int, list[Any]] = {}
    for row, kind in enumerate(same):
        own = targets[row]
        others = known.setdefault(int(kind), [])
        voice[row] = next((place for place, other in enumerate(others) if not _differ(own, other)), len(others))
        if voice[row] == len(others):
            others.append(own)
    return voice


def _differ(one: Any, other: Any) -> bool:
    """Whether two targets differ where both were observed; NaN alone does not equal itself."""
    return bool(np.any((one != other) & (one == one) & (other == other)))


def _step_identities(
    series: Sequences, own: Int[ndarray, "series"], targets: Float[ndarray, "step 1"] | None = None
) -> Int[ndarray, "step"]:
    """A number for each step, the same for those that copies of one recording share.

    These are alike in ``own``, values and targets, and in time where there are times, in runs of which half the steps
    differ from the one before: single steps of several series are alike by chance where values are few, rounded or
    constant.
    """
    n, shortest = series.n_steps, int(series.lengths.min())
    values = series.values if targets is None else np.column_stack([series.values, targets])
    bits = _bits(values)
    alike = _numbered(np.column_stack([np.repeat(own, series.lengths), bits]))
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

    A step tells as much as two of its kind differ: -log2 of the share of equal pairs of steps, or of equal pairs of
    changes if that is less (collision entropy, in bits). All pairs of runs ask for the bits of their number; twice
    that, since the changes of one series depend on each other.
    """
    n = len(alike)
    if n < 2:
        return n
    with np.errstate(over="ignore", invalid="ignore"):
        changes = _numbered(_bits(np.diff(values, axis=0)))
    told = min(-np.log2(np.square(np.bincount(kind) / len(kind)).sum()) for kind in (alike, changes))
    needed = 2 * (2 * np.log2(n) + _CERTAIN)
    return int(np.ceil(needed / told)) if told * n > needed else n


def _bits(values: Float[ndarray, "step channel"]) -> Int[ndarray, "step channel"]:
    bits: ndarray = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return bits


def _codes(groups: ndarray) -> Int[ndarray, "series"]:
    codes: ndarray = np.unique(groups, return_inverse=True)[1].ravel()
    return codes


def _numbered(rows: Int[ndarray, "row column"]) -> Int[ndarray, "row"]:
    """A number for each row, the same for equal ones."""
    numbers: ndarray = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return numbers


def _of_folds(
    what: tuple[str, str, Severity],
    share: Callable[[ndarray, ndarray], float],
    splits: Sequence[Split],
    detail: str,
    source: str,
    remedy: str,
) -> Finding:
    """The worst fold's share against none."""
    shares = [share(train, test) for train, test in splits]
    worst = int(np.argmax(shares))
    found = shares[worst] > 0
    code, title, severity = what
    return Finding(
        code,
        title,
        "found" if found else "clear",
        severity,
        shares[worst],
        0.0,
        source,
        detail.format(shares[worst], worst + 1, len(splits)) if found else f"none in any of {len(splits)} folds",
        remedy if found else "",
    )


def _not_applicable(what: tuple[str, str, Severity], source: str, why: str) -> Finding:
    code, title, severity = what
    return Finding(code, title, "not applicable", severity, None, 0.0, source, why, "")


def _too_much(what: tuple[str, str, Severity], source: str, work: float) -> Finding:
    return _not_applicable(what, source, f"not looked for: it takes looks at {work:.0e} values, above most_work")
