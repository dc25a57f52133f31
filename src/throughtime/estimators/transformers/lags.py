"""Values of some steps before."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Layout, Sequences, steps_within
from throughtime.estimators.transformers.transformer import ChannelTransformer
from throughtime.feature_specs import check_numbers


class LagFeatures(ChannelTransformer):
    """Add each channel's value of ``lag`` steps before, for each of the lags.

    A series has no steps before its first: where one is asked for, the first one's value stands. A missing value is
    missing later too.

    Parameters
    ----------
    lags : int or sequence of int, default=1
        Steps back, each at least 1.
    layout : {'ntc', 'nct'}, default='ntc'
        As of the estimators: axis order of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import LagFeatures
    >>> later = LagFeatures(2).fit_transform([np.array([5.0, 6.0, 8.0, 1.0])])
    >>> later.channel_names
    ('x0', 'x0:lag2')
    >>> later[0][:, 1].tolist()
    [5.0, 5.0, 5.0, 6.0]
    """

    def __init__(self, lags: int | Sequence[int] = 1, *, layout: Layout = "ntc") -> None:
        self.lags = lags
        self.layout = layout

    def check_parameters(self) -> None:
        """Refuse lags that are none."""
        check_numbers("LagFeatures", "lag", self.lags)

    def new_channels(self, X: Sequences, clock: Float[ndarray, "step"]) -> Float[ndarray, "step new"]:  # noqa: ARG002
        """The values of all channels at the first lag, then at the next."""
        return np.concatenate([lagged(X, lag) for lag in listed(self.lags)], axis=1)

    def new_names(self, names: list[str]) -> list[str]:
        """``temp:lag7``."""
        return [f"{name}:lag{lag}" for lag in listed(self.lags) for name in names]


def listed(numbers: Any) -> list[Any]:
    """One number or several as a list."""
    return list(numbers) if np.ndim(numbers) else [numbers]


def lagged(X: Sequences, lag: int) -> Float[ndarray, "step channel"]:
    """The values ``lag`` steps before each step of ``X.values``, or those of its series' first step."""
    place = steps_within(X.lengths)
    values: ndarray = X.values[np.arange(len(place)) - np.minimum(place, lag)]
    return values
