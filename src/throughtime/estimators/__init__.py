"""scikit-learn's face: the estimators, and the door for everything that trains many of them."""

from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.forecast import at_own_steps, forecast_inputs
from throughtime.estimators.members import fit_members, predict_members
from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.estimators.regressor import SequenceRegressor
from throughtime.estimators.targets import targets_of

__all__ = [
    "DEFAULT_BUDGET",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceRegressor",
    "at_own_steps",
    "fit_members",
    "forecast_inputs",
    "predict_members",
    "targets_of",
]
