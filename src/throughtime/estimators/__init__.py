"""scikit-learn's face: the estimators, and the door for everything that trains many of them."""

from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.members import fit_members, predict_members
from throughtime.estimators.regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceEstimator", "SequenceRegressor", "fit_members", "predict_members"]
