"""When steps were, as one number each, and the unit of these numbers."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Sequences, steps_within

#: Of a clock: days where times are dates, their own where they are numbers, steps where there are none.
TimeUnits = Literal["days", "numbers", "steps"]

_DAY = 86_400_000_000_000  # nanoseconds


def time_units(X: Sequences) -> TimeUnits:
    """The unit of some series' clock."""
    if X.times is None:
        return "steps"
    return "days" if X.times.dtype.kind == "M" else "numbers"


def clock_of_steps(X: Sequences) -> Float[ndarray, "step"]:
    """When each step of ``X.values`` was: days since 1970 (UTC), its time, or its number in its own series."""
    times = X.times
    if times is None:
        return steps_within(X.lengths).astype(np.float64)
    if times.dtype.kind != "M":
        return times
    days, rest = np.divmod(times.astype("datetime64[ns]").astype(np.int64), _DAY)
    clock: ndarray = days + rest / _DAY
    return clock
