"""GEN007: channels that are constant within every series, as a group or a property of the series is."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.findings import Check, Measured, NotApplicable
from throughtime.generalization.leakage.channel_ranges import ChannelRanges, in_words, values_in


def _measure(ranges: ChannelRanges) -> Measured | NotApplicable:
    series, (low, high) = ranges.series, _within_series(ranges)
    n_series = low.shape[1]
    if n_series < 2:
        return NotApplicable("a single series")
    if (series.lengths < 2).all():
        return NotApplicable("series of a single step")
    # what is the same in all series says nothing of any of them
    differs = np.fmax.reduce(low, axis=1) > np.fmin.reduce(low, axis=1)
    constant = np.flatnonzero(differs & ((low == high) | np.isnan(low)).all(1))
    # a value that was observed once per series could not vary
    constant = np.array([channel for channel in constant if _often_repeated(ranges, channel)], dtype=np.intp)
    if not len(constant):
        return Measured(0.0, "every channel varies within some series, or is the same in all")
    are = "are" if len(constant) > 1 else "is"
    return Measured(
        float(len(constant)), f"{in_words(series, constant)} {are} constant within each of {n_series} series"
    )


def _within_series(ranges: ChannelRanges) -> tuple[Float[ndarray, "channel whole"], Float[ndarray, "channel whole"]]:
    """The ranges in each series, of windows in that which they are of: in a window what changes by the day rests."""
    source = ranges.series.source
    if source is None or not len(source.series):
        return ranges.low, ranges.high
    order = np.argsort(source.series, kind="stable")
    first = np.flatnonzero(np.diff(source.series[order], prepend=-1))
    low = np.fmin.reduceat(ranges.low[:, order], first, axis=1)
    return low, np.fmax.reduceat(ranges.high[:, order], first, axis=1)


def _often_repeated(ranges: ChannelRanges, channel: int) -> bool:
    """Whether half of the series or more have two values of a channel, or more."""
    series = ranges.series
    return 2 * sum(int(np.count_nonzero(~np.isnan(x[:, channel])) > 1) for x in series) >= len(series)


CONSTANT_CHANNELS = Check(
    "GEN007",
    "channels constant within series",
    "warning",
    needs=("ranges",),
    measure=_measure,
    work=values_in,
    source="what is measured at each step varies within some series",
    remedy="a group is no input: name it with --group; a property of the series belongs to the static features, "
    "--static",
    docs="docs/guide/leakage.md#gen007",
)
