"""Pictures of results, in scikit-learn's style: made from data, drawn by ``plot``."""

from throughtime.displays.curves import TrainingCurvesDisplay
from throughtime.displays.predictions import PredictionsDisplay
from throughtime.displays.search import SearchDisplay

__all__ = ["PredictionsDisplay", "SearchDisplay", "TrainingCurvesDisplay"]
