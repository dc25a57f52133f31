"""Truth beside predictions, flat: one a series, or one an observed step."""

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.pipeline import Pipeline

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators.targets import targets_of


def pairs(y_true: Any, y_pred: Any, warmup: int = 0) -> tuple[ndarray, ndarray, ndarray | None]:
    """Take targets and what was predicted for them, in the form the estimators take and give them.

    Parameters
    ----------
    y_true
        One a series, or one a step, where NaN is unobserved.
    y_pred
        One a series, or a row of probabilities a series; or ``Sequences`` with those of every step.
    warmup
        First steps of each series that do not count.

    Returns
    -------
    Truth, predictions, and, of steps, the rows of ``y_pred.values`` that count.
    """
    if not isinstance(y_pred, Sequences):
        if isinstance(y_true, Sequences):
            raise DataError("y_pred needs one value a step, as y_true has it: the Sequences that predict gives")
        truth, predicted = np.asarray(y_true), np.asarray(y_pred)
        if truth.shape[:1] != predicted.shape[:1]:
            raise DataError(f"y_pred needs one row a target ({len(truth)}), got {len(predicted)}")
        return truth, predicted, None
    targets = targets_of(y_true, y_pred, warmup)
    rows = np.flatnonzero(~np.isnan(targets.values))
    predicted = y_pred.values[rows]
    return targets.values[rows], predicted[:, 0] if y_pred.n_channels == 1 else predicted, rows


def warmup_of(estimator: Any) -> int:
    """First steps that count for nothing, of an estimator or the last step of a pipeline."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return int(getattr(last, "warmup", 0))
