"""Truth beside predictions, flat: one per series, or one per observed step."""

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.pipeline import Pipeline

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import targets_of


def pair_up(y_true: Any, y_pred: Any, unscored: int = 0) -> tuple[ndarray, ndarray, ndarray | None]:
    """Take targets and what was predicted for them, in the form the estimators take and give them.

    Parameters
    ----------
    y_true
        One per series, or one per step, where NaN is unobserved.
    y_pred
        One per series, or a row of probabilities per series; or ``Sequences`` with those of every step.
    unscored
        First steps of each series that do not count. Those of ``y_pred`` that are NaN, which a forecast begins with, do
        not either.

    Returns
    -------
    Truth, predictions, and, of steps, the rows of ``y_pred.values`` that count.

    Raises
    ------
    DataError
        For truth and predictions of other forms or lengths, or without a step that has both.
    """
    if not isinstance(y_pred, Sequences):
        if isinstance(y_true, Sequences):
            raise DataError("y_pred needs one value per step, as y_true has it: the Sequences that predict gives")
        truth, predicted = np.asarray(y_true), np.asarray(y_pred)
        if truth.shape[:1] != predicted.shape[:1]:
            raise DataError(f"y_pred needs one row per target ({len(truth)}), got {len(predicted)}")
        return truth, predicted, None
    targets = targets_of(y_true, y_pred, unscored)
    rows = np.flatnonzero(~np.isnan(targets.values) & _predicted(y_pred))
    if not len(rows):
        raise DataError("y_pred needs a prediction at a step with an observed target, got NaN at all of them")
    predicted = y_pred.values[rows]
    return targets.values[rows], predicted[:, 0] if y_pred.n_channels == 1 else predicted, rows


def unscored_steps(estimator: Any) -> int:
    """First steps that ``score`` leaves out: horizon and burn-in of an estimator, whatever it is wrapped in."""
    while isinstance(estimator, Pipeline) or hasattr(estimator, "best_estimator_"):
        estimator = estimator[-1] if isinstance(estimator, Pipeline) else estimator.best_estimator_
    return int(getattr(estimator, "burn_in", 0)) + int(getattr(estimator, "horizon", 0))


def _predicted(y_pred: Sequences) -> ndarray:
    """The steps from the first of each series that has a prediction on."""
    there = ~np.isnan(y_pred.values).any(1)
    rows = np.arange(y_pred.n_steps)
    starts = np.repeat(y_pred.offsets[:-1], y_pred.lengths)
    last = np.maximum.accumulate(np.where(there, rows, -1))
    begun: ndarray = last >= starts
    return begun
