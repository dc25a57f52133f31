"""Where in a season each step is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Layout, Sequences
from throughtime.errors import DataError
from throughtime.estimators.transformers.lags import listed
from throughtime.estimators.transformers.step_clock import TimeUnits, time_units
from throughtime.estimators.transformers.transformer import ChannelTransformer
from throughtime.feature_specs import check_numbers, number_text

#: Decimals kept: scaling to deviation 1 would make noise of what rounding leaves of a constant column.
_DECIMALS = 12


class FourierFeatures(ChannelTransformer):
    """Add sine and cosine of the time, with each of the periods; half a period is its first harmonic.

    Parameters
    ----------
    periods : float or sequence of float
        In days where the series' times are dates (UTC), in the times' own unit where these are numbers, and in steps,
        counted from each series' own first, where there are no times.
    layout : {'ntc', 'nct'}, default='ntc'
        As of the estimators: axis order of arrays.

    Attributes
    ----------
    time_units_
        ``"days"``, ``"numbers"`` or ``"steps"``; series to transform need the same.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import FourierFeatures
    >>> seasons = FourierFeatures(4).fit_transform([np.zeros(5)])
    >>> seasons.channel_names
    ('x0', 'fourier4_sin', 'fourier4_cos')
    >>> seasons[0][:, 1].tolist()
    [0.0, 1.0, 0.0, -1.0, 0.0]
    """

    time_units_: TimeUnits

    def __init__(self, periods: float | Sequence[float], *, layout: Layout = "ntc") -> None:
        self.periods = periods
        self.layout = layout

    def check_parameters(self) -> None:
        """Refuse periods that are none."""
        check_numbers("FourierFeatures", "fourier", self.periods)

    def new_channels(self, X: Sequences, clock: Float[ndarray, "step"]) -> Float[ndarray, "step new"]:  # noqa: ARG002
        """Sine and cosine of the first period, then of the next."""
        columns = []
        for period in listed(self.periods):
            phase = 2 * np.pi * np.mod(clock, float(period)) / float(period)
            columns += [np.sin(phase), np.cos(phase)]
        # adding 0 makes 0 of -0
        return np.round(np.stack(columns, axis=1), _DECIMALS) + 0.0

    def new_names(self, names: list[str]) -> list[str]:  # noqa: ARG002
        """``fourier365.25_sin``."""
        return [f"fourier{number_text(period)}_{wave}" for period in listed(self.periods) for wave in ("sin", "cos")]

    def _learn(self, X: Sequences, y: Any) -> None:  # noqa: ARG002
        self.time_units_ = time_units(X)

    def _check(self, X: Sequences) -> None:
        check_time_units(X, self.time_units_, type(self).__name__)


def check_time_units(X: Sequences, units: str, who: str) -> None:
    """Refuse series whose times are of another kind than those in ``fit``: the same period would mean something else.

    Raises
    ------
    DataError
        "X needs ..., got ...".
    """
    words = {"days": "dates as times", "numbers": "numbers as times", "steps": "no times"}
    found = time_units(X)
    if found != units:
        raise DataError(f"X needs {words[units]}, as {who} was fitted on, got {words[found]}")
