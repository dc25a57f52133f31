"""What a network is fed: the channels, what is missing, the static columns; and how a member scales them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.data import Sequences, weighted_moments
from throughtime.errors import DataError
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


def features_of(X: Sequences, masked: bool, at_least: DTypeLike = np.float32) -> Features:
    """The features of some series, in the precision that they and their static features are held in.

    Parameters
    ----------
    at_least
        The precision that the network computes in: float64 features make float64 of float32 series.
    """
    dtype = np.result_type(X.dtype, at_least, X.dtype if X.static is None else X.static.dtype)
    static = None if X.static is None else np.asarray(X.static, dtype=dtype)
    if not masked:
        return Features(X.buffer.astype(dtype, copy=False), X.starts, X.lengths, static)
    # Views that overlap share steps, but not how long ago their own last value was: each gets its own rows.
    series = [np.concatenate([x, np.isnan(x), _steps_since_seen(x)], 1, dtype=dtype, casting="unsafe") for x in X]
    return Features(np.concatenate(series), np.cumsum(X.lengths) - X.lengths, np.asarray(X.lengths), static)


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """The same precision's name in NumPy."""
    return np.dtype(str(dtype).removeprefix("torch."))


def inputs_of(features: Features, device: str, masked: bool = False) -> Inputs:
    """The same as tensors, with the row that padding points to."""
    padding = np.full((1, features.values.shape[1]), np.nan, dtype=features.values.dtype)
    static = None if features.static is None else torch.tensor(features.static, device=device)
    values = torch.from_numpy(np.concatenate([features.values, padding])).to(device)
    return Inputs(values, np.asarray(features.starts), np.asarray(features.lengths), static, masked)


def missing_in(X: Sequences) -> Bool[ndarray, "series"]:
    """Which series miss a value, of a channel or a static feature."""
    by_static = np.zeros(len(X), bool) if X.static is None else np.isnan(X.static).any(1)
    by_step = np.isnan(X.buffer).any(1)
    if not by_step.any():
        return by_static
    before = np.concatenate([[0], np.cumsum(by_step)])
    missing: ndarray = by_static | (before[X.starts + X.lengths] > before[X.starts])
    return missing


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


def extremes_of(X: Sequences) -> Float[ndarray, "2 1"]:
    """The lowest and highest value of all that is in the buffer, static features among it; NaN where there is none."""
    parts = [X.buffer] if X.static is None else [X.buffer, X.static]
    found = [find.reduce([find.reduce(part, None, initial=np.nan) for part in parts]) for find in (np.fmin, np.fmax)]
    return np.array(found)[:, None]


def _own_extremes(X: Sequences, rows: Int[ndarray, "member_series"]) -> Float[ndarray, "2 column"]:
    """The lowest and highest value of each channel and static feature of some series."""
    parts = [gather_steps(X.buffer, X.starts[rows], X.lengths[rows])]
    if X.static is not None:
        parts.append(X.static[rows])
    extremes: ndarray = np.stack(
        [np.concatenate([find.reduce(part, initial=np.nan) for part in parts]) for find in (np.fmin, np.fmax)]
    )
    return extremes


def refuse_beyond(
    X: Sequences,
    rows: Int[ndarray, "member_series"],
    extremes: Float[ndarray, "2 1"],
    shift: Float[ndarray, "input"],
    scale: Float[ndarray, "input"],
    dtype: np.dtype[Any],
) -> None:
    """Refuse series that would not be finite any more once a network of some precision is fed them.

    Parameters
    ----------
    extremes
        Of all values; only where they are too far out are those of the member's own ``rows`` looked for, by column.

    Raises
    ------
    DataError
        For the first channel or static feature.
    """
    n_static = 0 if X.static is None else X.static.shape[1]
    source = np.result_type(X.dtype, dtype, X.dtype if X.static is None else X.static.dtype)
    if len(shift) > X.n_channels + n_static:  # what flags a missing value is small
        values = [*range(X.n_channels), *range(len(shift) - n_static, len(shift))]
        shift, scale = shift[values], scale[values]
    shift, scale = shift.astype(source), scale.astype(source)

    def beyond(extremes: ndarray) -> ndarray:
        # Rounding keeps order, so what holds for the extremes holds for all.
        with np.errstate(all="ignore"):
            scaled = ((extremes.astype(source) - shift) / scale).astype(dtype)
        infinite: ndarray = np.isinf(scaled).any(0)
        return infinite

    if beyond(extremes).any() and beyond(own := _own_extremes(X, rows)).any():
        column = int(beyond(own).argmax())
        names = [*(X.channel_names or range(X.n_channels)), *(X.static_names or range(n_static))]
        what = f"{'channel' if column < X.n_channels else 'static feature'} {names[column]}"
        raise DataError(
            f"X needs values that {dtype} holds once they are scaled, got {np.abs(own[:, column]).max():g} in {what}"
        )


def gather_steps(
    flat: Shaped[ndarray, "step *column"], starts: Int[ndarray, "series"], lengths: Int[ndarray, "series"]
) -> Shaped[ndarray, "own_step *column"]:
    """The steps of some series, one after the other."""
    first = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    own: ndarray = flat[first + np.arange(int(lengths.sum()))]
    return own


def _steps_since_seen(x: Float[ndarray, "time channel"]) -> Int[ndarray, "time channel"]:
    """Steps since each channel's last value: 0 where it is there; counted from the start before the first."""
    steps = np.arange(len(x))[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(x), -1, steps), 0)
    since: ndarray = steps - seen
    return since
