"""Differences from some steps before."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Layout, Sequences
from throughtime.estimators.transformers.lags import lagged, listed
from throughtime.estimators.transformers.transformer import ChannelTransformer
from throughtime.feature_specs import check_numbers


class Differences(ChannelTransformer):
    """Add each channel's change since ``lag`` steps before, for each of the lags.

    A series has no steps before its first: until there are enough, the change is that since the first step, and so 0 at
    the first. Where either value is missing, the difference is missing.

    Parameters
    ----------
    lags : int or sequence of int, default=1
        Steps back, each at least 1.
    layout : {'ntc', 'nct'}, default='ntc'
        As of the estimators: axis order of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import Differences
    >>> changes = Differences().fit_transform([np.array([5.0, 6.0, 8.0, 1.0])])
    >>> changes.channel_names
    ('x0', 'x0:diff1')
    >>> changes[0][:, 1].tolist()
    [0.0, 1.0, 2.0, -7.0]
    """

    def __init__(self, lags: int | Sequence[int] = 1, *, layout: Layout = "ntc") -> None:
        self.lags = lags
        self.layout = layout

    def check_parameters(self) -> None:
        """Refuse lags that are none."""
        check_numbers("Differences", "diff", self.lags)

    def new_channels(self, X: Sequences, clock: Float[ndarray, "step"]) -> Float[ndarray, "step new"]:  # noqa: ARG002
        """The changes of all channels since the first lag, then since the next."""
        return np.concatenate([X.values - lagged(X, lag) for lag in listed(self.lags)], axis=1)

    def new_names(self, names: list[str]) -> list[str]:
        """``temp:diff1``."""
        return [f"{name}:diff{lag}" for lag in listed(self.lags) for name in names]
