"""Intervals for the mean score of resampled splits, whose training sets overlap.

Reference: Nadeau & Bengio (2003), Inference for the generalization error, Machine Learning 52, 239-281,
https://doi.org/10.1023/A:1024068626366, section 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from throughtime.errors import ParameterError


@dataclass(frozen=True)
class Interval:
    """A mean score and the interval around it.

    ``mean`` is NaN when no split has a score; ``low`` and ``high`` are ``None`` when the splits are too few for an
    interval.  ``method`` says in words what the interval is, or why there is none.
    """

    mean: float
    low: float | None
    high: float | None
    level: float
    method: str


def corrected_interval(scores: ArrayLike, n_train: ArrayLike, n_test: ArrayLike, level: float = 0.95) -> Interval:
    """Give the corrected resampled t interval of a mean over splits.

    With J scores of variance s^2 the squared standard error is s^2 (1/J + n_test/n_train), with J - 1 degrees of
    freedom: the second term stands for the training sets having most of their data in common.  Splits of different
    sizes enter by their mean n_test/n_train.

    Parameters
    ----------
    scores
        One a split; a split without a finite score is left out, and ``method`` counts it.
    n_train, n_test
        Series (groups, when they are the unit) on either side: one number, or one a split.
    level
        Coverage asked for, between 0 and 1.

    Raises
    ------
    ParameterError
        If the sizes do not fit the scores, are not positive, or the level is outside (0, 1).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ParameterError(f"scores needs one number a split, got an array of shape {values.shape}")
    if not 0 < level < 1:
        raise ParameterError(f"level needs a number between 0 and 1, got {level}")
    ratios = _per_split(n_test, "n_test", len(values)) / _per_split(n_train, "n_train", len(values))
    scored = np.isfinite(values)
    n_scored = int(scored.sum())
    left_out = f"{len(values) - n_scored} of {len(values)} folds left out, without a score"
    if n_scored < 2:
        reason = "a single fold has no spread" if len(values) == 1 else left_out
        mean = float(values[scored][0]) if n_scored else float("nan")
        return Interval(mean, None, None, level, f"no interval: {reason}")
    values, ratios = values[scored], ratios[scored]
    mean = float(values.mean())
    error = float(np.sqrt(values.var(ddof=1) * (1 / n_scored + ratios.mean())))
    half = float(stats.t.ppf((1 + level) / 2, n_scored - 1)) * error
    method = f"{100 * level:g} % corrected resampled t (Nadeau & Bengio 2003), {n_scored} folds"
    if n_scored < len(scored):
        method += f" ({left_out})"
    return Interval(mean, mean - half, mean + half, level, method)


def _per_split(sizes: ArrayLike, what: str, n_splits: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(sizes, dtype=np.float64)
    if array.shape not in ((), (n_splits,)):
        raise ParameterError(f"{what} needs one number, or one for each of the {n_splits} scores, got {array.shape}")
    if not (array > 0).all():
        raise ParameterError(f"{what} needs at least 1 on that side of every split, got {array.min():g}")
    return np.broadcast_to(array, (n_splits,))
