"""Weighted means and deviations of columns that miss values."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def weighted_moments(
    x: Float[ndarray, "row column"], weights: Float[ndarray, "row"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """Mean and standard deviation of each column in float64, NaN left out; a deviation of zero becomes one."""
    x = x.astype(np.float64)
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
    extreme = (largest > 0) & ((largest > 1e120) | (largest < 1e-120))
    if not extreme.any():
        return None
    units: ndarray = np.where(extreme, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
    return units
