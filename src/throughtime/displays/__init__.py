"""Pictures of results, in scikit-learn's style: made from estimators, predictions or records, drawn by ``plot``."""

from throughtime.displays.calibration import CalibrationDisplay
from throughtime.displays.canvas import axes_for, set_title
from throughtime.displays.confusion import ConfusionMatrixDisplay
from throughtime.displays.curves import TrainingCurvesDisplay
from throughtime.displays.flow_monitor import FlowMonitorDisplay
from throughtime.displays.gradient_flow import GradientFlowDisplay
from throughtime.displays.lag_curve import LagCurveDisplay
from throughtime.displays.predictions import PredictionsDisplay
from throughtime.displays.score_curves import LearningCurveDisplay, ValidationCurveDisplay
from throughtime.displays.search import SearchDisplay

__all__ = [
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "FlowMonitorDisplay",
    "GradientFlowDisplay",
    "LagCurveDisplay",
    "LearningCurveDisplay",
    "PredictionsDisplay",
    "SearchDisplay",
    "TrainingCurvesDisplay",
    "ValidationCurveDisplay",
    "axes_for",
    "set_title",
]
