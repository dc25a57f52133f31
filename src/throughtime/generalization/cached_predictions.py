"""Predictions already made, in the shape a scikit-learn scorer asks for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.estimators import SequenceEstimator, targets_of


class CachedPredictions:
    """What a model predicted for some series, and the truth; a scorer takes it for the model.

    Parameters
    ----------
    model
        Whose kind and classes a scorer sees.
    truth, predicted
        One per series; or flat, one per observed step after the burn-in.
    probabilities, classes
        ``(example, class)``, of a classifier; ``classes`` are those of the columns.
    steps
        Where the observed steps are: their series and their step within it; ``None`` with one prediction per series.
    """

    def __init__(
        self,
        model: SequenceEstimator,
        truth: ndarray,
        predicted: ndarray,
        probabilities: ndarray | None = None,
        classes: ndarray | None = None,
        steps: tuple[ndarray, ndarray] | None = None,
    ) -> None:
        self.model, self.truth, self.predicted, self.probabilities = model, truth, predicted, probabilities
        self.steps = steps
        if classes is not None:
            self.classes_ = classes

    def predict(self, X: Any) -> ndarray:
        """The predictions that were made."""
        self._check(X)
        return self.predicted

    def predict_proba(self, X: Any) -> ndarray:
        """The probabilities that were made."""
        if self.probabilities is None:
            raise AttributeError(f"{type(self.model).__name__} has no predict_proba")
        self._check(X)
        return self.probabilities

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, or R squared."""
        self._check(X)
        return self.model.task.score(y, self.predicted, sample_weight)

    def _check(self, X: Any) -> None:
        if X is not self:
            raise ValueError("predictions are for the series they were made on")

    def __sklearn_tags__(self) -> Any:
        return self.model.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True


def predictions_of(estimator: SequenceEstimator, X: Sequences, y: Any, outputs: ndarray) -> CachedPredictions:
    """The predictions that a network's outputs on X stand for."""
    predicted, probabilities = estimator.predictions(X, outputs), estimator.probabilities(X, outputs)
    return predictions_from(estimator, X, y, predicted, probabilities, getattr(estimator, "classes_", None))


def predictions_from(
    model: SequenceEstimator,
    X: Sequences,
    y: Any,
    predicted: Any,
    probabilities: Any = None,
    classes: ndarray | None = None,
) -> CachedPredictions:
    """Predictions on X of any model, one per series or one per step as ``model`` makes them."""
    targets = targets_of(y, X, model.burn_in, model.horizon)
    if not targets.by_step:
        return CachedPredictions(model, targets.values, np.asarray(predicted), probabilities, classes)
    seen = ~np.isnan(targets.values)
    probabilities = None if probabilities is None else probabilities.values[seen]
    series = np.repeat(np.arange(len(X)), X.lengths)
    steps = series[seen], (np.arange(X.n_steps) - X.offsets[series])[seen]
    return CachedPredictions(model, targets.values[seen], predicted.values[seen, 0], probabilities, classes, steps)


def concatenate_predictions(parts: Sequence[CachedPredictions]) -> CachedPredictions:
    """The predictions of several folds as one; probabilities only if all folds know the same classes."""
    model = parts[0].model
    truth, predicted = (np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "predicted"))
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    if len(probabilities) < len(parts) or any(not np.array_equal(part.classes_, parts[0].classes_) for part in parts):
        return CachedPredictions(model, truth, predicted)
    return CachedPredictions(model, truth, predicted, np.concatenate(probabilities), parts[0].classes_)


def select_targets(y: Any, indices: ndarray) -> Any:
    """The targets of some series."""
    if isinstance(y, list | tuple):
        return [y[i] for i in indices]
    return y[indices] if isinstance(y, Sequences) else np.asarray(y)[indices]


def observed_targets(y: Any) -> ndarray:
    """Every target there is, flat."""
    if not isinstance(y, Sequences):
        return np.asarray(y)
    values: ndarray = y.values[:, 0]
    seen: ndarray = values[~np.isnan(values)]
    return seen
