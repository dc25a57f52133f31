"""How long a diagnosis may take, and whether what trains will be over in time."""

import math
import time
from collections.abc import Callable
from numbers import Real

from throughtime.errors import ParameterError
from throughtime.records import EpochProgress

#: Seconds of training from which on its end is foretold.
_FORETOLD_FROM = 0.5


class OutOfTimeError(Exception):
    """Raised out of training that will not be over in time."""


class TimeBudget:
    """Seconds that may be spent from now on; ``None`` for any number."""

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (isinstance(seconds, Real) and 0 < float(seconds) < math.inf):
            raise ParameterError(f"budget needs a number of seconds above 0, got {seconds!r}")
        self.seconds = seconds
        self._begin = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._begin

    def fits(self, seconds: float) -> bool:
        """Whether something that takes so long would be over in time."""
        return self.seconds is None or self.spent + seconds <= self.seconds

    def watch(self) -> Callable[[EpochProgress], None]:
        """A report of training that begins now, which raises `OutOfTimeError` when it will not be over in time."""
        begin = time.monotonic()

        def on_epoch(progress: EpochProgress) -> None:
            done = (progress.run - 1 + progress.epoch / progress.max_epochs) / progress.runs
            trained = time.monotonic() - begin
            left = trained * (1 / done - 1) if trained > _FORETOLD_FROM else 0.0
            if not self.fits(left):
                raise OutOfTimeError

        return on_epoch
