"""Pictures of results, in scikit-learn's style: made from data, drawn by ``plot``."""

from throughtime.displays.curves import TrainingCurvesDisplay
from throughtime.displays.predictions import PredictionsDisplay

__all__ = ["PredictionsDisplay", "TrainingCurvesDisplay"]
