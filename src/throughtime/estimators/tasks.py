"""What an estimator predicts: the one object that knows a classifier from a regressor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from numpy import ndarray
from sklearn.metrics import accuracy_score, r2_score

from throughtime.estimators.codings import ClassNumbers, Coding, Standardized
from throughtime.estimators.targets import Targets, classes_of, refuse_unscorable, transform
from throughtime.training import Loss


class Task(ABC):
    """Loss, coding of targets and score of an estimator; it holds nothing, what is learned is a `Coding`.

    Attributes
    ----------
    name
        ``classification`` or ``regression``.
    kind
        What an estimator of it is called in a saved file.
    loss
        What is trained on.
    score_name
        What `score` is called.
    """

    name: Literal["classification", "regression"]
    kind: Literal["classifier", "regressor"]
    loss: Loss
    score_name: str

    @abstractmethod
    def read(self, targets: Targets, parameters: Mapping[str, Any]) -> Coding:
        """Check a member's targets and begin a coding of them, which ``fitted`` completes on the training series.

        Raises
        ------
        DataError
            For targets that cannot be learned.
        """

    @abstractmethod
    def coding_of(self, estimator: Any) -> Coding:
        """What a fitted estimator learned of its targets."""

    @abstractmethod
    def score(self, truth: ndarray, predicted: ndarray, weights: ndarray | None = None) -> float:
        """How good predictions are, higher is better."""


class Classification(Task):
    """One class per series, or per step."""

    name = "classification"
    kind = "classifier"
    loss = "cross_entropy"
    score_name = "accuracy"

    def read(self, targets: Targets, parameters: Mapping[str, Any]) -> Coding:
        """Find the classes."""
        return ClassNumbers(classes_of(targets), parameters["class_weight"])

    def coding_of(self, estimator: Any) -> Coding:
        """Its classes."""
        return ClassNumbers(estimator.classes_)

    def score(self, truth: ndarray, predicted: ndarray, weights: ndarray | None = None) -> float:
        """Accuracy."""
        if weights is None and len(truth) and _plain_labels(truth) and _plain_labels(predicted):
            # scikit-learn's looks at what kind of labels these are, which takes as long as to train a small fold
            return float((truth == predicted).mean())
        return float(accuracy_score(truth, predicted, sample_weight=weights))


class Regression(Task):
    """One number per series, or per step."""

    name = "regression"
    kind = "regressor"
    loss = "squared_error"
    score_name = "R2"

    def read(self, targets: Targets, parameters: Mapping[str, Any]) -> Coding:
        """Refuse what has no square or transform; what is only evaluated may lie outside of the transform's domain."""
        refuse_unscorable(targets.values)
        transform(parameters["target_transform"], targets.values)
        return Standardized(parameters["target_transform"])

    def coding_of(self, estimator: Any) -> Coding:
        """Its target's mean and scale."""
        return Standardized(estimator.target_transform, estimator.target_mean_, estimator.target_scale_)

    def score(self, truth: ndarray, predicted: ndarray, weights: ndarray | None = None) -> float:
        """R squared."""
        return float(r2_score(truth, predicted, sample_weight=weights))


CLASSIFICATION, REGRESSION = Classification(), Regression()


def _plain_labels(labels: ndarray) -> bool:
    """Whether these are whole numbers, one per series or step."""
    return labels.ndim == 1 and labels.dtype.kind in "biu"
