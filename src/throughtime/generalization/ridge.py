"""Exact leave-one-out of a ridge output layer on frozen features, from a single fit.

Reference: Golub, Heath & Wahba (1979), Generalized cross-validation as a method for choosing a good ridge parameter,
Technometrics 21, 215-223, https://doi.org/10.1080/00401706.1979.10489751: the residual left out is r_i/(1 - h_ii).
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.errors import DataError, ParameterError


def ridge_leave_one_out(
    features: Float[ndarray, "series feature"], y: Float[ndarray, "series"], alpha: float
) -> Float[ndarray, "series"]:
    """Predict each series by the ridge regression on all others.

    The objective is that of ``sklearn.linear_model.Ridge(alpha)``: the sum of squares and ``alpha`` times that of the
    coefficients, the intercept free. The features must not have learned from y, or from these series at all, or what
    is left out is in them.

    Parameters
    ----------
    features
        Such as the final states of a network trained on other series.
    alpha
        Penalty, at least 0.

    Raises
    ------
    ParameterError
        For a negative penalty.
    DataError
        If a series cannot be left out: with ``alpha=0``, one that alone determines a coefficient.
    """
    features, y = np.asarray(features, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not 0 <= alpha < np.inf:
        raise ParameterError(f"alpha needs a finite number of at least 0, got {alpha!r}")
    n = len(y)
    if features.ndim != 2 or len(features) != n or n < 2:
        raise DataError(f"features needs a row for each of {n} series, 2 at the least, got shape {features.shape}")
    left, singular, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    present = singular > singular.max(initial=0) * max(features.shape) * np.finfo(np.float64).eps
    left, singular = left[:, present], singular[present]
    shrink = singular**2 / (singular**2 + alpha)
    # 1/n is the intercept's part
    leverage = 1 / n + (left**2 * shrink).sum(1)
    residual = y - y.mean() - left @ (shrink * (left.T @ (y - y.mean())))
    if (leverage > 1 - 1e-10).any():
        raise DataError(
            f"leave-one-out needs every series to be one of several that determine the fit, series "
            f"{int(leverage.argmax())} alone determines a coefficient; alpha above 0 helps, got {alpha}"
        )
    predicted: ndarray = y - residual / (1 - leverage)
    return predicted
