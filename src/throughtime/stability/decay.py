"""How fast a norm falls or grows with the lag: per step, over series, and the lag at which 1 % is left."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray

from throughtime.errors import DataError, ParameterError
from throughtime.stability.arguments import check_seed, check_whole, is_number

#: The gradient horizon is the lag at which this fraction of the gradient is left: a convention.
FRACTION = 0.01
#: Percent of the resamples that a horizon's interval holds.
LEVEL = 95


class Horizon(NamedTuple):
    """The lag at which 1 % of the gradient is left; ``inf`` where it never falls so far.

    Attributes
    ----------
    lag
        Of the geometric mean over the series, between two lags by the logarithm.
    low, high
        What 95 % of the bootstraps over the series give; both NaN with a single series.
    """

    lag: float
    low: float
    high: float


def log_ratios(
    norms: Float64[ndarray, "time series"], lengths: Int[ndarray, "series"], *, reverse: bool = False
) -> Float64[ndarray, "lag series"]:
    """``ln(G(lag) / G(0))`` of each series: NaN beyond its other end, ``-inf`` where nothing is left.

    All of a series without a gradient at lag 0 is NaN.

    Parameters
    ----------
    norms
        At every step.
    lengths
        Steps of each series.
    reverse
        Whether the loss is at the first step, as a reverse direction's end is, and not at the series' last.

    Raises
    ------
    DataError
        For what are no norms of series, or no lengths of theirs.
    """
    _check_norms(norms, lengths)
    time = len(norms)
    lags = np.arange(time)[:, None]
    at = lags if reverse else lengths - 1 - lags
    own = np.take_along_axis(norms, np.clip(at, 0, time - 1), 0)
    # Beyond an overflow all is NaN (0 * inf), though the net, not the data, is at fault.
    over = np.maximum.accumulate(np.isinf(own), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: ndarray = np.where(over, np.inf, np.log(own) - np.log(own[:1]))
    return np.where((lags < lengths) & (own[:1] > 0), found, np.nan)


def mean_log_ratio(logs: Float64[ndarray, "lag series"]) -> Float64[ndarray, "lag"]:
    """Logarithm of the geometric mean over the series that are so long; of ``log_ratios``."""
    _check_table("logs", "lag, series", logs)
    (mean,) = _means(logs, np.ones((1, logs.shape[1])))
    return np.asarray(mean)


def fit_horizon(
    logs: Float64[ndarray, "lag series"], *, fraction: float = FRACTION, n_resamples: int = 500, seed: int = 0
) -> Horizon:
    """Find the gradient horizon, and its uncertainty by a bootstrap over the series.

    Parameters
    ----------
    logs
        As ``log_ratios`` gives them.
    fraction
        Of the gradient that is left at the horizon, between 0 and 1.
    n_resamples, seed
        Of the bootstrap.

    Raises
    ------
    DataError, ParameterError
        For logs that are no table, and what is no such number.
    """
    _check_table("logs", "lag, series", logs)
    check_whole("n_resamples", n_resamples, 1)
    seed = check_seed(seed)
    if not is_number(fraction) or not 0 < fraction < 1:
        raise ParameterError(f"fraction needs a number between 0 and 1, got {fraction!r}")
    series = logs.shape[1]
    lags, level = np.arange(len(logs)), np.log(fraction)
    lag = float(first_crossings(_means(logs, np.ones((1, series))), lags, level)[0])
    if series < 2:
        return Horizon(lag, float("nan"), float("nan"))
    counts = np.random.default_rng(seed).multinomial(series, np.full(series, 1 / series), n_resamples)
    found = first_crossings(_means(logs, counts), lags, level)
    tail = (100 - LEVEL) / 2
    # an order statistic: between a number and infinity nothing can be interpolated
    low, high = np.percentile(found, [tail, 100 - tail], method="inverted_cdf")
    return Horizon(lag, float(low), float(high))


def growth_per_step(
    norms: Float64[ndarray, "time series"], lengths: Int[ndarray, "series"], *, reverse: bool = False
) -> float:
    """By what a norm is multiplied per step back: least squares on its logarithm, each series with a level of its own.

    Steps at which nothing is left do not count. ``inf`` where a norm overflows; NaN where no two steps have one.

    Raises
    ------
    DataError
        For what are no norms of series, or no lengths of theirs.
    """
    _check_norms(norms, lengths)
    steps = np.arange(len(norms))[:, None]
    inside = steps < lengths
    if np.isinf(norms[inside.nonzero()]).any():
        return float("inf")
    there = inside & (norms > 0)  # never true of NaN
    count = np.maximum(there.sum(0), 1)
    logs = np.log(norms, where=there, out=np.zeros_like(norms))
    back = np.where(there, steps if reverse else -steps, 0).astype(np.float64)
    back = np.where(there, back - back.sum(0) / count, 0)
    squares = (back**2).sum()
    return float(np.exp((back * logs).sum() / squares)) if squares > 0 else float("nan")


def _check_norms(norms: Any, lengths: Any) -> None:
    _check_table("norms", "time, series", norms)
    time, series = norms.shape
    fits = isinstance(lengths, ndarray) and lengths.dtype.kind in "iu" and lengths.shape == (series,)
    if not fits or lengths.min() < 1 or lengths.max() > time:
        raise DataError(f"lengths needs an array of 1 to {time} steps for each of {series} series, got {lengths!r}")


def _check_table(name: str, axes: str, values: Any) -> None:
    if not isinstance(values, ndarray) or values.dtype.kind != "f" or values.ndim != 2 or not values.size:
        got = f"one of {values.dtype}, {values.shape}" if isinstance(values, ndarray) else f"{type(values).__name__}"
        raise DataError(f"{name} needs an array of floats ({axes}), got {got}")


def _means(logs: ndarray, counts: ndarray) -> Float64[ndarray, "draw lag"]:
    """Of each draw, a count per series, the mean over the series that are there; NaN where none is."""
    there = ~np.isnan(logs)
    weights = counts.astype(np.float64)
    total = weights @ there.T
    finite = np.where(np.isfinite(logs), logs, 0)
    ends = {sign: weights @ (logs == sign * np.inf).T > 0 for sign in (-1, 1)}
    with np.errstate(invalid="ignore", divide="ignore"):
        means: ndarray = weights @ finite.T / total
    means[ends[-1]] = -np.inf
    means[ends[1]] = np.inf
    return means


def first_crossings(
    curves: Float[ndarray, "*shape lag"], lags: Int[ndarray, "*#shape lag"], level: float
) -> Float64[ndarray, "*shape"]:
    """The first lag at which each curve, relative to lag 0 in logarithms, is down to a level; ``inf`` without one.

    Between two lags by the logarithm.
    """
    below = curves <= level  # never true of NaN
    after = below.argmax(-1)[..., None]
    before = np.maximum(after - 1, 0)
    (high, low), (near, far) = (
        [np.take_along_axis(values, at, -1)[..., 0] for at in (before, after)]
        for values in (curves, np.broadcast_to(lags, curves.shape))
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # of curves that never get there
        part = np.where(np.isfinite(low), (high - level) / (high - low), 1)
        found: ndarray = np.where(below.any(-1), near + part * (far - near), np.inf)
    return found
