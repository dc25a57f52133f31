"""scikit-learn's face: the estimators, and the entry for everything that trains many of them."""

from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.forecast import known_channels
from throughtime.estimators.members import fit_members, predict_members
from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.estimators.names import NAMES
from throughtime.estimators.persistence import FACTS, WEIGHTS, from_plain, to_plain
from throughtime.estimators.preparation import check_device
from throughtime.estimators.regressor import SequenceRegressor
from throughtime.estimators.targets import checked_weights

__all__ = [
    "DEFAULT_BUDGET",
    "FACTS",
    "NAMES",
    "WEIGHTS",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceRegressor",
    "check_device",
    "checked_weights",
    "fit_members",
    "from_plain",
    "known_channels",
    "predict_members",
    "to_plain",
]
