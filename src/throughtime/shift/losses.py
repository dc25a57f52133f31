"""What each series costs: its log loss, or squared error, by networks that did not train on it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import log_softmax

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator, predict_members, targets_of
from throughtime.shift.arguments import codes_of_labels


class Observed(NamedTuple):
    """The targets that count, one per series or several.

    Attributes
    ----------
    row
        The row of a network's outputs that each is about.
    series
        Whose it is, increasing.
    values
        As given.
    """

    row: Int[ndarray, "target"]
    series: Int[ndarray, "target"]
    values: ndarray

    def mean_of_each_series(self, losses: Float[ndarray, "target"]) -> Float[ndarray, "series"]:
        """Each series counts once, however many steps it has."""
        return np.asarray(np.bincount(self.series, losses) / np.bincount(self.series))


def observed_targets(estimator: SequenceEstimator, X: Sequences, y: Any) -> Observed:
    """Of each series its target; of targets per step those that are not NaN after the burn-in.

    Raises
    ------
    DataError
        For a series without an observed target.
    """
    targets = targets_of(y, X, estimator.burn_in if estimator.by_step_ else 0, estimator.horizon_)
    if estimator.horizon_:
        targets = targets.after(estimator.horizon_)
    if targets.lengths is None:
        return Observed(np.arange(len(X)), np.arange(len(X)), targets.values)
    row = np.flatnonzero(~np.isnan(targets.values))
    series = np.repeat(np.arange(len(X)), targets.lengths)[row]
    counts = np.bincount(series, minlength=len(X))
    if not counts.all():
        raise DataError(f"a loss needs an observed target in each series, got none in series {int(counts.argmin())}")
    return Observed(row, series, targets.values[row])


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
    targets = observed_targets(estimator, X, y)
    if estimator.task.name == "classification":
        codes = class_codes(estimator, targets.values)
        losses = -log_softmax(outputs[targets.row].astype(np.float64), axis=1)[np.arange(len(codes)), codes]
    else:
        predicted = estimator.task.coding_of(estimator).decode(outputs)[targets.row]
        losses = np.square(targets.values.astype(np.float64) - predicted)
    return targets.mean_of_each_series(losses)


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
