"""What a network is fed: the channels, what is missing, the static columns; and how a member scales them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.data import Sequences
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
    unit = _units(x)
    if unit is not None:
        x /= unit
    total = w.sum(0)
    total[total == 0] = 1.0
    mean = (w * x).sum(0) / total
    centered = x - mean
    deviation = np.sqrt((w * centered * centered).sum(0) / total)
    # What rounding leaves of a constant column is no variation.
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    if unit is not None:
        mean, deviation = mean * unit, deviation * unit
    deviation[constant] = 1.0
    return mean, deviation


def _units(x: Float[ndarray, "row column"]) -> Float[ndarray, "column"] | None:
    """What to divide columns by whose squares would leave float64's range: powers of two, so no bit is lost."""
    largest = np.maximum(x.max(0, initial=0), -x.min(0, initial=0))
    extreme = (largest > 0) & ((largest > 1e120) | (largest < 1e-120))
    if not extreme.any():
        return None
    units: ndarray = np.where(extreme, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
    return units


def refuse_beyond(
    features: Features,
    rows: Int[ndarray, "member_series"],
    shift: Float[ndarray, "column"],
    scale: Float[ndarray, "column"],
    dtype: np.dtype[Any],
) -> None:
    """Refuse series that would not be finite any more when a network of some precision is fed them.

    Raises
    ------
    DataError
        For the first column.
    """
    parts = [(features.values, slice(0, features.values.shape[1]))]
    if features.static is not None:
        parts.append((features.static, slice(features.values.shape[1], None)))
    for part, (values, columns) in enumerate(parts):
        if not len(values):
            continue
        # Rounding keeps order: if the extremes are finite, so is all between them. First those of all series, whose
        # buffer need not be copied; a member's own decide.
        if _finite_extremes(values, shift[columns], scale[columns], dtype).all():
            continue
        own = features.static[rows] if part else gather_steps(values, features.starts[rows], features.lengths[rows])
        finite = _finite_extremes(own, shift[columns], scale[columns], dtype)
        if not finite.all():
            column = int(finite.argmin())
            most = own[np.nanargmax(np.abs(own[:, column])), column]
            what = "static feature" if part else "channel"
            raise DataError(
                f"X needs values that {dtype} holds once they are scaled, got {most:g} in {what} {column}; "
                "dtype='float64' trains in a larger range"
            )


def _finite_extremes(
    values: Float[ndarray, "row column"],
    shift: Float[ndarray, "column"],
    scale: Float[ndarray, "column"],
    dtype: np.dtype[Any],
) -> Bool[ndarray, "column"]:
    extremes = np.stack([np.fmin.reduce(values), np.fmax.reduce(values)])
    source = values.dtype
    with np.errstate(all="ignore"):
        scaled = ((extremes - shift.astype(source)) / scale.astype(source)).astype(dtype)
    finite: ndarray = (np.isfinite(scaled) | np.isnan(extremes)).all(0)
    return finite


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
