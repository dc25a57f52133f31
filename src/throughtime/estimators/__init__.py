"""scikit-learn's face: the estimators, and where everything that trains many of them enters.

Users need the two estimators and `fit_members`; the rest is for the packages above.
"""

from throughtime.estimators.augmented_series import augment_series
from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.calls import execute, intercept
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.devices import check_device
from throughtime.estimators.files import FACTS, WEIGHTS
from throughtime.estimators.forecast import at_own_steps, forecast_inputs, known_channels
from throughtime.estimators.initialization import at_initialization
from throughtime.estimators.inits import init_from_plain
from throughtime.estimators.interface import n_channels_of
from throughtime.estimators.loading import from_plain, load_estimator
from throughtime.estimators.members import (
    fit_members,
    fit_requests,
    fitted_as,
    predict_members,
    predict_requests,
)
from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.estimators.module_calls import ModuleCall, gradient_flow_of, lag_curve_of, module_call
from throughtime.estimators.names import NAMES
from throughtime.estimators.persistence import to_plain
from throughtime.estimators.problem import Problem, sequences_like
from throughtime.estimators.recalibration import can_recalibrate, recalibrate
from throughtime.estimators.regressor import SequenceRegressor
from throughtime.estimators.requests import Fit, Outputs, Request
from throughtime.estimators.states import states_of
from throughtime.estimators.targets import checked_weights, targets_of
from throughtime.estimators.tasks import Task
from throughtime.estimators.transformers import (
    Differences,
    FourierFeatures,
    LagFeatures,
    RollingStatistics,
    SummaryFeatures,
)

__all__ = [
    "DEFAULT_BUDGET",
    "FACTS",
    "NAMES",
    "WEIGHTS",
    "Differences",
    "Fit",
    "FourierFeatures",
    "LagFeatures",
    "ModuleCall",
    "Outputs",
    "Problem",
    "Request",
    "RollingStatistics",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceRegressor",
    "SummaryFeatures",
    "Task",
    "at_initialization",
    "at_own_steps",
    "augment_series",
    "can_recalibrate",
    "check_device",
    "checked_weights",
    "execute",
    "fit_members",
    "fit_requests",
    "fitted_as",
    "forecast_inputs",
    "from_plain",
    "gradient_flow_of",
    "init_from_plain",
    "intercept",
    "known_channels",
    "lag_curve_of",
    "load_estimator",
    "module_call",
    "n_channels_of",
    "predict_members",
    "predict_requests",
    "recalibrate",
    "sequences_like",
    "states_of",
    "targets_of",
    "to_plain",
]
