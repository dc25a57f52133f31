"""``SequenceClassifier``: a recurrent network that predicts the class of a series, or of every step."""

from typing import Any, Unpack

from jaxtyping import Float
from numpy import ndarray
from sklearn.base import ClassifierMixin

from throughtime.data import Sequences
from throughtime.estimators.base import SequenceEstimator, takes
from throughtime.estimators.tasks import CLASSIFICATION
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

    task = CLASSIFICATION
    classes_: ndarray

    def __init__(self, **parameters: Unpack[ClassifierArguments]) -> None:
        self._set(dict(parameters))

    def predict_proba(self, X: Any) -> Float[ndarray, "series class"] | Sequences:
        """Probability of each class, a row per series; or ``Sequences`` with a channel a class."""
        probabilities: ndarray | Sequences = self.probabilities(*self._outputs(X))
        return probabilities

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, over the observed steps after the burn-in when every step has a target."""
        return self._score(X, y, sample_weight)
