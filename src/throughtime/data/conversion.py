"""What a caller hands over as X and y, taken into `Sequences` and targets without guessing."""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from throughtime.data.frames import LONG, is_frame, shared_columns, warn_if_long
from throughtime.data.index_columns import bare_frames, nameless, numbers_rows, without_row_numbers
from throughtime.data.sequences import Sequences, as_floats, as_labels, train_dtype_of, unmasked
from throughtime.errors import DataError, DataWarning, ParameterError, warn

Layout = Literal["ntc", "nct"]


#: Text at each step may be meant as classes, which Sequences cannot hold.
_STEP_CLASSES = "; number classes per step, 0, 1, ..., as numpy.unique(labels, return_inverse=True) does"


class NotNumbersError(DataError, TypeError):
    """An element that is no number; also the TypeError that scikit-learn's contract asks for."""


def as_sequences(X: Any, layout: Layout = "ntc") -> Sequences:
    """Take X in any of its forms.

    Parameters
    ----------
    X
        `Sequences` (returned as they are); an array ``(series, time, channel)``; a list, tuple or object array of
        ``(time_i, channel)``, or of ``(time_i,)`` for a single channel; or a 2-D array or data frame
        ``(series, time)``, one channel. Data frames in a list name the channels by their columns. A 3-D or 2-D float
        array in C order is shared, not copied.
    layout
        ``"nct"`` when 3-D arrays and the arrays of a list hold channels before time, as aeon's and sktime's do.

    Raises
    ------
    DataError
        Anything else; no series, a series without steps, inf, values that are not real numbers, channel counts that
        differ.

    Warns
    -----
    DataWarning
        When the axes look like those of the other layout, or the rows of a data frame like steps of longer series; of
        columns of the frames in a list that number the rows, which are left out.
    """
    if layout not in ("ntc", "nct"):
        raise ParameterError(f"layout needs 'ntc' (series, time, channel) or 'nct', got {layout!r}")
    if isinstance(X, Sequences):
        if not len(X):
            raise DataError("X needs at least one series, got none")
        return X
    if _is_sparse(X):
        raise DataError("Sparse data was passed for X, but dense data is required; X.toarray() makes it dense")
    if isinstance(X, list | tuple) or (isinstance(X, ndarray) and X.dtype == object and X.ndim == 1):
        frames, left_out = bare_frames(X)
        if layout == "nct":
            for frame in frames:
                _refuse_index(frame)
        parts = [_as_array(part, f"series {index} of X") for index, part in enumerate(frames)]
        if not parts:
            raise DataError("X needs at least one series, got an empty list")
        if all(part.ndim == 0 for part in parts):
            raise _too_flat((len(parts),))
        if layout == "nct":
            parts = [part.T if part.ndim == 2 else part for part in parts]
        names = shared_columns(frames) if layout == "ntc" else None  # with channels before time, columns are steps
        if names is not None:
            parts, names = without_row_numbers(parts, names, left_out)
        series = Sequences.from_arrays(parts, channel_names=names)
        _warn_of_single_steps(series, layout)
        return series
    _refuse_index(X)
    if not is_frame(X):
        series = _from_array(_as_array(X, "X"), layout, X)
        _warn_of_single_steps(series, layout)
        return series
    try:
        array = _as_array(X, "X")
        _refuse_index(X, array)
        series = _from_array(array, layout, X)
    except DataError as error:
        raise type(error)(f"{error}; {LONG}") from error
    warn_if_long(X, array)
    return series


def _from_array(array: ndarray, layout: Layout, given: Any) -> Sequences:
    """The series of an array; ``given`` is what the caller handed over."""
    if array.ndim < 2:
        raise _too_flat(array.shape)
    if array.ndim > 3:
        raise DataError(f"X needs (series, time, channel), got an array of shape {array.shape}")
    if not array.shape[0]:
        raise DataError(f"X needs at least one series, got an array of shape {array.shape}")
    if array.ndim == 2:
        array = array[:, :, None]
    elif layout == "nct":
        array = array.transpose(0, 2, 1)
    n, length, channels = array.shape
    for what, size in (("step", length), ("channel", channels)):
        if not size:
            raise DataError(
                f"X needs at least one {what}: Found array with 0 feature(s) (shape={np.shape(given)}) while a minimum "
                "of 1 is required."
            )
    flat = np.ascontiguousarray(as_floats(array, "X")).reshape(n * length, channels)
    return Sequences(flat, np.arange(n + 1, dtype=np.int64) * length, train_dtype=train_dtype_of(array.dtype))


def _warn_of_single_steps(X: Sequences, layout: Layout) -> None:
    """Warn where axes may have been taken for each other: a series of one step has no time for a network to use."""
    if X.n_channels == 1 or len(X) == 1 or (X.lengths > 1).any():
        return
    other = "(series, channel, time), as aeon and sktime have them, layout='nct'"
    if layout == "nct":
        other = "(series, time, channel), layout='ntc'"
    warn(
        f"X has one step and {X.n_channels} channels in every series as layout={layout!r} reads it; if its axes are "
        f"{other} says so, and Sequences.from_arrays(X) that they are not",
        DataWarning,
    )


def as_targets(y: Any, X: Sequences) -> Shaped[ndarray, "series"] | Sequences:
    """Take y in any of its forms.

    Parameters
    ----------
    y
        One value per series, ``(series,)``: numbers, strings or booleans, none missing; or one per step, NaN where
        nothing was observed: `Sequences` of one channel, a list of ``(time_i,)`` or ``(time_i, 1)``, or, when all
        series are of one length, an array ``(series, time)`` or ``(series, time, 1)``.
    X
        The series that y belongs to; their lengths must agree with a y of one value per step.

    Raises
    ------
    DataError
        Numbers or lengths that disagree with X's (the first series that differs is named), a series without any
        target, an infinite value, more than one target.
    """
    if y is None:
        raise DataError("throughtime requires y to be passed, but the target y is None")
    if isinstance(y, Sequences):
        return _checked_steps(y, X)
    if isinstance(y, list | tuple) or (isinstance(y, ndarray) and y.dtype == object and y.ndim == 1):
        try:
            ndims = {np.ndim(part) for part in y}
        except ValueError as error:
            raise DataError(f"y needs one value per series or one per step, got nested lists: {error}") from error
        if len(ndims) > 1 and 0 in ndims:
            raise DataError("y needs one value per series or one per step, got a mix of both")
        if ndims - {0}:
            _same_number(len(y), X)  # before any part of y is refused
            parts = [_as_step_targets(part, index) for index, part in enumerate(y)]
            _check_lengths(np.array([len(part) for part in parts]), X)  # a series of no steps is refused as such
            return _checked_steps(Sequences.from_arrays(parts), X)
    array = np.asarray(unmasked(y))
    if array.ndim == 0:
        raise DataError(f"y should be a 1d array, got {y!r}")
    _same_number(len(array), X)
    if array.ndim > 1 and array.shape[1:] in {(X.shape[1],), (X.shape[1], 1)} and X.shape[1] != 1:
        return _checked_steps(_from_array(_as_step_targets(y), "ntc", y), X)
    if array.ndim == 2 and array.shape[1] == 1:
        from sklearn.exceptions import DataConversionWarning

        warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
        )
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            "y should be a 1d array, one value per series, or hold one value for each step of X; got shape "
            f"{array.shape}"
        )
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: y needs real numbers or labels")
    if array.dtype.kind == "f":
        for bad, name in ((np.isnan(array), "NaN"), (np.isinf(array), "infinity")):
            if bad.any():
                raise DataError(
                    f"Input y contains {name}: y needs a finite value for every series, got {array[bad][0]} "
                    f"at series {int(bad.argmax())}"
                )
    return as_labels(array, "y")


def _as_step_targets(y: Any, series: int | None = None) -> ndarray:
    """Numbers, NaN where nothing was observed: the targets of one series, or with an axis of series those of all."""
    what = "y" if series is None else f"series {series} of y"
    array = _as_array(y, what, _STEP_CLASSES)
    if array.dtype.kind in "UST":
        raise DataError(f"{what} needs real numbers, got text ({array.dtype}){_STEP_CLASSES}")
    infinite = np.argwhere(np.isinf(as_floats(array, what)))
    if len(infinite):
        place = infinite[0] if series is None else (series, *infinite[0])
        raise DataError(
            f"y needs finite values (NaN where nothing was observed), got {array[tuple(infinite[0])]} at series "
            f"{place[0]}, step {place[1]}"
        )
    if series is not None and (array.ndim > 2 or array.shape[1:] not in ((), (1,))):
        raise DataError(f"y needs one target per step, got an array of shape {array.shape} for series {series}")
    return array


def _checked_steps(y: Sequences, X: Sequences) -> Sequences:
    _same_number(len(y), X)
    if y.n_channels != 1:
        raise DataError(f"y needs one target per step, got {y.n_channels} channels")
    _check_lengths(y.lengths, X)
    observed = np.logical_or.reduceat(~np.isnan(y.values[:, 0]), y.offsets[:-1])
    if not observed.all():
        raise DataError(f"y needs an observed value in every series, series {int(observed.argmin())} has none")
    return y


def _check_lengths(lengths: ndarray, X: Sequences) -> None:
    differ = lengths != X.lengths
    if differ.any():
        index = int(differ.argmax())
        raise DataError(
            f"y needs one value for each step of X, got {lengths[index]} values for the {X.lengths[index]} steps "
            f"of series {index}"
        )


def _same_number(n: int, X: Sequences) -> None:
    if n != len(X):
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: [{len(X)}, {n}]; "
            "y needs one entry for each series of X"
        )


def _as_array(array: Any, what: str, cure_of_text: str = "") -> ndarray:
    try:
        converted: ndarray = np.asarray(unmasked(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{what} needs to be an array of numbers: {error}") from error
    if converted.dtype == object and converted.ndim >= 1:
        # Numbers in an object array are numbers (scikit-learn's check_dtype_object); text that looks like one is not.
        text = next((element for element in converted.flat if isinstance(element, str | bytes)), None)
        if text is not None:
            raise DataError(f"{what} needs real numbers, got {text!r} in an array of dtype object{cure_of_text}")
        try:
            return converted.astype(np.float64)
        except TypeError as error:
            raise NotNumbersError(f"{what} needs real numbers, got dtype object: {error}") from error
        except (ValueError, OverflowError) as error:
            raise DataError(f"{what} needs real numbers, got dtype object: {error}") from error
    return converted


def _refuse_index(X: Any, values: ndarray | None = None) -> None:
    """Refuse a frame, a step per column, among whose steps the index of a frame stands that was written to a file."""
    columns = getattr(X, "column_names", getattr(X, "columns", ()))
    names = list(columns) if isinstance(columns, Iterable) else []
    index = [name for name in names if nameless(name)]
    if values is not None and values.ndim == 2 and len(names) == values.shape[1]:
        index += [
            name
            for name, step in zip(names, values.T, strict=True)
            if isinstance(name, str) and numbers_rows(name, step, 1)
        ]
    if index:
        raise DataError(
            f"X needs a column for each step, got {index[0]!r}, as the index of a data frame is read from a file; "
            f"X.drop(columns={index!r}) leaves it out"
        )


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "tocsr") and hasattr(X, "toarray")


def _too_flat(shape: tuple[int, ...]) -> DataError:
    return DataError(
        f"Expected 2D array, got {len(shape)}D array instead: X needs (series, time, channel), a list of "
        f"(time, channel), or (series, time), got shape {shape}. Reshape your data either using X[None, :, None] if it "
        "is one series or X[:, None] if it holds one step of each series."
    )
