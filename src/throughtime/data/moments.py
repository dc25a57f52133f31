"""Weighted means and deviations of columns that miss values."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

#: Values up to here have squares that float64 holds, many of them added up.
_LARGEST = 1e120


def weighted_moments(
    x: Float[ndarray, "row column"], weights: Float[ndarray, "row"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """Mean and standard deviation of each column in float64, NaN left out; a deviation of zero becomes one."""
    x = x.astype(np.float64)
    moments = _plain_moments(x) if (weights == 1).all() else None
    return _general_moments(x, weights) if moments is None else moments


def _plain_moments(
    x: Float[ndarray, "row column"],
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]] | None:
    """The moments of rows of weight 1, bit for bit those of `_general_moments` in fewer passes; ``None``: ask that.

    No value may be missing, no column be constant, and none out of the range in which squares are numbers.
    """
    if not len(x) or not max(x.max(), -x.min()) <= _LARGEST:  # nor of NaN
        return None
    mean = x.sum(0) / len(x)
    centered = x - mean
    np.square(centered, out=centered)
    deviation = np.sqrt(centered.sum(0) / len(x))
    # A column of tiny values would have a tiny deviation; what rounding leaves of a constant one is no variation.
    if not (deviation > np.maximum(1e-100, 1e-12 * np.abs(mean))).all():
        return None
    return mean, deviation


def _general_moments(
    x: Float[ndarray, "row column"], weights: Float[ndarray, "row"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """`weighted_moments`, ``x`` overwritten."""
    missing = np.isnan(x)
    w = np.where(missing, 0.0, weights[:, None])
    x[missing] = 0
    unit = _units(x)
    if unit is not None:
        x /= unit
    total = w.sum(0)
    total[total == 0] = 1.0
    mean = (w * x).sum(0) / total
    centered = x - mean
    deviation = np.sqrt((w * centered * centered).sum(0) / total)
    # What rounding leaves of a constant column is no variation.
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    if unit is not None:
        mean, deviation = mean * unit, deviation * unit
    deviation[constant] = 1.0
    return mean, deviation


def _units(x: Float[ndarray, "row column"]) -> Float[ndarray, "column"] | None:
    """What to divide columns by whose squares would leave float64's range: powers of two, so no bit is lost."""
    largest = np.maximum(x.max(0, initial=0), -x.min(0, initial=0))
    extreme = (largest > 0) & ((largest > _LARGEST) | (largest < 1 / _LARGEST))
    if not extreme.any():
        return None
    units: ndarray = np.where(extreme, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
    return units
