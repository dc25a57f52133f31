"""How targets become numbers that a loss takes, and a network's outputs predictions again."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from scipy.special import softmax
from sklearn.utils.class_weight import compute_class_weight

from throughtime.data import weighted_moments
from throughtime.errors import ParameterError
from throughtime.estimators.targets import Targets, encode, transform, untransform


class Coding(ABC):
    """What a member learned of its targets."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Outputs that the network needs."""

    @property
    @abstractmethod
    def learned(self) -> dict[str, Any]:
        """What was learned, as attributes of a fitted estimator."""

    @abstractmethod
    def fitted(self, targets: Targets, weights: Float[ndarray, "series"]) -> Self:
        """Learn what only the series that are trained on, without an inner validation split, may tell."""

    def strata(self, targets: Targets) -> ndarray | None:  # noqa: ARG002
        """What an inner split is stratified by, one value per series; ``None`` for nothing."""
        return None

    @abstractmethod
    def encode(self, targets: Targets, weights: Float[ndarray, "series"]) -> tuple[ndarray, ndarray]:
        """Targets as the loss takes them, and the weight of each series in it."""

    @abstractmethod
    def decode(self, outputs: Float[ndarray, "row output"]) -> Shaped[ndarray, "row"]:
        """The prediction that each row of outputs stands for."""

    def probabilities(self, outputs: Float[ndarray, "row output"]) -> Float[ndarray, "row class"] | None:  # noqa: ARG002
        """The probability of each class, in float64; ``None`` where there are no classes."""
        return None


@dataclass(frozen=True)
class ClassNumbers(Coding):
    """Classes as numbers, an output for each.

    Parameters
    ----------
    classes
        Sorted.
    class_weight
        The estimator's parameter.
    class_weights
        What it comes to on the training series.
    """

    classes: ndarray
    class_weight: Any = None
    class_weights: Float[ndarray, "class"] | None = None

    @property
    def n_outputs(self) -> int:
        """One per class."""
        return len(self.classes)

    @property
    def learned(self) -> dict[str, Any]:
        """The classes."""
        return {"classes_": self.classes}

    def fitted(self, targets: Targets, weights: Float[ndarray, "series"]) -> Self:  # noqa: ARG002
        """Work out the weight of each class.

        Raises
        ------
        ParameterError
            For weights that are no weights, of no class, or of the classes of steps.
        """
        return replace(self, class_weights=_class_weights(self.class_weight, self.classes, targets))

    def strata(self, targets: Targets) -> ndarray | None:
        """The class of each series; steps are not stratified."""
        return None if targets.by_step else targets.values

    def encode(self, targets: Targets, weights: Float[ndarray, "series"]) -> tuple[ndarray, ndarray]:
        """Class numbers, -1 for what is unobserved or not among the classes."""
        numbers = encode(targets, self.classes)
        return numbers, weights if self.class_weights is None else weights * self.class_weights[numbers]

    def decode(self, outputs: Float[ndarray, "row output"]) -> Shaped[ndarray, "row"]:
        """The likeliest class of each."""
        likeliest: ndarray = self.classes[outputs.argmax(1)]
        return likeliest

    def probabilities(self, outputs: Float[ndarray, "row output"]) -> Float[ndarray, "row class"]:
        """The softmax, in float64."""
        return np.asarray(softmax(outputs.astype(np.float64), 1))


@dataclass(frozen=True)
class Standardized(Coding):
    """Values transformed, and standardized by the weighted mean and deviation of the training series."""

    target_transform: str
    mean: float = 0.0
    scale: float = 1.0

    @property
    def n_outputs(self) -> int:
        """One."""
        return 1

    @property
    def learned(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"target_mean_": self.mean, "target_scale_": self.scale}

    def fitted(self, targets: Targets, weights: Float[ndarray, "series"]) -> Self:
        """Take mean and deviation of the transformed values, a step's weight that of its series."""
        values = transform(self.target_transform, targets.values)
        by_value = weights if targets.lengths is None else np.repeat(weights, targets.lengths)
        (mean,), (deviation,) = weighted_moments(values[:, None], by_value)
        return replace(self, mean=float(mean), scale=float(deviation))

    def encode(self, targets: Targets, weights: Float[ndarray, "series"]) -> tuple[ndarray, ndarray]:
        """Values on the learned scale; NaN for what is unobserved or outside of the transform's domain."""
        values = transform(self.target_transform, targets.values, refuse=False)
        return (values - self.mean) / self.scale, weights

    def decode(self, outputs: Float[ndarray, "row output"]) -> Shaped[ndarray, "row"]:
        """Values on the target's own scale, in float64."""
        return untransform(self.target_transform, outputs[:, 0].astype(np.float64) * self.scale + self.mean)


def _class_weights(option: Any, classes: ndarray, targets: Targets) -> ndarray | None:
    if option is None:
        return None
    if targets.by_step:
        raise ParameterError("class_weight needs one class per series, got one per step")
    weights = np.ones(len(classes))
    if option == "balanced":
        # an inner split by groups may leave a class without training series
        present = np.isin(classes, targets.values)
        weights[present] = compute_class_weight(option, classes=classes[present], y=targets.values)
        return weights
    for key, weight in option.items():
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
            raise ParameterError(f"class_weight needs finite weights of at least 0, got {weight!r} for {key!r}")
    known = classes.tolist()
    strangers = [key for key in option if key not in known]
    # A class that a fold lacks is no mistake; a name beside a class without a weight is, and scikit-learn says so too.
    if strangers and any(label not in option for label in known):
        raise ParameterError(f"class_weight needs classes among {known}, got {strangers[0]!r}")
    return np.array([option.get(label, 1.0) for label in known], dtype=np.float64)
