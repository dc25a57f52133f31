"""What each series costs: its log loss, or squared error, by networks that did not train on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import log_softmax

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator, predict_members, targets_of
from throughtime.shift.arguments import codes_of_labels


def series_losses(estimator: SequenceEstimator, X: Sequences, y: Any, outputs: ndarray) -> Float[ndarray, "series"]:
    """Log loss in nats, or squared error, of each series; with targets per step the mean over the observed ones.

    Parameters
    ----------
    outputs
        Of ``estimator`` for X, as `predict_members` gives them.

    Raises
    ------
    DataError
        For a class that the estimator does not know, or a series without an observed target.
    """
    targets = targets_of(y, X, estimator.burn_in if estimator.by_step_ else 0, estimator.horizon_)
    if estimator.horizon_:
        targets = targets.after(estimator.horizon_)
    seen = ~np.isnan(targets.values) if targets.by_step else np.ones(len(X), bool)
    if estimator.task.name == "classification":
        codes = class_codes(estimator, targets.values[seen])
        losses = -log_softmax(outputs[seen].astype(np.float64), axis=1)[np.arange(len(codes)), codes]
    else:
        predicted = estimator.task.coding_of(estimator).decode(outputs)[seen]
        losses = np.square(targets.values[seen].astype(np.float64) - predicted)
    if targets.lengths is None:
        return np.asarray(losses)
    series = np.repeat(np.arange(len(X)), targets.lengths)[seen]
    counts = np.bincount(series, minlength=len(X))
    if not counts.all():
        raise DataError(f"a loss needs an observed target in each series, got none in series {int(counts.argmin())}")
    return np.bincount(series, losses, minlength=len(X)) / counts


def class_codes(estimator: Any, labels: ndarray) -> Int[ndarray, "label"]:
    """Numbers of classes.

    Raises
    ------
    DataError
        For a class that the estimator does not know.
    """
    return codes_of_labels(labels, estimator.classes_, "the model knows")


def losses_by_members(
    members: Sequence[SequenceEstimator], X: Sequences, y: Any, folds: Sequence[Int[ndarray, "_"]]
) -> Float[ndarray, "series"]:
    """The loss of each series by the member in whose fold it is; NaN outside of all folds."""
    found = np.full(len(X), np.nan)
    for member, fold, outputs in zip(members, folds, predict_members(members, X, folds), strict=True):
        found[fold] = series_losses(member, X[fold], y[fold], outputs)
    return found
