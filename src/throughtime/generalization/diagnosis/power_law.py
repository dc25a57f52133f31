"""The power law of a learning curve, ``floor + scale n^-exponent``.

Reference: Cortes, Jackel, Solla, Vapnik & Denker (1993), Learning curves: asymptotic values and rate of convergence,
NeurIPS 6, 327-334.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar, nnls

#: Exponents looked for: below, a curve is a straight line; above, one size tells nothing of the next.
_EXPONENTS = 0.05, 4.0


class PowerLaw(NamedTuple):
    """``floor + scale n^-exponent``; NaN where none was fitted."""

    floor: float
    scale: float
    exponent: float


def fit_power_law(sizes: ArrayLike, losses: ArrayLike, errors: ArrayLike) -> PowerLaw:
    """Fit floor, scale and exponent by weighted least squares, the floor and the scale at least 0.

    Parameters
    ----------
    sizes, losses, errors
        Training series, mean loss and its standard error, of three or more sizes.

    Returns
    -------
    NaN three times where there are fewer sizes, or the losses do not fall.
    """
    n, loss, error = (np.asarray(part, dtype=np.float64) for part in (sizes, losses, errors))
    if len(n) < 3 or not loss[n.argmax()] < loss[n.argmin()]:
        return PowerLaw(np.nan, np.nan, np.nan)
    weights = 1 / np.maximum(error, error.max() * 1e-3 + np.finfo(float).tiny)

    def solved(exponent: float) -> tuple[ndarray, float]:
        columns = np.column_stack([np.ones(len(n)), (n / n.max()) ** -exponent])
        found, residual = nnls(weights[:, None] * columns, weights * loss)
        return found, residual

    grid = np.linspace(*_EXPONENTS, 80)
    at = int(np.argmin([solved(c)[1] for c in grid]))
    around = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    best = minimize_scalar(lambda c: solved(c)[1], bounds=around, method="bounded", options={"xatol": 1e-6})
    exponent = float(best.x)
    (floor, scale), _ = solved(exponent)
    return PowerLaw(float(floor), float(scale * n.max() ** exponent), exponent)
