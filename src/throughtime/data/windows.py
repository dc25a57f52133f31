"""Windows of series: which steps each is of, and the source that it remembers."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from throughtime.errors import DataError, ParameterError


@dataclass(frozen=True, eq=False)
class WindowSource:
    """Where windows were cut from.

    Attributes
    ----------
    series
        Which series of the first parent each window is of: a window of a window points at what that was cut from.
    begins
        Its first step there, its history included.
    history
        Steps at its start that are input alone: there to be read from, never a target; 0 without.
    """

    series: Int[ndarray, "window"]
    begins: Int[ndarray, "window"]
    history: Int[ndarray, "window"]


@dataclass(frozen=True, eq=False)
class WindowPlaces:
    """The steps of windows in the series that they are to be cut from.

    Attributes
    ----------
    series
        Which series each window is of.
    begins, ends
        Its first step there, its history included, and the one after its last.
    history
        Steps at its start that are not its own: at a series' start there are fewer than were asked for.
    """

    series: Int[ndarray, "window"]
    begins: Int[ndarray, "window"]
    ends: Int[ndarray, "window"]
    history: Int[ndarray, "window"]


def window_places(
    lengths: Int[ndarray, "series"], length: int, stride: int, history: int = 0, *, keep_shorter: bool = False
) -> WindowPlaces:
    """Where the windows of series of these lengths are: at 0, ``stride``, 2 ``stride``, ... of each.

    Parameters
    ----------
    length
        Own steps of a window.
    stride
        Steps from one window's first own step to the next one's.
    history
        Steps before its own that a window takes in as well, as far as its series reaches back.
    keep_shorter
        Whether the steps that are left at a series' end, too few for a window, are one too.

    Raises
    ------
    ParameterError
        For a length or stride below 1, a negative history, or own steps that overlap although there is history.
    DataError
        No series is as long as a window.
    """
    check_windows(length, stride, history)
    longest = int(max(lengths, default=0))
    if longest < length:
        raise DataError(f"a window (--window) needs a series of at least {length} steps, the longest has {longest}")
    if keep_shorter:
        reaching_the_end = -(-np.maximum(lengths - length, 0) // stride) + 1
        counts = np.minimum(reaching_the_end, -(-lengths // stride))  # a long stride may step over the end
    else:
        counts = np.maximum((lengths - length) // stride + 1, 0)
    series = np.repeat(np.arange(len(lengths)), counts)
    own = (np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)) * stride
    before = np.minimum(own, history)
    return WindowPlaces(series, own - before, np.minimum(own + length, lengths[series]), before)


def check_windows(window: object, stride: object, history: object) -> None:
    """Refuse lengths that no window has; ``stride`` may be None, for that of the window.

    Raises
    ------
    ParameterError
        "a window (--window) needs at least 1 step, got 0", and the like.
    """
    sizes = {"a window (--window)": (window, 1), "stride (--stride)": (stride, 1), "history (--history)": (history, 0)}
    for name, (value, least) in sizes.items():
        if value is None and least:
            continue
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ParameterError(f"{name} needs a whole number of steps, got {value!r}")
        if value < least:
            raise ParameterError(f"{name} needs at least {least} step{'s' if least != 1 else ''}, got {value}")
    for name, asked in (("stride (--stride)", stride is not None), ("history (--history)", history != 0)):
        if asked and window is None:
            raise ParameterError(f"{name} needs a window (--window), got none")
    if history and stride is not None and stride < window:  # type: ignore[operator]
        raise ParameterError(
            f"history (--history) needs a stride (--stride) of at least the window's {window} steps, so that no step "
            f"is a target twice, got {stride}"
        )


@dataclass(frozen=True, eq=False)
class Stretches:
    """The steps that windows cover, each once.

    Attributes
    ----------
    series, begins
        Which series each stretch is of, and its first step there.
    starts, lengths
        Its row in the buffer, and its steps.
    """

    series: Int[ndarray, "stretch"]
    begins: Int[ndarray, "stretch"]
    starts: Int[ndarray, "stretch"]
    lengths: Int[ndarray, "stretch"]


def covered_stretches(
    source: WindowSource, starts: Int[ndarray, "window"], lengths: Int[ndarray, "window"], *, touching: bool
) -> Stretches:
    """Join windows that overlap, in their series and in the buffer, or with ``touching`` lie side by side."""
    row_of_series = starts - source.begins  # windows that were copied to other rows stay apart
    order = np.lexsort((source.begins, row_of_series, source.series))
    series, row_of_series, begins = source.series[order], row_of_series[order], source.begins[order]
    ends = begins + lengths[order]
    other = np.concatenate([[0], (np.diff(series) != 0) | (np.diff(row_of_series) != 0)]).cumsum()
    shifts = other * (int(ends.max()) + 2)  # one axis for all series, each on a part of its own
    reached = np.maximum.accumulate(shifts + ends)
    gaps = (shifts + begins)[1:] - reached[:-1]
    first = np.flatnonzero(np.concatenate([[True], gaps > 0 if touching else gaps >= 0]))
    last = np.append(first[1:], len(begins)) - 1
    return Stretches(
        series[first], begins[first], (row_of_series + begins)[first], reached[last] - (shifts + begins)[first]
    )


def source_of_cut(
    parent: WindowSource | None,
    series: Int[ndarray, "window"],
    begins: Int[ndarray, "window"],
    history: Int[ndarray, "window"],
) -> WindowSource:
    """The source of pieces of series that may be windows themselves; ``begins`` takes in the history."""
    if parent is None:
        return _read_only(WindowSource(series, begins, history))
    # What is history in the parent is history in its windows as well.
    inherited = np.maximum(parent.history[series] - begins, 0)
    return _read_only(
        WindowSource(parent.series[series], parent.begins[series] + begins, np.maximum(history, inherited))
    )


def taken_source(source: WindowSource | None, rows: slice | ndarray) -> WindowSource | None:
    """The source of some of the windows."""
    if source is None:
        return None
    return _read_only(WindowSource(source.series[rows], source.begins[rows], source.history[rows]))


def joined_source(
    sources: list[WindowSource | None], starts: list[Int[ndarray, "window"]], *, shared: bool
) -> WindowSource | None:
    """The source of the windows of several parts, or None where a part has none.

    The parents' series are numbered one part after another, unless the rows show that all have the same parent.

    Parameters
    ----------
    starts
        The row of its buffer at which each window of each part begins.
    shared
        Whether all parts have the same buffer.
    """
    known = [source for source in sources if source is not None]
    if len(known) < len(sources):
        return None
    series, begins, history = (
        np.concatenate([getattr(source, name) for source in known]) for name in ("series", "begins", "history")
    )
    parents = np.column_stack([series, np.concatenate(starts) - begins])  # with the row at which that series begins
    distinct = [len(np.unique(parents, axis=0)), len(np.unique(parents[:, 0])), len(np.unique(parents[:, 1]))]
    if not shared or len(set(distinct)) > 1:
        shifts = np.cumsum([0, *(source.series.max(initial=-1) + 1 for source in known[:-1])])
        series = series + np.repeat(shifts, [len(source.series) for source in known])
    return _read_only(WindowSource(series, begins, history))


def _read_only(source: WindowSource) -> WindowSource:
    for part in (source.series, source.begins, source.history):
        part.flags.writeable = False
    return source
