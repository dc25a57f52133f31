"""Features made of series, as scikit-learn's transformers and by the text of the parameter ``features``.

Most add channels: a step's new values come from it and earlier steps of its own series alone, so that a forecast may
read them. `SummaryFeatures` are of the whole series and become static features.
"""

from throughtime.estimators.transformers.by_text import added_widths, with_features
from throughtime.estimators.transformers.differences import Differences
from throughtime.estimators.transformers.fourier import FourierFeatures, check_time_units
from throughtime.estimators.transformers.lags import LagFeatures
from throughtime.estimators.transformers.rolling import RollingStatistics
from throughtime.estimators.transformers.step_clock import TimeUnits, clock_of_steps, time_units
from throughtime.estimators.transformers.summary import SummaryFeatures, summary_by_step

__all__ = [
    "Differences",
    "FourierFeatures",
    "LagFeatures",
    "RollingStatistics",
    "SummaryFeatures",
    "TimeUnits",
    "added_widths",
    "check_time_units",
    "clock_of_steps",
    "summary_by_step",
    "time_units",
    "with_features",
]
