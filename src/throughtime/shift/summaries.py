"""Ragged series as rows of numbers: of each channel a few summaries, which no network is asked for."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Sequences, as_sequences, steps_within
from throughtime.errors import DataError

#: Of each channel, in this order.
STATISTICS = ("mean", "sd", "lag-1", "slope", "missing")
#: Parts of equal length that a series is cut into, to say where in time it moved.
STRETCHES = 4
#: Values beyond it have squares that float64 does not hold many of.
_LARGEST = 1e140
#: Values that are summed up at a time: a chunk of series stays in the processor's cache.
_CHUNK = 1 << 16


def summarize(X: Any) -> tuple[Float[ndarray, "series summary"], tuple[str, ...]]:
    """Summaries of each series: per channel mean, standard deviation, lag-1 autocorrelation, slope and missing values.

    Missing values are left out. Of a channel that is constant within a series, and of one step, deviation,
    autocorrelation and slope are 0.

    Parameters
    ----------
    X
        Series, as `as_sequences` takes them.

    Returns
    -------
    values
        The five of the first channel, of the second, ..., then the length in steps and the static features. The slope
        is the least squares line's rise per standard deviation of time, in units of the channel; the last is the
        fraction of steps missing. Where a channel has no value in a series the other four are NaN.
    names
        "CHANNEL mean", "CHANNEL sd", "CHANNEL lag-1", "CHANNEL slope", "CHANNEL missing", ..., "length", and the names
        of the static features.

    Raises
    ------
    DataError
        For what are no series, and values whose squares float64 cannot hold.
    """
    X = as_sequences(X)
    per_chunk = max(1, _CHUNK // (X.n_channels * max(1, int(X.lengths.mean()))))
    chunks = [X[first : first + per_chunk] for first in range(0, len(X), per_chunk)]
    of_channels = np.concatenate([_of_channels(chunk) for chunk in chunks])
    static = np.zeros((len(X), 0)) if X.static is None else X.static
    names = [f"{channel} {statistic}" for channel in channel_names(X) for statistic in STATISTICS]
    return np.column_stack([of_channels, X.lengths, static]), (*names, "length", *_static_names(X))


def stretch_means(X: Sequences) -> Float[ndarray, "series stretch channel"]:
    """The mean of each channel in each quarter of a series' length; NaN where nothing was observed."""
    seen = ~np.isnan(X.values)
    stretch = steps_within(X.lengths) * STRETCHES // np.repeat(X.lengths, X.lengths)
    place = np.repeat(np.arange(len(X)), X.lengths) * STRETCHES + stretch
    # Places increase, so that a sum over each is one pass; a short series leaves some without a step.
    begins = np.searchsorted(place, np.arange(len(X) * STRETCHES + 1))
    sums, counts = (
        np.diff(np.vstack([np.zeros(X.n_channels), np.cumsum(terms, 0, dtype=np.float64)])[begins], axis=0)
        for terms in (np.where(seen, X.values, 0.0), seen)
    )
    means = np.divide(sums, counts, where=counts > 0, out=np.full_like(sums, np.nan))
    return means.reshape(len(X), STRETCHES, X.n_channels)


def filled(
    values: Float[ndarray, "series ..."], reference: Float[ndarray, "known ..."]
) -> Float[ndarray, "series ..."]:
    """Values with the reference's mean of a column in place of NaN, or 0 where it has none."""
    seen = ~np.isnan(reference)
    mean = np.where(seen, reference, 0.0).sum(0) / np.maximum(seen.sum(0), 1)
    return np.asarray(np.where(np.isnan(values), mean, values))


def channel_names(X: Sequences) -> tuple[str, ...]:
    """Names of the channels: ``x0``, ``x1``, ... where there are none."""
    return X.channel_names or tuple(f"x{number}" for number in range(X.n_channels))


def _static_names(X: Sequences) -> tuple[str, ...]:
    if X.static is None:
        return ()
    return X.static_names or tuple(f"static{number}" for number in range(X.static.shape[1]))


def _of_channels(X: Sequences) -> Float[ndarray, "series summary"]:
    """The summaries of all channels, one channel after the other."""
    starts, series = X.offsets[:-1], np.repeat(np.arange(len(X)), X.lengths)
    values = X.values.astype(np.float64)
    missing = np.isnan(values)
    if missing.any():
        values[missing] = 0
        seen = 1.0 - missing
    else:
        seen = np.ones((len(values), 1))
    largest = max(values.max(), -values.min())
    if largest > _LARGEST:
        raise DataError(f"a summary needs values of at most {_LARGEST:g} in size, got {largest:g}; rescale the channel")
    count = np.add.reduceat(seen, starts)

    def mean_of(terms: ndarray, number: ndarray = count) -> ndarray:
        """The mean of terms, which are 0 where a value is missing."""
        mean: ndarray = np.add.reduceat(terms, starts) / np.maximum(number, 1)
        return mean

    mean = mean_of(values)
    centered = (values - mean[series]) * seen
    sd = np.sqrt(mean_of(np.square(centered)))
    # What rounding leaves of a constant channel is no variation.
    varies = sd > 1e-12 * np.abs(mean)
    sd = np.where(varies, sd, 0.0)

    products, both = np.zeros_like(centered), np.zeros_like(seen)
    np.multiply(centered[1:], centered[:-1], out=products[1:])
    np.multiply(seen[1:], seen[:-1], out=both[1:])
    products[starts] = both[starts] = 0  # of two series
    covariance = mean_of(products, np.add.reduceat(both, starts))
    lag_1 = np.clip(np.divide(covariance, sd**2, where=varies, out=np.zeros_like(sd)), -1, 1)

    time = steps_within(X.lengths)[:, None] * seen
    since = (time - mean_of(time)[series]) * seen
    spread = np.sqrt(mean_of(np.square(since)))
    slope = np.divide(mean_of(since * centered), spread, where=varies & (spread > 0), out=np.zeros_like(sd))

    observed = np.broadcast_to(count / X.lengths[:, None], sd.shape)
    of_values = np.where(observed > 0, [mean, sd, lag_1, slope], np.nan)
    return np.stack([*of_values, 1 - observed], axis=2).reshape(len(X), -1)
