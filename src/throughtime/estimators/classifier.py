"""``SequenceClassifier``: a recurrent network that tells the class of a series, or of every step."""

from typing import Any, Unpack

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from throughtime.data import Sequences
from throughtime.estimators.base import SequenceEstimator, takes
from throughtime.estimators.targets import observed_pairs, steps_like
from throughtime.parameters import ClassifierArguments


@takes(ClassifierArguments)
class SequenceClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """A recurrent classifier, trained by cross-entropy.

    Attributes
    ----------
    classes_
        The classes, sorted; the columns of ``predict_proba``.

    Examples
    --------
    >>> from throughtime import SequenceClassifier, load
    >>> X, y = load("japanese-vowels", split="train")
    >>> SequenceClassifier(hidden_size=16, max_epochs=2, random_state=0).fit(X, y).predict(X[:2]).shape
    (2,)
    """

    classes_: ndarray

    def __init__(self, **parameters: Unpack[ClassifierArguments]) -> None:
        self._set(dict(parameters))

    def predictions(self, X: Sequences, outputs: ndarray) -> Any:
        """The likeliest class of each series, or of each step."""
        classes = self.classes_[outputs.argmax(1)]
        return steps_like(X, classes[:, None]) if self.by_step_ else classes

    def probabilities(self, X: Sequences, outputs: ndarray) -> Any:
        """Turn the network's outputs on X into what ``predict_proba`` gives."""
        shares = softmax(outputs.astype(np.float64), 1)
        return steps_like(X, shares) if self.by_step_ else shares

    def predict_proba(self, X: Any) -> Float[ndarray, "series class"] | Sequences:
        """Probability of each class, a row per series; or ``Sequences`` with a channel a class."""
        found: ndarray | Sequences = self.probabilities(*self._outputs(X))
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, over the observed steps after the warm-up when every step has a target."""
        truth, found, weights = observed_pairs(self, X, y, self.predict(X), sample_weight)
        return float(accuracy_score(truth, found, sample_weight=weights))
