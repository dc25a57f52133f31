"""``SequenceRegressor``: a recurrent network that predicts a number per series, or one at every step."""

from typing import Any, Unpack

from sklearn.base import RegressorMixin

from throughtime.estimators.base import SequenceEstimator, takes
from throughtime.estimators.tasks import REGRESSION
from throughtime.parameters import RegressorArguments


@takes(RegressorArguments)
class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """A recurrent regressor, trained by squared error on the standardized target.

    With ``horizon=h`` it forecasts: the target of step t is predicted from the channels of X up to step t - h, and from
    those in ``known`` (a calendar, planned prices) up to step t itself.  The target's own past is seen if it is one of
    the channels.  ``predict`` stays aligned with X: the first h steps of each series have no forecast and are NaN;
    ``score`` leaves them out, and the ``burn_in`` after them.  To forecast beyond the data append h rows to a series,
    NaN in all channels that are not known.  See ``docs/guide/forecasting.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import SequenceRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 12, 3)).astype("float32")
    >>> SequenceRegressor(hidden_size=8, max_epochs=2, random_state=0).fit(X, X[:, :, 0].mean(1)).predict(X[:2]).shape
    (2,)
    """

    task = REGRESSION
    target_mean_: float
    target_scale_: float

    def __init__(self, **parameters: Unpack[RegressorArguments]) -> None:
        self._set(dict(parameters))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R squared (in hydrology NSE); of a target each step, over the observed steps after horizon and burn-in."""
        return self._score(X, y, sample_weight)
