"""What a forecast may see: every channel up to a horizon before the step that is predicted, the known ones up to it."""

import difflib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Sequences, steps_within
from throughtime.errors import DataError, ParameterError

#: How many steps ahead of what it reads a network predicts, and the channels that it reads up to there.
ForecastKey = tuple[int, tuple[int, ...]]


def known_channels(known: Sequence[int | str] | None, X: Sequences) -> list[int]:
    """The numbers of channels given by name or number, in order.

    Raises
    ------
    ParameterError
        For one that X has not.
    """
    names = X.channel_names
    found = set()
    for channel in known or ():
        if isinstance(channel, str):
            if names is None:
                raise ParameterError(f"known needs channels by number where X has no channel names, got {channel!r}")
            if channel not in names:
                close = difflib.get_close_matches(channel, names, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
                raise ParameterError(f"known needs channels of X, got {channel!r}{hint}")
            channel = names.index(channel)
        if not 0 <= channel < X.n_channels:
            raise ParameterError(f"known needs channels of X, 0 to {X.n_channels - 1}, got {channel}")
        found.add(int(channel))
    return sorted(found)


def check_longer(X: Sequences, horizon: int) -> None:
    """Refuse series that end before their first forecast.

    Raises
    ------
    DataError
        For the first that does.
    """
    short = X.lengths <= horizon
    if short.any():
        row = int(short.argmax())
        raise DataError(
            f"horizon={horizon} needs more than {horizon} steps in every series, got {X.lengths[row]} in series {row}"
        )


def forecast_inputs(X: Sequences, horizon: int, known: Sequence[int] = ()) -> Sequences:
    """Give the series as the network reads them: step s of each is what a forecast of step s + horizon sees last.

    The known channels are those of step s + horizon, the others those of step s, and each series ends ``horizon`` steps
    early. Windows and selections stay views of one buffer; times are left out.

    Parameters
    ----------
    horizon
        Steps; 0 gives X itself.
    known
        Numbers of channels.
    """
    if not horizon:
        return X
    check_longer(X, horizon)
    values = X.buffer
    if known:
        # Where the buffer ends no series goes on, and what stands in these rows is never read.
        values = values.copy()
        values[:-horizon, known] = X.buffer[horizon:, known]
    whole = Sequences(values, [0, len(values)])
    seen = whole.cut(np.zeros(len(X), np.int64), X.starts, X.starts + X.lengths - horizon)
    return seen.replace(groups=X.groups, static=X.static, channel_names=X.channel_names, train_dtype=X.train_dtype)


def at_own_steps(X: Sequences, values: Float[ndarray, "forecast"], horizon: int) -> Float[ndarray, "step"]:
    """Forecasts at the steps they are for, NaN at the first ``horizon`` of each series, which have none."""
    if not horizon:
        return values
    found = np.full(X.n_steps, np.nan, values.dtype)
    found[steps_within(X.lengths) >= horizon] = values
    return found
