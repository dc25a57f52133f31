"""The lowest and highest value of every channel in every series."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.data import Sequences

#: Steps looked at at a time: windows of one buffer are copied to be looked at.
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """The ranges of all channels in all series, measured once for all checks."""

    series: Sequences

    @property
    def low(self) -> Float[ndarray, "channel series"]:
        """The lowest values, NaN where none was observed."""
        low: ndarray = self._extremes[0]
        return low

    @property
    def high(self) -> Float[ndarray, "channel series"]:
        """The highest values, NaN where none was observed."""
        high: ndarray = self._extremes[1]
        return high

    @cached_property
    def apart(self) -> Int[ndarray, "_"]:
        """Series no two of which have a step of the buffer in common, as many as there can be."""
        order = np.argsort(self.series.starts + self.series.lengths, kind="stable")
        begins = self.series.starts[order].tolist()
        ends = (self.series.starts + self.series.lengths)[order].tolist()
        kept, reached = [], 0
        for at, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            if begin >= reached:
                kept.append(at)
                reached = end
        apart: ndarray = order[kept]
        return apart

    @cached_property
    def _extremes(self) -> Float[ndarray, "extreme channel series"]:
        series, offsets = self.series, self.series.offsets
        extremes = np.empty((2, series.n_channels, len(series)), dtype=series.dtype)
        first = 0
        while first < len(series):
            end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _CHUNK, "right")) - 1)
            values, begins = series[first:end].values, offsets[first:end] - offsets[first]
            for channel in range(series.n_channels):
                column = np.ascontiguousarray(values[:, channel])
                for extreme, part in zip((np.fmin, np.fmax), extremes[:, channel, first:end], strict=True):
                    extreme.reduceat(column, begins, out=part)
            first = end
        return extremes


def in_words(series: Sequences, channels: Int[ndarray, "_"]) -> str:
    """``channel 'row'``, ``channels 0, 4``; the first four of many."""
    names = series.channel_names
    listed = [str(channel) if names is None else repr(names[channel]) for channel in channels[:4]]
    more = f" and {len(channels) - 4} more" if len(channels) > 4 else ""
    return f"channel{'s' if len(channels) > 1 else ''} {', '.join(listed)}{more}"


def values_in(ranges: ChannelRanges) -> float:
    """What a check of ranges looks at: each value of the series once."""
    return ranges.series.n_steps * ranges.series.n_channels
