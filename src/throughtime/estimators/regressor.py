"""``SequenceRegressor``: a recurrent network that predicts a number per series, or one at every step."""

from typing import Any, Unpack

import numpy as np
from numpy import ndarray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from throughtime.data import Sequences
from throughtime.estimators.base import SequenceEstimator, takes
from throughtime.estimators.forecast import at_own_steps
from throughtime.estimators.targets import observed_pairs, steps_like, untransform
from throughtime.parameters import RegressorArguments


@takes(RegressorArguments)
class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """A recurrent regressor, trained by squared error on the standardized target.

    With ``horizon=h`` it forecasts: the target of step t is predicted from the channels of X up to step t - h, and from
    those in ``known`` (a calendar, planned prices) up to step t itself.  The target's own past is seen if it is one of
    the channels.  ``predict`` stays aligned with X: the first h steps of each series have no forecast and are NaN;
    ``score`` leaves them out, and the ``warmup`` after them.  To forecast beyond the data append h rows to a series,
    NaN in all channels that are not known.  See ``docs/guide/forecasting.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import SequenceRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 12, 3)).astype("float32")
    >>> SequenceRegressor(hidden_size=8, max_epochs=2, random_state=0).fit(X, X[:, :, 0].mean(1)).predict(X[:2]).shape
    (2,)
    """

    target_mean_: float
    target_scale_: float

    def __init__(self, **parameters: Unpack[RegressorArguments]) -> None:
        self._set(dict(parameters))

    def predictions(self, X: Sequences, outputs: ndarray) -> Any:
        """The prediction for each series, or each step, on the target's own scale, in float64."""
        learned = outputs[:, 0].astype(np.float64) * self.target_scale_ + self.target_mean_
        values = untransform(self.target_transform, learned)
        return steps_like(X, at_own_steps(X, values, self.horizon_)[:, None]) if self.by_step_ else values

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R squared (in hydrology NSE); of a target each step, over the observed steps after horizon and warm-up."""
        truth, found, weights = observed_pairs(self, X, y, self.predict(X), sample_weight)
        return float(r2_score(truth, found, sample_weight=weights))
