"""Smooth random curves: cubic splines through normal numbers at evenly spaced knots, as Um et al. (2017) draw them."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.interpolate import CubicSpline

#: Ends among them; Um et al. (2017) have four between the ends.
KNOTS = 6
_BASIS = CubicSpline(np.linspace(0, 1, KNOTS), np.eye(KNOTS))


def smooth_curves(
    lengths: Int[ndarray, "batch"], columns: int, generator: np.random.Generator
) -> Float[ndarray, "time batch column"]:
    """One curve per series and column, over the whole of the series; at each knot its value is standard normal."""
    knots = generator.standard_normal((KNOTS, len(lengths), columns))
    steps = np.arange(int(lengths.max()))[:, None]
    places = np.minimum(steps / np.maximum(lengths - 1, 1), 1.0)
    curves: ndarray = np.einsum("tbk,kbc->tbc", _BASIS(places), knots)
    return curves
