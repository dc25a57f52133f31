"""Gains with an interval for all of them at once, from paired losses of the same out-of-fold examples.

The standard error is that of one repeat, pooled over repeats: folds drawn again and other seeds move a gain less than
other examples would, and averaging over them would make it look too certain.

References: Dietterich (1998), Neural Computation 10, 1895-1923 (paired resampled differences and what is wrong with
their t); Westfall & Young (1993), Resampling-Based Multiple Testing, section 2 (max-t).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import stats

#: Draws of the largest of many correlated t values.
_DRAWS = 20_000


@dataclass(frozen=True)
class Units:
    """What an interval takes for independent: the series, or whole groups of them.

    Parameters
    ----------
    number
        The unit of each series.
    weights
        Of each series.
    """

    number: Int[ndarray, "series"]
    weights: Float[ndarray, "series"]

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.number.max()) + 1


@dataclass(frozen=True)
class Gain:
    """A weighted mean of differences, its standard error, and what each unit of each repeat adds to it."""

    value: float
    error: float
    influence: Float[ndarray, "repeat unit"]


def pooled_gain(differences: Float[ndarray, "repeat series"], units: Units) -> Gain:
    """Give the weighted mean over series and repeats, and its error from units and repeats pooled.

    With equal weights the error is the deviation of all (unit, repeat) differences over the root of the number of
    units.  Series that are NaN in a repeat are left out of it.

    Parameters
    ----------
    differences
        Loss of the base less that of the probe.
    units
        What is independent.
    """
    seen = np.isfinite(differences)
    weights = np.where(seen, units.weights, 0.0)
    values = np.where(seen, differences, 0.0)
    total = weights.sum(1)
    value = float((weights * values).sum() / total.sum())
    deviations = weights * (values - value) / total[:, None]
    influence = np.stack([np.bincount(units.number, row, units.count) for row in deviations])
    counted = np.stack([np.bincount(units.number, row, units.count) > 0 for row in weights])
    n = counted.sum(1).mean()
    error = float(np.sqrt((influence**2).sum() / len(influence) * n / max(n - 1, 1)))
    return Gain(value, error, influence)


def max_t(gains: Sequence[Gain], level: float, n_units: int) -> float:
    """The t value that the largest of several correlated ones stays below with a probability of ``level``.

    Parameters
    ----------
    gains
        All that are looked at; those without an error do not count.
    level
        Simultaneous coverage.
    n_units
        Its degrees of freedom, plus one.
    """
    counted = [gain for gain in gains if gain.error > 0]
    df = max(n_units - 1, 1)
    if not counted:
        return float(stats.t.ppf((1 + level) / 2, df))
    covariance = np.empty((len(counted),) * 2)
    for i, one in enumerate(counted):
        for j, other in enumerate(counted):
            repeats = min(len(one.influence), len(other.influence))
            covariance[i, j] = (one.influence[:repeats] * other.influence[:repeats]).sum() / repeats
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    # Of different numbers of repeats it need not be positive: what is negative is left out.
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(values.clip(min=0))
    root /= np.sqrt((root**2).sum(1, keepdims=True))
    random = np.random.default_rng(0)
    normal = random.standard_normal((_DRAWS, len(counted))) @ root.T
    scale = np.sqrt(random.chisquare(df, _DRAWS) / df)
    return float(np.quantile(np.abs(normal).max(1) / scale, level))
