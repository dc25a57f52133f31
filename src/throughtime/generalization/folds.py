"""What is typed for ``--cv`` and ``--split``, as splits that keep series and groups whole."""

import re
import reprlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.generalization.splitters import (
    OWN_TIME_SPLITS,
    PurgedTimeSeriesSplit,
    WalkForwardSplit,
    apart,
    in_order,
    of_one_series,
    spans,
)

Split = tuple[NDArray[np.intp], NDArray[np.intp]]

_FORMS = (
    "a number of folds, kfold:K, stratified:K, group:K, group, loo, time:K[,gap=G], forward:K[,gap=G] or "
    "purged:K[,purge=P][,embargo=E]"
)
#: The cure of too few series, where there are long ones.
_CUT = "; --window N [--stride N] cuts long series into windows (--cv purged:5), in Python Dataset.windows"
_SHAPE = re.compile(r"(?:(kfold|stratified|group):)?([0-9]{1,9})|(time|forward):([0-9]{1,9})(?:, *gap=([0-9]{1,9}))?")
_PURGED = re.compile(r"purged:([0-9]{1,9})(?:, *purge=([0-9]{1,9}))?(?:, *embargo=([0-9]{1,9}))?")
_NUMBERED: dict[str, Callable[[int, int | None], BaseCrossValidator]] = {
    "kfold": lambda n, seed: KFold(n, shuffle=True, random_state=seed),
    "stratified": lambda n, seed: StratifiedKFold(n, shuffle=True, random_state=seed),
    "group": lambda n, seed: GroupKFold(n, shuffle=True, random_state=seed),
    "stratified group": lambda n, seed: StratifiedGroupKFold(n, shuffle=True, random_state=seed),
}


def parse_cv(text: str, *, classifier: bool, random_state: int | None, grouped: bool = False) -> BaseCrossValidator:
    """Turn the text of ``--cv`` into a scikit-learn splitter.

    Parameters
    ----------
    text
        ``10`` (stratified by class for a classifier, by group where there are groups), ``kfold:10``,
        ``stratified:10``, ``group:10``, ``group`` (leave one group out), ``loo`` (leave one series out), ``time:5`` or
        ``time:5,gap=3`` (train on the series before; ``gap`` of them between are left out; of windows without a gap
        it is ``forward:5``), ``forward:5`` or
        ``forward:5,gap=30`` (train on what is over ``gap`` steps before: `WalkForwardSplit`),
        ``purged:5,purge=30,embargo=10`` (train on what is far enough before and after: `PurgedTimeSeriesSplit`).
    classifier
        Whether y is one class per series.
    random_state
        Seed of the shuffling; ``loo``, ``group``, ``time``, ``forward`` and ``purged`` do not shuffle.
    grouped
        Whether the series have groups, which then stay whole whenever the text leaves it open.

    Raises
    ------
    ParameterError
        If the text is none of these, or has fewer than 2 folds.
    """
    plain = text.strip().lower()
    if plain == "loo":
        return LeaveOneOut()
    if plain == "group":
        return LeaveOneGroupOut()
    if (purged := _PURGED.fullmatch(plain)) is not None:
        n_purged, purge, embargo = (int(number or 0) for number in purged.groups())
        _check_number(n_purged, text)
        return PurgedTimeSeriesSplit(n_purged, purge=purge, embargo=embargo)
    match = _SHAPE.fullmatch(plain)
    if match is None:
        raise ParameterError(f"--cv needs {_FORMS}, got {text!r}")
    kind, n, order, n_in_time, gap = match.groups()
    n_splits = int(n or n_in_time)
    _check_number(n_splits, text)
    if order:
        return (TimeSeriesSplit if order == "time" else WalkForwardSplit)(n_splits, gap=int(gap or 0))
    if not kind:
        kind = " ".join(["stratified"] * classifier + ["group"] * grouped) or "kfold"
    if kind == "stratified" and grouped:
        kind = "stratified group"
    return _NUMBERED[kind](n_splits, random_state)


def folds_in_time(cv: Any) -> Any:
    """Folds in time where ``cv`` is a number of folds, which leaves open how to divide; anything else as it is."""
    return f"purged:{cv}" if str(cv).strip().isdecimal() else cv


def _check_number(n_splits: int, text: str) -> None:
    if n_splits < 2:
        raise ParameterError(f"--cv needs at least 2 folds, got {text!r}")


def fold_indices(
    cv: BaseCrossValidator,
    X: Sequences,
    y: NDArray[Any] | Sequences,
    groups: NDArray[Any] | None = None,
) -> tuple[Split, ...]:
    """Split, and refuse folds that are not possible or that leak.

    A group on both sides of a fold is refused, unless the series are windows: random folds of windows are what honest
    ones are compared with, and `leakage_report`, which knows windows, says what they share.

    Parameters
    ----------
    cv
        A splitter of ``parse_cv``, or any other of scikit-learn's kind.
    X, y
        The series and their targets, one per series or one per step.
    groups
        One per series; those of ``X`` when not given.

    Returns
    -------
    Series of training and series of test, for each fold.

    Raises
    ------
    DataError
        If there are fewer series, groups or members of a class than folds, groups are missing, a group of series that
        are no windows is on both sides of a fold, or ``time`` folds are asked of series that are not in order of time,
        or of windows with a gap of so many series.
    """
    groups = X.groups if groups is None else groups
    cv = _by_time(cv, X)
    _check_possible(cv, X, y, groups)
    labels = np.zeros(len(X)) if isinstance(y, Sequences) else y
    try:
        with warnings.catch_warnings():
            # That a splitter looks at no groups is no news; a group on both sides is refused below.
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            # only our folds in time look at the series; others may take them for what they are not
            what = X if isinstance(cv, OWN_TIME_SPLITS) else np.zeros(len(X))
            splits = tuple(cv.split(what, labels, groups))
    except DataError:  # of our own splitters
        raise
    except ValueError as error:
        raise DataError(f"{type(cv).__name__} cannot split these {len(X)} series: {error}") from error
    if groups is not None and X.source is None:
        for number, (train, test) in enumerate(splits):
            both = np.intersect1d(groups[train], groups[test])
            if len(both):
                raise DataError(
                    f"a fold needs every group on one side, got group {_word(both[0])} on both sides of fold "
                    f"{number}; use --cv group:K"
                )
    return splits


def given_folds(cv: Any, n: int) -> tuple[Split, ...]:
    """Folds that somebody gave as pairs of training and test series, by index or as masks.

    Parameters
    ----------
    cv
        The pairs.
    n
        How many series there are.

    Raises
    ------
    ParameterError
        For what are no pairs, or no indices of the series, or without a fold.
    DataError
        For a series on both sides of a fold.
    """
    try:
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in cv]
    except (TypeError, ValueError) as error:
        raise ParameterError(
            "cv needs a number of folds, a word, a splitter or pairs of training and test indices, got "
            f"{reprlib.repr(cv)}"
        ) from error
    if not pairs:
        raise ParameterError("cv needs at least one fold, got none")
    folds = []
    for number, pair in enumerate(pairs):
        train, test = (_checked_side(side, n, number) for side in pair)
        if len(both := np.intersect1d(train, test)):
            raise DataError(
                f"a fold needs every series on one side, got series {both[0]} on both sides of fold {number}"
            )
        folds.append((train, test))
    return tuple(folds)


def _checked_side(side: NDArray[Any], n: int, number: int) -> NDArray[np.intp]:
    indices = np.flatnonzero(side) if side.dtype == bool and side.shape == (n,) else side
    kind, shape = indices.dtype.kind, indices.shape
    if kind not in "iu" or len(shape) != 1 or not shape[0] or indices.min() < 0 or indices.max() >= n:
        shown = reprlib.repr(side.tolist())
        raise ParameterError(f"cv needs indices of the {n} series on both sides of fold {number}, got {shown}")
    return indices.astype(np.intp)


def _by_time(cv: BaseCrossValidator, X: Sequences) -> BaseCrossValidator:
    """Folds in time of windows, which scikit-learn's splitter would count by place, by their times and steps."""
    if not isinstance(cv, TimeSeriesSplit) or X.source is None:
        return cv
    if (cv.gap, cv.max_train_size, cv.test_size) != (0, None, None):
        raise DataError(
            f"folds in time of windows need steps counted, not series, got {' '.join(repr(cv).split())}; "
            f"--cv forward:{cv.n_splits}[,gap=STEPS], in Python WalkForwardSplit, counts steps"
        )
    return WalkForwardSplit(cv.n_splits)


def holdout(
    X: Sequences,
    y: NDArray[Any] | Sequences,
    groups: NDArray[Any] | None,
    fraction: float,
    *,
    classifier: bool,
    random_state: int | None,
) -> Split:
    """Set a fraction of the series aside for a test: whole groups where there are groups, of one series the last.

    Parameters
    ----------
    X
        The series. Windows of one series without groups are not shuffled: the last are the test, and those that share
        a step with them are on neither side.
    y
        Targets; for a classifier without groups every class is divided in the same proportion.
    groups
        One per series; the fraction is then one of groups.
    fraction
        Fraction held out, between 0 and 1.
    classifier
        Whether y is one class per series.
    random_state
        Seed of the shuffling.

    Raises
    ------
    ParameterError
        If the fraction is outside (0, 1), or leaves one side, or a class on one side, without series.
    DataError
        If a class has a single member, or there is a single group.
    """
    if not 0 < fraction < 1:
        raise ParameterError(f"--split needs a fraction between 0 and 1, got {fraction:g}")
    n = len(X)
    units, what = (n, "series") if groups is None else (len(np.unique(groups)), "groups")
    if units < 2:
        raise DataError(
            f"--split needs at least 2 {what} to divide, got {units}{_cure(X) if groups is None or n == 1 else ''}"
        )
    n_test = int(np.ceil(fraction * units))  # as scikit-learn rounds
    if n_test >= units:
        raise ParameterError(f"--split needs to leave {what} to train on, got {fraction:g} of {units}")
    if groups is None and of_one_series(X):
        where = spans(X)
        test = in_order(where)[n - n_test :]
        train = apart(X, where, test, before=0)
        if not len(train):
            raise DataError(f"--split needs windows that end before those of the test, got none of {n}")
        return train, np.sort(test)
    kind: type[BaseCrossValidator] = ShuffleSplit if groups is None else GroupShuffleSplit
    if classifier and groups is None and not isinstance(y, Sequences):
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            rarest = _word(classes[counts.argmin()])
            raise DataError(f"--split needs at least 2 series of every class, got 1 of class {rarest}")
        if min(n_test, n - n_test) < len(classes):
            raise ParameterError(
                f"--split needs a series of each of the {len(classes)} classes on either side, got {fraction:g} "
                f"of {n} series"
            )
        kind = StratifiedShuffleSplit
    splitter = kind(1, test_size=fraction, random_state=random_state)
    labels = np.zeros(n) if isinstance(y, Sequences) else y
    train, test = next(splitter.split(np.zeros(n), labels, groups))
    return np.sort(train), np.sort(test)


def _check_possible(
    cv: BaseCrossValidator, X: Sequences, y: NDArray[Any] | Sequences, groups: NDArray[Any] | None
) -> None:
    """Say in one sentence what scikit-learn would warn of, or say less clearly."""
    n_splits = getattr(cv, "n_splits", 2)
    if isinstance(cv, GroupKFold | StratifiedGroupKFold | LeaveOneGroupOut):
        if groups is None:
            in_time = "; of windows of one series --cv purged:5 divides in time" if of_one_series(X) else ""
            raise DataError(
                f"folds by group need the group of every series, got none; name a column with --group{in_time}"
            )
        if (n_groups := len(np.unique(groups))) < n_splits:
            raise DataError(
                f"{n_splits} folds need at least {n_splits} groups, got {n_groups}{_cure(X) if len(X) == 1 else ''}"
            )
    elif isinstance(cv, TimeSeriesSplit):
        if len(X) - cv.gap < n_splits + 1:
            raise DataError(
                f"{n_splits} folds in time need at least {n_splits + 1 + cv.gap} series (the gap counted), got "
                f"{len(X)}{_cure(X)}"
            )
        if (times := X.times) is not None:
            begins = times[X.offsets[:-1]]
            if (back := begins[1:] < begins[:-1]).any():
                late = int(back.argmax())
                raise DataError(
                    f"folds in time need series in order of time, but series {late + 1} begins before series {late}"
                )
    elif isinstance(cv, WalkForwardSplit) and len(X) <= n_splits:
        raise DataError(
            f"{n_splits} folds that walk forward need at least {n_splits + 1} series, got {len(X)}{_cure(X)}"
        )
    elif len(X) < n_splits:
        raise DataError(f"{n_splits} folds need at least {n_splits} series, got {len(X)}{_cure(X)}")
    if isinstance(cv, StratifiedKFold | StratifiedGroupKFold):
        if isinstance(y, Sequences):
            raise DataError("stratified folds need one class per series, got a target at every step; use kfold:K")
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < n_splits:
            raise DataError(
                f"{n_splits} stratified folds need at least {n_splits} series of every class, got {counts.min()} of "
                f"class {_word(classes[counts.argmin()])}; use fewer folds, or kfold:{n_splits}"
            )


def _cure(X: Sequences) -> str:
    """What makes more series of few: windows, or shorter ones."""
    return _CUT if X.source is None else "; a smaller --window or --stride gives more"


def _word(label: Any) -> str:
    """A label as a person wrote it, without numpy's type around it."""
    return repr(label.item() if isinstance(label, np.generic) else label)
