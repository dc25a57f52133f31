"""Missing values where training had none are warned of, since a network cannot have learned what to make of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from throughtime.errors import DataWarning, warn
from throughtime.estimators.features import gather_steps
from throughtime.estimators.interface import FittedEstimator
from throughtime.estimators.pool import Pool

_LISTED = 5  # channels named in a message


@dataclass(frozen=True, eq=False)
class Reading:
    """A fitted estimator, and the series of a pool that it is about to read."""

    estimator: FittedEstimator
    pool: Pool
    indices: Int[ndarray, "series"]


def warn_of_unseen_gaps(readings: Sequence[Reading]) -> None:
    """Warn once, whatever the number of estimators, of channels that miss values here and missed none in training.

    Parameters
    ----------
    readings
        At least one, of series of one kind.

    Warns
    -----
    DataWarning
        Naming the channels, and what the networks read there.
    """
    n_channels, names = readings[0].pool.given.n_channels, readings[0].pool.given.channel_names
    gaps = np.zeros(n_channels, dtype=bool)
    static, scaled = False, True
    for reading in readings:
        estimator, X, indices = reading.estimator, reading.pool.X, reading.indices
        if estimator.missing != "mask" or not reading.pool.missing[indices].any():
            continue  # refused elsewhere, or nothing is missing
        # what features are made of comes first, and they miss values only where it does
        never = _never_missing(estimator, X.n_channels)[:n_channels]
        new = np.zeros_like(gaps)
        if never.any():
            steps = gather_steps(X.buffer, X.starts[indices], X.lengths[indices])[:, :n_channels]
            new[never] = np.isnan(steps[:, never]).any(0)
        static_columns = None if estimator.masked_ or X.static is None else X.static[indices, : estimator.n_static_]
        new_static = static_columns is not None and bool(np.isnan(static_columns).any())
        if new.any() or new_static:
            gaps |= new
            static |= new_static
            scaled &= estimator.normalize == "standard"
    if not gaps.any() and not static:
        return
    channels = np.flatnonzero(gaps)
    listed = [repr(names[k]) if names else str(k) for k in channels[:_LISTED]]
    more = f" and {len(channels) - _LISTED} more" if len(channels) > _LISTED else ""
    where = [f"channel{'s' if len(channels) > 1 else ''} {', '.join(listed)}{more}"] if len(channels) else []
    where += ["the static features"] if static else []
    warn(
        f"X misses values in {' and '.join(where)}, where training missed none: "
        f"{'the training mean' if scaled else '0'} stands there, and the network has not learned what a missing value "
        "means; train on series that miss some too, or fill these",
        DataWarning,
    )


def _never_missing(estimator: FittedEstimator, n_channels: int) -> Bool[ndarray, "channel"]:
    """Channels of which training missed no value, as far as the fitted network tells."""
    if not estimator.masked_:
        return np.ones(n_channels, dtype=bool)
    if estimator.normalize != "standard":
        return np.zeros(n_channels, dtype=bool)
    # The columns after the channels flag what is missing; their mean is the fraction that was.
    fractions = estimator.network_.state["shift"][n_channels : 2 * n_channels]
    never: ndarray = (fractions == 0).cpu().numpy()
    return never
