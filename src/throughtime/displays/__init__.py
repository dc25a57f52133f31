"""Pictures of results, in scikit-learn's style: made from estimators, predictions or records, drawn by ``plot``."""

from throughtime.displays.calibration import CalibrationDisplay
from throughtime.displays.canvas import axes_for, set_title
from throughtime.displays.confusion import ConfusionMatrixDisplay
from throughtime.displays.curves import TrainingCurvesDisplay
from throughtime.displays.predictions import PredictionsDisplay
from throughtime.displays.score_curves import LearningCurveDisplay, ValidationCurveDisplay
from throughtime.displays.search import SearchDisplay
from throughtime.displays.truncation_bias import TruncationBiasDisplay

__all__ = [
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "LearningCurveDisplay",
    "PredictionsDisplay",
    "SearchDisplay",
    "TrainingCurvesDisplay",
    "TruncationBiasDisplay",
    "ValidationCurveDisplay",
    "axes_for",
    "set_title",
]
