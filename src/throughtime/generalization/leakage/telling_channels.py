"""GEN008: channels that tell the series apart by themselves, as a row number or an id does."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.findings import Check, Measured, NotApplicable
from throughtime.generalization.leakage.channel_ranges import ChannelRanges, in_words, values_in

#: The fraction of the series that may be where no other series is. A level that differs by series, such as a weight,
#: puts a few series in a place of their own; nearly all are there by their number alone.
_ALONE = 0.95
#: Of fewer series, a level that differs may put all in a place of their own.
_FEWEST = 10


def _measure(ranges: ChannelRanges) -> Measured | NotApplicable:
    series = ranges.series
    apart = ranges.apart  # windows that overlap have steps in common, whatever numbers these
    if len(apart) < _FEWEST:
        return NotApplicable(f"fewer than {_FEWEST} series that share no step")
    alone = np.array([_alone(low, high) for low, high in zip(ranges.low[:, apart], ranges.high[:, apart], strict=True)])
    telling = np.flatnonzero(alone > _ALONE)
    if not len(telling):
        return Measured(float(alone.max()), f"in every channel {_at_least(1 - alone.max())} meet others")
    has = "have" if len(telling) > 1 else "has"
    return Measured(
        float(alone.max()),
        f"{in_words(series, telling)} {has} a range of its own in {_at_least(alone[telling].min())}",
    )


def _at_least(fraction: float) -> str:
    return "all series" if fraction == 1 else f"{int(100 * fraction)}% of the series or more"


def _alone(low: Float[ndarray, "series"], high: Float[ndarray, "series"]) -> float:
    """The fraction of series whose middle value is within no other's range."""
    seen = ~np.isnan(low)
    low, high = low[seen].astype(np.float64), high[seen].astype(np.float64)
    if len(low) < max(_FEWEST, len(seen) / 2):
        return 0.0
    if (low == high).all() and (low != np.round(low)).any():
        return 0.0  # a measured property of the series, not its number: GEN007
    middle = low + (high - low) / 2
    around = np.searchsorted(np.sort(low), middle, "right") - np.searchsorted(np.sort(high), middle, "left")
    return float((around == 1).mean())  # its own


TELLING_CHANNELS = Check(
    "GEN008",
    "channels that number the series",
    "warning",
    needs=("ranges",),
    measure=_measure,
    work=values_in,
    threshold=_ALONE,
    source="chosen: levels that differ by series, such as weights, meet in more than 1 of 20",
    remedy="a row number, a time stamp or an id is no input: leave it out (--channels), or name it with --id or --time",
    docs="docs/guide/leakage.md#gen008",
)
