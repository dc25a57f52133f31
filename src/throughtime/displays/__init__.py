"""Pictures of results, in scikit-learn's style: made from estimators, predictions or records, drawn by ``plot``."""

from throughtime.displays.calibration import CalibrationDisplay
from throughtime.displays.canvas import (
    FURTHER,
    OBSERVED,
    PREDICTED,
    TRAINING,
    VALIDATION,
    axes_for,
    set_title,
    shorten_texts,
)
from throughtime.displays.class_priors import ClassPriorsDisplay
from throughtime.displays.confusion import ConfusionMatrixDisplay
from throughtime.displays.curves import TrainingCurvesDisplay
from throughtime.displays.effects import (
    OPEN,
    EffectsDisplay,
    by_gain,
    curve_loss,
    effect_in_words,
    ends_of,
    gain_number,
    losses_of,
)
from throughtime.displays.fitted_learning_curve import FittedLearningCurveDisplay, doubling_in_words
from throughtime.displays.flow_monitor import FlowMonitorDisplay
from throughtime.displays.flushed_deltas import FlushedDeltasDisplay
from throughtime.displays.fold_scores import FoldScoresDisplay
from throughtime.displays.gate_memory import GateMemoryDisplay
from throughtime.displays.gradient_flow import GradientFlowDisplay
from throughtime.displays.history_curve import HistoryCurveDisplay, history_in_words
from throughtime.displays.lag_curve import LagCurveDisplay
from throughtime.displays.lyapunov import LyapunovDisplay
from throughtime.displays.predictions import PredictionsDisplay
from throughtime.displays.recorded_flow import RecordedGridDisplay, RecordedLagsDisplay
from throughtime.displays.saturation import SaturationDisplay
from throughtime.displays.score_curves import LearningCurveDisplay, ValidationCurveDisplay
from throughtime.displays.search import SearchDisplay
from throughtime.displays.shift_channels import ShiftChannelsDisplay, ShiftTargetsDisplay
from throughtime.displays.shift_in_time import ShiftInTimeDisplay
from throughtime.displays.singular_values import SingularValuesDisplay
from throughtime.displays.sorted_losses import SortedLossesDisplay
from throughtime.displays.truncation_bias import TruncationBiasDisplay
from throughtime.displays.update_ratio import UpdateRatioDisplay
from throughtime.displays.weights import WeightsDisplay

__all__ = [
    "FURTHER",
    "OBSERVED",
    "OPEN",
    "PREDICTED",
    "TRAINING",
    "VALIDATION",
    "CalibrationDisplay",
    "ClassPriorsDisplay",
    "ConfusionMatrixDisplay",
    "EffectsDisplay",
    "FittedLearningCurveDisplay",
    "FlowMonitorDisplay",
    "FlushedDeltasDisplay",
    "FoldScoresDisplay",
    "GateMemoryDisplay",
    "GradientFlowDisplay",
    "HistoryCurveDisplay",
    "LagCurveDisplay",
    "LearningCurveDisplay",
    "LyapunovDisplay",
    "PredictionsDisplay",
    "RecordedGridDisplay",
    "RecordedLagsDisplay",
    "SaturationDisplay",
    "SearchDisplay",
    "ShiftChannelsDisplay",
    "ShiftInTimeDisplay",
    "ShiftTargetsDisplay",
    "SingularValuesDisplay",
    "SortedLossesDisplay",
    "TrainingCurvesDisplay",
    "TruncationBiasDisplay",
    "UpdateRatioDisplay",
    "ValidationCurveDisplay",
    "WeightsDisplay",
    "axes_for",
    "by_gain",
    "curve_loss",
    "doubling_in_words",
    "effect_in_words",
    "ends_of",
    "gain_number",
    "history_in_words",
    "losses_of",
    "set_title",
    "shorten_texts",
]
