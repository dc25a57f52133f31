"""What a network is fed: the channels, what is missing, the static columns; and how a member scales them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.training import Inputs


@dataclass(frozen=True)
class Features:
    """The columns of every series, one copy for all members.

    With ``masked``, each channel brings two more: 1 where its value is missing, and the steps since it was last seen.
    """

    values: Float[ndarray, "step column"]
    starts: Int[ndarray, "series"]
    lengths: Int[ndarray, "series"]
    static: Float[ndarray, "series static_column"] | None

    @property
    def n_inputs(self) -> int:
        """Columns a network takes at each step."""
        return int(self.values.shape[1] + (0 if self.static is None else self.static.shape[1]))


def features_of(X: Sequences, masked: bool) -> Features:
    """The features of some series, in the series' own precision."""
    static = None if X.static is None else np.asarray(X.static, dtype=X.dtype)
    if not masked:
        return Features(X.buffer, X.starts, X.lengths, static)
    # Views that overlap share steps, but not how long ago their own last value was: each gets its own rows.
    series = [np.concatenate([x, np.isnan(x), _steps_since_seen(x)], 1, dtype=X.dtype, casting="unsafe") for x in X]
    return Features(np.concatenate(series), np.cumsum(X.lengths) - X.lengths, np.asarray(X.lengths), static)


def inputs_of(features: Features, device: str) -> Inputs:
    """The same as tensors, with the row that padding points to."""
    padding = np.full((1, features.values.shape[1]), np.nan, dtype=features.values.dtype)
    static = None if features.static is None else torch.tensor(features.static, device=device)
    values = torch.from_numpy(np.concatenate([features.values, padding])).to(device)
    return Inputs(values, np.asarray(features.starts), np.asarray(features.lengths), static)


def any_missing(X: Sequences, rows: Int[ndarray, "member_series"]) -> bool:
    """Whether some of the series miss a value."""
    static = X.static is not None and bool(np.isnan(X.static[rows]).any())
    return static or bool(np.isnan(gather_steps(X.buffer, X.starts[rows], X.lengths[rows])).any())


def scaling(
    features: Features, rows: Int[ndarray, "member_series"], weights: Float[ndarray, "member_series"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """Mean and standard deviation of each column over some series, weighted, missing values left out.

    A column that does not vary has deviation 1; one that is all missing has mean 0.
    """
    steps = gather_steps(features.values, features.starts[rows], features.lengths[rows])
    mean, deviation = weighted_moments(steps, np.repeat(weights, features.lengths[rows]))
    if features.static is None:
        return mean, deviation
    static_mean, static_deviation = weighted_moments(features.static[rows], weights)
    return np.concatenate([mean, static_mean]), np.concatenate([deviation, static_deviation])


def weighted_moments(
    x: Float[ndarray, "row column"], weights: Float[ndarray, "row"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """Mean and standard deviation of each column in float64, NaN left out; a deviation of zero becomes one."""
    x = x.astype(np.float64)
    missing = np.isnan(x)
    w = np.where(missing, 0.0, weights[:, None])
    x[missing] = 0
    total = w.sum(0)
    total[total == 0] = 1.0
    mean = (w * x).sum(0) / total
    centered = x - mean
    deviation = np.sqrt((w * centered * centered).sum(0) / total)
    # What rounding leaves of a constant column is no variation.
    deviation[deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)] = 1.0
    return mean, deviation


def gather_steps(
    flat: Shaped[ndarray, "step *column"], starts: Int[ndarray, "series"], lengths: Int[ndarray, "series"]
) -> Shaped[ndarray, "own_step *column"]:
    """The steps of some series, one after the other."""
    first = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    own: ndarray = flat[first + np.arange(int(lengths.sum()))]
    return own


def steps_within(lengths: Int[ndarray, "series"]) -> Int[ndarray, "step"]:
    """The place of every step in its own series."""
    places: ndarray = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return places


def _steps_since_seen(x: Float[ndarray, "time channel"]) -> Int[ndarray, "time channel"]:
    """Steps since each channel's last value: 0 where it is there; counted from the start before the first."""
    steps = np.arange(len(x))[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(x), -1, steps), 0)
    since: ndarray = steps - seen
    return since
