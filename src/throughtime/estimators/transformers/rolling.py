"""Statistics of the last steps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.data import Layout, Sequences, steps_within
from throughtime.estimators.transformers.lags import listed
from throughtime.estimators.transformers.transformer import ChannelTransformer
from throughtime.feature_specs import check_numbers, check_words


class RollingStatistics(ChannelTransformer):
    """Add statistics of each channel over its last steps, the present one among them, for each of the windows.

    Where a series has just begun, a window is of the steps there are. Missing values are left out; where a window has
    no value at all, its statistics are missing.

    Parameters
    ----------
    windows : int or sequence of int
        Steps, each at least 2.
    statistics : str or sequence of str, default=("mean", "std")
        Among ``"mean"``, ``"std"`` (that of the values themselves, divided by their number: 0 of a single one),
        ``"min"`` and ``"max"``.
    layout : {'ntc', 'nct'}, default='ntc'
        As of the estimators: axis order of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import RollingStatistics
    >>> smooth = RollingStatistics(2, "mean").fit_transform([np.array([5.0, 6.0, 8.0, 1.0])])
    >>> smooth.channel_names
    ('x0', 'x0:rolling2_mean')
    >>> smooth[0][:, 1].tolist()
    [5.0, 5.5, 7.0, 4.5]
    """

    def __init__(
        self,
        windows: int | Sequence[int],
        statistics: str | Sequence[str] = ("mean", "std"),
        *,
        layout: Layout = "ntc",
    ) -> None:
        self.windows = windows
        self.statistics = statistics
        self.layout = layout

    def check_parameters(self) -> None:
        """Refuse windows and statistics that are none."""
        check_numbers("RollingStatistics", "rolling", self.windows)
        check_words("RollingStatistics", "rolling", self.statistics)

    def new_channels(self, X: Sequences, clock: Float[ndarray, "step"]) -> Float[ndarray, "step new"]:  # noqa: ARG002
        """Of the first window each statistic of all channels, then of the next window."""
        place, values = steps_within(X.lengths), X.values.astype(np.float64)
        columns = []
        for window in listed(self.windows):
            moments = _windows(values, place, int(window))
            found = {"mean": moments.mean, "std": np.sqrt(moments.squares / np.maximum(moments.seen, 1)),
                     "min": moments.low, "max": moments.high}  # fmt: skip
            empty = moments.seen == 0
            columns += [np.where(empty, np.nan, found[name]) for name in self._named()]
        return np.concatenate(columns, axis=1)

    def new_names(self, names: list[str]) -> list[str]:
        """``temp:rolling7_mean``."""
        windows, statistics = listed(self.windows), self._named()
        return [f"{name}:rolling{window}_{what}" for window in windows for what in statistics for name in names]

    def _named(self) -> list[str]:
        return [self.statistics] if isinstance(self.statistics, str) else list(self.statistics)


class _Moments(NamedTuple):
    """Of some steps: how many values, their mean, the sum of squares about it, the lowest and the highest."""

    seen: Float[ndarray, "step channel"]
    mean: Float[ndarray, "step channel"]
    squares: Float[ndarray, "step channel"]
    low: Float[ndarray, "step channel"]
    high: Float[ndarray, "step channel"]


def _windows(values: Float[ndarray, "step channel"], place: Int[ndarray, "step"], window: int) -> _Moments:
    """Moments of the last ``window`` steps of each step's own series.

    They are put together from moments of 1, 2, 4, ... steps, in an order that is the window's alone: so a series' bits
    depend on no other, later steps change nothing, and a large value is gone with the window that it was in, which a
    running sum keeps in its rounding.
    """
    missing = np.isnan(values)
    zero = np.where(missing, 0.0, values) + 0.0  # -0 would become 0 where something is added, and stay where not
    block = _Moments((~missing).astype(np.float64), zero, np.zeros_like(zero),
                     np.where(missing, np.inf, values), np.where(missing, -np.inf, values))  # fmt: skip
    result: _Moments | None = None
    behind = 0  # steps in the result
    size = 1  # steps in a block
    while size <= window:
        if window & size:
            result = block if result is None else _joined(result, block, place, behind)
            behind += size
        block = _joined(block, block, place, size)
        size *= 2
    assert result is not None
    return result


def _joined(recent: _Moments, earlier: _Moments, place: Int[ndarray, "step"], steps: int) -> _Moments:
    """Moments of both, the earlier ones taken so many steps before each; there is nothing before a series.

    Source: Chan, Golub & LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115, equation 2.1.
    """
    if steps > place.max(initial=0):
        return recent
    rows = np.arange(len(place)) - np.minimum(place, steps)
    inside = (place >= steps)[:, None]
    added = np.where(inside, earlier.seen[rows], 0.0)
    count = recent.seen + added
    fraction = added / np.maximum(count, 1)
    shift = np.where(added > 0, earlier.mean[rows] - recent.mean, 0.0)
    return _Moments(
        count,
        recent.mean + shift * fraction,
        recent.squares + np.where(inside, earlier.squares[rows], 0.0) + shift**2 * (recent.seen * fraction),
        np.fmin(recent.low, np.where(inside, earlier.low[rows], np.inf)),
        np.fmax(recent.high, np.where(inside, earlier.high[rows], -np.inf)),
    )
