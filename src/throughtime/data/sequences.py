"""Ragged series in one flat buffer, of which every series, selection and window is a view."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import EllipsisType
from typing import Any, overload

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike

from throughtime.data.frames import column_names, shared_columns
from throughtime.data.index_columns import bare_frames, without_row_numbers
from throughtime.data.windows import (
    WindowSource,
    covered_stretches,
    joined_source,
    source_of_cut,
    taken_source,
    window_places,
)
from throughtime.errors import DataError, ParameterError

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_EXACT = 1 << 24  # integers up to here are float32 without loss
_CHUNK = 1 << 16  # rows scanned at a time, so that looking for inf needs no second copy of the values


class Sequences:
    """Series of unequal length, ``series time channel``; immutable.

    Parameters
    ----------
    values
        The steps of all series, one series after the other, ``(step, channel)``. float32 and float64 stay what they
        are, integers and booleans become float32, or float64 where there are some beyond 2**24. An array that fits is
        shared, not copied: leave it unchanged.
    offsets
        Where each series begins in ``values``, and the end of the last: ``(series + 1,)``.
    times
        When each step of ``values`` was, ``(step,)``: numbers (kept as float64) or datetimes (datetime64[ns]),
        increasing within a series.
    groups
        The group each series belongs to, ``(series,)``: integers, strings, ...
    static
        Features of a whole series, ``(series, feature)``, held in float32 beside float32 values unless they would lose
        digits by it, else in float64.
    channel_names, static_names
        One name per channel, and per static feature; a data frame of static features brings its own.
    time_zone
        The zone in which ``times``, then UTC, are to be written.
    train_dtype
        float32 or float64: the precision in which a network with ``dtype="auto"`` trains on these series; when not
        given that of the values, and float32 of integers. What is read from a file holds float64, so that no digit is
        lost before the values are centered, and trains in float32.

    Raises
    ------
    DataError
        No series at all, a series without steps, an infinite value, values that are not real numbers, or parts whose
        sizes differ. NaN is data: a value that was not observed.

    Notes
    -----
    ``X[i]`` is one series, ``(time, channel)``, read-only; ``X[1:5]``, ``X[[3, 1]]`` and ``X[mask]`` are `Sequences`
    again. None of them copies values, nor does `windows`: they point into the same `buffer`.
    """

    __slots__ = (
        "_buffer",
        "_channel_names",
        "_groups",
        "_lengths",
        "_source",
        "_starts",
        "_static",
        "_static_names",
        "_time_zone",
        "_times",
        "_train_dtype",
    )

    _buffer: ndarray
    _starts: ndarray
    _lengths: ndarray
    _source: WindowSource | None
    _times: ndarray | None
    _groups: ndarray | None
    _static: ndarray | None
    _channel_names: tuple[str, ...] | None
    _static_names: tuple[str, ...] | None
    _time_zone: str | None
    _train_dtype: np.dtype[Any]

    def __init__(
        self,
        values: Shaped[ndarray, "step channel"],
        offsets: ArrayLike,
        *,
        times: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        static: ArrayLike | None = None,
        channel_names: Iterable[str] | None = None,
        static_names: Iterable[str] | None = None,
        time_zone: str | None = None,
        train_dtype: DTypeLike | None = None,
    ) -> None:
        values = np.asarray(unmasked(values))
        if values.ndim != 2:
            raise DataError(f"values needs two axes, (step, channel), got shape {values.shape}")
        buffer = np.ascontiguousarray(as_floats(values, "values"))
        edges = _checked_offsets(offsets, len(buffer))
        names = _checked_names(channel_names, buffer.shape[1], "channel")
        _refuse_infinite(buffer, edges, names)
        features = _checked_static(static, len(edges) - 1, buffer.dtype)
        trained = train_dtype_of(values.dtype) if train_dtype is None else _checked_dtype(train_dtype, "train_dtype")
        static_names = column_names(static) if static_names is None else static_names
        self._fill(
            buffer=buffer,
            starts=edges[:-1],
            lengths=np.diff(edges),
            source=None,
            times=_checked_times(times, edges),
            groups=None if groups is None else as_labels(groups, "groups", len(edges) - 1),
            static=features,
            channel_names=names,
            static_names=_checked_names(static_names, _width(features), "static"),
            time_zone=time_zone,
            train_dtype=trained,
        )

    def _fill(self, **parts: Any) -> "Sequences":
        for name, part in parts.items():
            setattr(self, f"_{name}", _read_only(part) if isinstance(part, ndarray) else part)
        return self

    @classmethod
    def from_arrays(
        cls,
        arrays: Iterable[ArrayLike],
        *,
        times: Iterable[ArrayLike] | None = None,
        groups: ArrayLike | None = None,
        static: ArrayLike | None = None,
        channel_names: Iterable[str] | None = None,
        static_names: Iterable[str] | None = None,
        time_zone: str | None = None,
        train_dtype: DTypeLike | None = None,
    ) -> "Sequences":
        """Copy arrays, one per series, into one buffer.

        Parameters
        ----------
        arrays
            ``(time, channel)`` each, or ``(time,)`` for a single channel. One float64 array, or one of integers beyond
            2**24, makes all float64. Data frames name the channels by their columns, the same ones in each; without
            ``channel_names``, columns that number the rows are left out (`DataWarning`).
        times
            One ``(time,)`` per series.
        groups, static, channel_names, static_names, time_zone, train_dtype
            As in the class.
        """
        arrays, left_out = bare_frames(arrays) if channel_names is None else (list(arrays), {})
        parts = [_as_steps(array, index) for index, array in enumerate(arrays)]
        if not parts:
            raise DataError("X needs at least one series, got none")
        own_names = shared_columns(arrays)
        if channel_names is None and own_names is not None:
            parts, channel_names = without_row_numbers(parts, own_names, left_out)
        n_channels = parts[0].shape[1]
        for index, part in enumerate(parts):
            if part.shape[1] != n_channels:
                raise DataError(
                    f"X needs the same channels in every series, got {part.shape[1]} in series {index} "
                    f"and {n_channels} in series 0"
                )
        lengths = [len(part) for part in parts]
        trained = np.result_type(*{train_dtype_of(p.dtype) for p in parts}) if train_dtype is None else train_dtype
        values = np.empty((sum(lengths), n_channels), np.result_type(*{_held_dtype(part) for part in parts}))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and refused as such
            np.concatenate(parts, out=values, casting="same_kind")
        flat_times = None
        if times is not None:
            clocks = [np.asarray(unmasked(clock)) for clock in times]
            if [clock.shape for clock in clocks] != [(length,) for length in lengths]:
                raise DataError("times needs one 1-D array per series, with one time per step")
            flat_times = np.concatenate(clocks)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(
            values,
            offsets,
            times=flat_times,
            groups=groups,
            static=static,
            channel_names=channel_names,
            static_names=static_names,
            time_zone=time_zone,
            train_dtype=trained,
        )

    @property
    def buffer(self) -> Float[ndarray, "row channel"]:
        """The flat array that `starts` and `lengths` point into; a selection shares it with what it came from.

        It may hold rows that are in none of these series: statistics are to be taken over `values`.
        """
        return self._buffer

    @property
    def starts(self) -> Int[ndarray, "series"]:
        """The row of `buffer` at which each series begins."""
        return self._starts

    @property
    def lengths(self) -> Int[ndarray, "series"]:
        """Steps in each series."""
        return self._lengths

    @property
    def offsets(self) -> Int[ndarray, "edge"]:
        """Where each series begins in `values`, and the end of the last."""
        return np.concatenate([[0], np.cumsum(self._lengths)])

    @property
    def values(self) -> Float[ndarray, "step channel"]:
        """All steps, one series after the other; copied only where they do not already lie so in `buffer`."""
        return self._in_order(self._buffer)

    @property
    def times(self) -> Shaped[ndarray, "step"] | None:
        """When each step of `values` was, float64 or datetime64[ns]."""
        return None if self._times is None else self._in_order(self._times)

    @property
    def groups(self) -> Shaped[ndarray, "series"] | None:
        """The group of each series."""
        return self._groups

    @property
    def static(self) -> Float[ndarray, "series feature"] | None:
        """Features of each series as a whole."""
        return self._static

    @property
    def channel_names(self) -> tuple[str, ...] | None:
        """Names of the channels."""
        return self._channel_names

    @property
    def static_names(self) -> tuple[str, ...] | None:
        """Names of the static features."""
        return self._static_names

    @property
    def time_zone(self) -> str | None:
        """The zone in which `times` are to be written; they are in UTC where there is one."""
        return self._time_zone

    @property
    def train_dtype(self) -> np.dtype[Any]:
        """float32 or float64: the precision in which a network with ``dtype="auto"`` trains."""
        return self._train_dtype

    @property
    def source(self) -> WindowSource | None:
        """Which series each of these was cut from, and where; None when they are no windows.

        Equality leaves it out: it compares what is in the series.
        """
        return self._source

    @property
    def n_channels(self) -> int:
        """Channels of every series."""
        return int(self._buffer.shape[1])

    @property
    def n_steps(self) -> int:
        """Steps of all series together."""
        return int(self._lengths.sum())

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._buffer.dtype

    @property
    def shape(self) -> tuple[int, int | None, int]:
        """``(series, time, channel)``; time is None when the lengths differ. scikit-learn's splitting reads it."""
        equal = len(self) > 0 and bool((self._lengths == self._lengths[0]).all())
        return len(self), int(self._lengths[0]) if equal else None, self.n_channels

    def times_of(self, index: int) -> Shaped[ndarray, "time"] | None:
        """When the steps of one series were."""
        if self._times is None:
            return None
        return self._times[self._rows_of(index)]

    def astype(self, dtype: DTypeLike) -> "Sequences":
        """The same series held, and trained on, in a dtype, float32 or float64; itself when all is so already."""
        dtype = _checked_dtype(dtype, "dtype")
        if dtype == self.dtype == self.train_dtype and (self._static is None or self._static.dtype == dtype):
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            buffer = self._buffer.astype(dtype, copy=False)
            static = None if self._static is None else self._static.astype(dtype)
        cast = self._like(buffer=buffer, static=static, train_dtype=dtype)
        row = first_infinite(buffer)
        if row is not None:
            raise DataError(f"dtype needs to hold every value, got {self._buffer[row]} for {dtype}")
        return cast

    def to_train_in(self, dtype: DTypeLike) -> "Sequences":
        """The same series to be trained on in float32 or float64, held as they are where no digit is lost by it."""
        dtype = _checked_dtype(dtype, "dtype")
        return self.astype(dtype) if dtype == np.float64 else self.replace(train_dtype=dtype)

    def windows(self, length: int, stride: int = 1, *, history: int = 0) -> "Sequences":
        """Every window of ``length`` steps, ``stride`` steps apart, as series of their own; no value is copied.

        Groups, static features and times come along with each window, which knows its `source`. A series shorter than
        ``length`` has none.

        Parameters
        ----------
        history
            Steps before its own that a window takes in as well, as far as its series reaches back, to be read from and
            never to be a target: `without_history` takes these of the targets out. Own steps may then not overlap.

        Raises
        ------
        ParameterError
            A length or stride below 1, a negative history, or one with a stride below the length.
        DataError
            No series is long enough.
        """
        at = window_places(self._lengths, length, stride, history)
        return self._cut(at.series, at.begins, at.ends, at.history)

    def without_history(self) -> "Sequences":
        """The same series, NaN at the steps that are history in their `source`: for targets; values are copied."""
        if self._source is None or not self._source.history.any():
            return self
        values = self.values.copy()
        history, offsets = self._source.history, self.offsets
        age = np.arange(offsets[-1]) - np.repeat(offsets[:-1], self._lengths)
        values[age < np.repeat(history, self._lengths)] = np.nan
        return self._like(buffer=values, times=self.times, starts=offsets[:-1])

    def cut(
        self, series: ArrayLike, begins: ArrayLike, ends: ArrayLike, *, history: ArrayLike | None = None
    ) -> "Sequences":
        """Pieces as series of their own: the steps from ``begins[i]`` up to ``ends[i]`` of ``series[i]``.

        No value is copied, pieces may overlap; groups, static features and times come along with each, which knows its
        `source`.

        Parameters
        ----------
        history
            Steps at the start of each piece that are input alone; none when not given.
        """
        none = np.zeros(np.shape(series), np.int64)
        given = (series, begins, ends, none if history is None else history)
        index, first, last, before = (np.array(part, np.int64) for part in given)
        if index.ndim != 1 or len({part.shape for part in (index, first, last, before)}) > 1:
            raise ParameterError(f"cut needs parts of one length, got {index.shape}, {first.shape}, {last.shape}")
        outside = (index < 0) | (index >= len(self)) | (first < 0) | (first >= last)
        outside[~outside] = last[~outside] > self._lengths[index[~outside]]
        if outside.any():
            at = int(outside.argmax())
            raise ParameterError(
                f"cut needs steps within a series, got {first[at]} to {last[at]} of series {index[at]}"
            )
        if ((before < 0) | (before >= last - first)).any():
            raise ParameterError("cut needs a history shorter than each piece")
        return self._cut(index, first, last, before)

    def stretches(self, *, touching: bool = True) -> "Sequences":
        """The stretches of their series that windows cover, each step once; no value is copied.

        Series that are no windows are their own stretches, and so are windows that were copied one by one. Groups and
        static features stay behind.

        Parameters
        ----------
        touching
            Whether windows side by side are one stretch too, or only those with a step in common.
        """
        if self._source is None or not len(self):
            return self
        at = covered_stretches(self._source, self._starts, self._lengths, touching=touching)
        return self._like(
            starts=at.starts,
            lengths=at.lengths,
            groups=None,
            static=None,
            static_names=None,
            source=source_of_cut(None, at.series, at.begins, np.zeros_like(at.begins)),
        )

    def padded(self, length: int | None = None, fill: int | float = np.nan) -> Float[ndarray, "series time channel"]:
        """Copy into one array, ``fill`` standing after a series' end.

        Parameters
        ----------
        length
            Steps of the array, at least the longest series' (the default).
        """
        longest = int(self._lengths.max(initial=0))
        if length is None:
            length = longest
        if length < longest:
            raise ParameterError(f"length needs at least the {longest} steps of the longest series, got {length}")
        padded = np.full((len(self), length, self.n_channels), fill, self.dtype)
        padded[np.arange(length) < self._lengths[:, None]] = self.values
        return padded

    def without_times(self) -> "Sequences":
        """The same series, of which nothing says when their steps were; no value is copied."""
        return self._like(times=None, time_zone=None)

    def packed(self) -> "Sequences":
        """The same series in a buffer that holds nothing else; itself when its buffer is like that."""
        if self._is_packed():
            return self
        return self._like(buffer=self.values, times=self.times, starts=self.offsets[:-1])

    def replace(
        self,
        *,
        groups: ArrayLike | None = None,
        static: ArrayLike | None = None,
        channel_names: Iterable[str] | None = None,
        static_names: Iterable[str] | None = None,
        time_zone: str | None = None,
        train_dtype: DTypeLike | None = None,
    ) -> "Sequences":
        """The same series with other parts; what is not given stays. Empty names take those there are away."""
        features = self._static if static is None else _checked_static(static, len(self), self.dtype)
        static_names = column_names(static) if static_names is None else static_names
        own_names = self._static_names if _width(features) == _width(self._static) else None
        return self._like(
            groups=self._groups if groups is None else as_labels(groups, "groups", len(self)),
            static=features,
            channel_names=_replaced_names(channel_names, self._channel_names, self.n_channels, "channel"),
            static_names=_replaced_names(static_names, own_names, _width(features), "static"),
            time_zone=self._time_zone if time_zone is None else time_zone,
            train_dtype=self._train_dtype if train_dtype is None else _checked_dtype(train_dtype, "train_dtype"),
        )

    def take_channels(self, channels: Sequence[int]) -> "Sequences":
        """The same series with some of their channels, by number and in this order; values are copied."""
        names = None if self._channel_names is None else tuple(self._channel_names[number] for number in channels)
        return self._like(buffer=np.take(self._buffer, channels, axis=1), channel_names=names)

    def with_channels(
        self, values: Float[ndarray, "step channel"], channel_names: Iterable[str] | None = None
    ) -> "Sequences":
        """The same series with other channels; all else stays.

        Parameters
        ----------
        values
            float32 or float64, a row for each step in the order of `values`. Shared, not copied.
        channel_names
            Their names; none by default.

        Raises
        ------
        DataError
            For another number of rows, an infinite value, or what are no floats.
        """
        if values.ndim != 2 or len(values) != self.n_steps or values.dtype not in _FLOATS:
            raise DataError(
                f"values needs a row of floats for each of the {self.n_steps} steps, got {values.dtype} of shape "
                f"{values.shape}"
            )
        names = _checked_names(channel_names, values.shape[1], "channel")
        offsets = self.offsets
        _refuse_infinite(values, offsets, names)
        buffer = np.ascontiguousarray(values)
        return self._like(buffer=buffer, times=self.times, starts=offsets[:-1], channel_names=names)

    def take_static(self, features: Sequence[int]) -> "Sequences":
        """The same series with some of their static features, by number and in this order."""
        if self._static is None:
            raise ParameterError("take_static needs series with static features, got none")
        names = None if self._static_names is None else tuple(self._static_names[number] for number in features)
        return self._like(static=np.take(self._static, features, axis=1), static_names=names)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Float[ndarray, "time channel"]]:
        return (self._buffer[start : start + length] for start, length in zip(self._starts, self._lengths, strict=True))

    @overload
    def __getitem__(self, rows: int) -> Float[ndarray, "time channel"]: ...

    @overload
    def __getitem__(self, rows: slice | ndarray | Sequence[int] | tuple[Any, EllipsisType]) -> "Sequences": ...

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
            rows = rows[0]  # scikit-learn asks for X[rows, ...]
        if isinstance(rows, tuple):
            raise IndexError(f"series are taken along one axis, got {rows!r}; X[list(rows)] takes several")
        if not isinstance(rows, slice):
            index = np.asarray(rows)
            if index.size == 0 and not isinstance(rows, ndarray):
                index = index.astype(np.intp)
            if index.dtype.kind not in "iub" or index.ndim > 1 or (index.dtype.kind == "b" and index.ndim == 0):
                raise IndexError(f"series are taken by an int, a slice, ints or a boolean mask, got {rows!r}")
            if index.ndim == 0:
                return self._buffer[self._rows_of(int(index))]
            rows = index
        return self._like(
            starts=self._starts[rows],
            lengths=self._lengths[rows],
            groups=None if self._groups is None else self._groups[rows],
            static=None if self._static is None else self._static[rows],
            source=taken_source(self._source, rows),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequences):
            return NotImplemented
        return (
            self.dtype == other.dtype
            and self._channel_names == other._channel_names
            and self._static_names == other._static_names
            and self._time_zone == other._time_zone
            and self.train_dtype == other.train_dtype
            and np.array_equal(self._lengths, other._lengths)
            and np.array_equal(self.values, other.values, equal_nan=True)
            and _same(self.times, other.times)
            and _same(self._groups, other._groups)
            and _same(self._static, other._static)
        )

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> ndarray:
        if self.shape[1] is None:
            raise DataError(
                f"an array needs series of one length, got {min(self._lengths, default=0)} to "
                f"{max(self._lengths, default=0)} steps; padded() fills them up"
            )
        if copy is False:
            raise ValueError("series become an array only by copying")
        return self.padded().astype(self.dtype if dtype is None else dtype, copy=False)

    def __repr__(self) -> str:
        low, high = min(self._lengths, default=0), max(self._lengths, default=0)
        steps = f"{low}" if low == high else f"{low}-{high}"
        extras = [
            "" if self._times is None else f", times={self._times.dtype}",
            "" if self._groups is None else f", groups={len(np.unique(self._groups))}",
            "" if self._static is None else f", static={self._static.shape[1]}",
        ]
        return (
            f"Sequences({len(self)} series, {steps} steps, {self.n_channels} channels, {self.dtype}{''.join(extras)})"
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # A fold must not drag the whole data set along, nor windows be written out once per overlap.
        lean = self.packed() if self.n_steps < len(self._buffer) else self
        return _restore, (type(self), {name: getattr(lean, f"_{name}") for name in _PARTS})

    def _cut(self, series: ndarray, begins: ndarray, ends: ndarray, history: ndarray) -> "Sequences":
        return self._like(
            starts=self._starts[series] + begins,
            lengths=ends - begins,
            groups=None if self._groups is None else self._groups[series],
            static=None if self._static is None else self._static[series],
            source=source_of_cut(self._source, series, begins, history),
        )

    def _like(self, **changed: Any) -> "Sequences":
        parts = {name: changed.get(name, getattr(self, f"_{name}")) for name in _PARTS}
        return object.__new__(type(self))._fill(**parts)

    def _rows_of(self, index: int) -> slice:
        if not -len(self) <= index < len(self):
            raise IndexError(f"series {index} is not among {len(self)}")
        return slice(self._starts[index], self._starts[index] + self._lengths[index])

    def _is_packed(self) -> bool:
        return self.n_steps == len(self._buffer) and bool((self._starts == self.offsets[:-1]).all())

    def _in_order(self, flat: ndarray) -> ndarray:
        offsets = self.offsets
        first = self._starts[0] if len(self) else 0
        if (self._starts - first == offsets[:-1]).all():
            ordered: ndarray = flat[first : first + offsets[-1]]
        else:
            ordered = flat[np.repeat(self._starts - offsets[:-1], self._lengths) + np.arange(offsets[-1])]
        ordered.flags.writeable = False
        return ordered


_PARTS = tuple(name.removeprefix("_") for name in Sequences.__slots__)


def _restore(cls: type[Sequences], parts: dict[str, Any]) -> Sequences:
    return object.__new__(cls)._fill(**parts)


def concatenate(parts: Iterable[Sequences]) -> Sequences:
    """Join several `Sequences` of the same channels; those that share a buffer keep sharing it.

    float32 beside float64 is joined in float64. Windows beside series that are none are no windows: they lose their
    `source`.

    Raises
    ------
    DataError
        No `Sequences`, something else, or some that differ in what they hold: channels, static features, the names of
        either, the kind of times or of groups, the time zone, the dtype to train in.
    """
    if isinstance(parts, Sequences) or not isinstance(parts, Iterable):
        raise DataError(f"concatenate needs a list of Sequences, got {type(parts).__name__}")
    parts = tuple(parts)
    for part in parts:
        if not isinstance(part, Sequences):
            cure = "; its X is one" if hasattr(part, "X") else "; as_sequences makes one"
            raise DataError(f"concatenate needs Sequences, got {type(part).__name__}{cure}")
    if not parts:
        raise DataError("concatenate needs at least one Sequences, got none")
    first = parts[0]
    for part in parts[1:]:
        for what, got, want in (
            ("channels", part.n_channels, first.n_channels),
            ("channel names", part.channel_names, first.channel_names),
            ("kind of times", kind_of_times(part), kind_of_times(first)),
            ("kind of groups", kind_of_groups(part), kind_of_groups(first)),
            ("static features", _width(part._static), _width(first._static)),
            ("static names", part.static_names, first.static_names),
            ("time zone", part.time_zone, first.time_zone),
            ("training dtype", part.train_dtype, first.train_dtype),
        ):
            if got != want:
                raise DataError(f"concatenate needs the same {what} in every part, got {got} beside {want}")
    shared = all(part._buffer is first._buffer and part._times is first._times for part in parts)
    if not shared:
        parts = tuple(part.packed() for part in parts)
    shifts = np.zeros(len(parts), np.int64)
    if not shared:
        shifts[1:] = np.cumsum([len(part._buffer) for part in parts[:-1]])
    return first._like(
        buffer=first._buffer if shared else np.concatenate([part._buffer for part in parts]),
        times=first._times if shared else _joined([part._times for part in parts]),
        starts=np.concatenate([part._starts + shift for part, shift in zip(parts, shifts, strict=True)]),
        lengths=np.concatenate([part._lengths for part in parts]),
        groups=_joined([part._groups for part in parts]),
        static=_joined([part._static for part in parts]),
        source=joined_source([part._source for part in parts], [part._starts for part in parts], shared=shared),
    )


def kind_of_times(X: Sequences) -> str:
    """In words, alike where times can stand beside each other: "no times", "numbers as times", ..."""
    if X._times is None:
        return "no times"
    if X._times.dtype.kind != "M":
        return "numbers as times"
    return "dates as times" if X.time_zone is None else "dates with a time zone"


def kind_of_groups(X: Sequences) -> str:
    """In words, alike where one array holds the labels of both as they are: 1 and "1" are two groups, and so is True.

    "no groups" where there are none.
    """
    if X.groups is None:
        return "no groups"
    return {"b": "booleans as groups", "M": "dates as groups", "U": "text as groups", "O": "text as groups"}.get(
        X.groups.dtype.kind, "numbers as groups"
    )


def unmasked(array: Any) -> Any:
    """A masked array with NaN, or None where it holds no numbers, in the place of what is masked; others as they are.

    numpy.asarray would give what stands under the mask.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    if not np.ma.is_masked(array):
        return array.data
    numbers = array.dtype.kind in "biuf"
    data = array.data
    values: ndarray = as_floats(data, "a masked array").copy() if numbers else data.astype(object)
    values[array.mask] = np.nan if numbers else None
    return values


def as_floats(array: ndarray, what: str) -> ndarray:
    """Real numbers as float32 or float64, floats as they are and others without loss; else a `DataError`.

    Integers beyond 2**53 are rounded, and float128, to float64.
    """
    dtype = _held_dtype(array, what)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):  # a signaling NaN is one like any other
        return array.astype(dtype)


def train_dtype_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The precision to train in on an array of some dtype: its own, and float32 where it holds no fractions."""
    return np.dtype(np.float64 if dtype.kind == "f" and dtype.itemsize > 4 else np.float32)


def as_labels(labels: ArrayLike, what: str, n_series: int | None = None) -> ndarray:
    """Labels, one per series, as an array of integers, floats, booleans, datetimes or text; none may be missing.

    Text comes out as an object array of ``str``, unless it came in as an array of NumPy's text.
    """
    array = np.asarray(unmasked(labels))
    if array.ndim != 1 or (n_series is not None and len(array) != n_series):
        need = "one value per series" if n_series is None else f"one value for each of the {n_series} series"
        raise DataError(f"{what} needs {need}, got shape {array.shape}")
    if array.dtype.kind in "OT":
        for index, label in enumerate(array):
            if _is_missing(label):
                raise DataError(f"{what} needs a value for every series, series {index} has none ({label!r})")
        kinds = {type(label) for label in array}
        if all(issubclass(kind, str) for kind in kinds):
            array = as_text(array)
        elif all(issubclass(kind, bool | np.bool_) for kind in kinds):
            array = array.astype(np.bool_)
        elif all(issubclass(kind, int | np.integer) for kind in kinds):
            array = _narrowed(array, np.int64, what)
        elif all(issubclass(kind, int | float | np.number) for kind in kinds):
            array = _narrowed(array, np.float64, what)
        else:
            raise DataError(f"{what} needs labels of one kind, got {', '.join(sorted(k.__name__ for k in kinds))}")
    if array.dtype.kind not in "biufMUO":
        raise DataError(f"{what} needs numbers, strings or dates, got {array.dtype}")
    missing = np.isnan(array) if array.dtype.kind == "f" else np.isnat(array) if array.dtype.kind == "M" else None
    if missing is not None and missing.any():
        raise DataError(f"{what} needs a value for every series, series {int(missing.argmax())} has none (NaN)")
    return array.copy() if array is labels else array


def as_text(labels: Iterable[Any]) -> ndarray:
    """Text as an array of Python's: NumPy's own gives every label the room of the longest, and cuts NUL off its end."""
    words = [str(label) for label in labels]
    array = np.empty(len(words), object)
    array[:] = words
    return array


def first_infinite(values: Float[ndarray, "step channel"]) -> tuple[int, int] | None:
    """Row and column of the first infinite value."""
    for start in range(0, len(values), _CHUNK):
        chunk = np.isinf(values[start : start + _CHUNK])
        if chunk.any():
            row, column = np.unravel_index(int(chunk.argmax()), chunk.shape)
            return start + int(row), int(column)
    return None


def named_channel(names: Sequence[str] | None, channel: int) -> str:
    """``channel 'tmin' (1)``, or ``channel 1`` when it has no name."""
    return f"channel {channel}" if names is None else f"channel {names[channel]!r} ({channel})"


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:  # pandas.NA has no truth value
        return True


def _narrowed(array: ndarray, dtype: type, what: str) -> ndarray:
    try:
        return array.astype(dtype)
    except OverflowError as error:
        raise DataError(f"{what} needs numbers of at most 64 bits: {error}") from error


def _held_dtype(array: ndarray, what: str = "X") -> np.dtype[Any]:
    dtype = array.dtype
    if dtype.kind == "f":
        return dtype if dtype in _FLOATS else train_dtype_of(dtype)
    if dtype.kind in "biu":
        small = dtype.itemsize <= 2 or (array.max(initial=0) <= _EXACT and array.min(initial=0) >= -_EXACT)
        return np.dtype(np.float32 if small else np.float64)
    if dtype.kind == "c":
        raise DataError(f"Complex data not supported: {what} needs real numbers, got {dtype}")
    raise DataError(f"{what} needs real numbers, got dtype {dtype}")


def _as_steps(array: ArrayLike, index: int) -> ndarray:
    steps = np.asarray(unmasked(array))
    if steps.ndim == 1:
        steps = steps[:, None]
    if steps.ndim != 2:
        raise DataError(f"X needs (time, channel) in every series, series {index} has shape {steps.shape}")
    _held_dtype(steps, f"X (series {index})")
    return steps


def _checked_offsets(offsets: ArrayLike, n_steps: int) -> ndarray:
    edges = np.asarray(unmasked(offsets))
    if edges.ndim != 1 or edges.dtype.kind not in "iu":
        raise DataError(f"offsets needs one axis of integers, got {edges.dtype} of shape {edges.shape}")
    edges = edges.astype(np.int64)
    if len(edges) < 2:
        raise DataError(f"X needs at least one series, got {len(edges)} offsets")
    if edges[0] != 0 or edges[-1] != n_steps:
        raise DataError(f"offsets needs to run from 0 to the {n_steps} steps, got {edges[0]} to {edges[-1]}")
    falls = edges[1:] < edges[:-1]  # the difference of large ones would wrap around
    if falls.any():
        raise DataError(f"offsets needs increasing values, got a decrease after series {int(falls.argmax())}")
    lengths = np.diff(edges)
    if not lengths.all():
        raise DataError(f"X needs at least one step in every series, series {int((lengths == 0).argmax())} has none")
    return edges


def _checked_names(names: Iterable[str] | None, count: int, of: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    names = tuple(str(name) for name in names)
    if len(names) != count:
        what = "channels" if of == "channel" else "static features"
        raise DataError(f"{of}_names needs one name for each of the {count} {what}, got {len(names)}")
    return names


def _replaced_names(
    names: Iterable[str] | None, present: tuple[str, ...] | None, count: int, of: str
) -> tuple[str, ...] | None:
    return present if names is None else _checked_names(tuple(names) or None, count, of)


def _checked_dtype(dtype: DTypeLike, what: str) -> np.dtype[Any]:
    checked = np.dtype(dtype)
    if checked not in _FLOATS:
        raise ParameterError(f"{what} needs float32 or float64, got {checked}")
    return checked


def _checked_times(times: ArrayLike | None, edges: ndarray) -> ndarray | None:
    if times is None:
        return None
    clock = np.asarray(unmasked(times))
    if clock.shape != (edges[-1],):
        raise DataError(f"times needs one time for each of the {edges[-1]} steps, got shape {clock.shape}")
    if clock.dtype.kind not in "iufM":
        raise DataError(f"times needs numbers or datetime64, got {clock.dtype}")
    clock = clock.astype("datetime64[ns]" if clock.dtype.kind == "M" else np.float64)
    rising = clock[1:] > clock[:-1]
    rising[edges[1:-1] - 1] = True
    known = ~np.isnat(clock) if clock.dtype.kind == "M" else np.isfinite(clock)
    wrong = ~(np.concatenate([[True], rising]) & known)
    if wrong.any():
        row = int(wrong.argmax())
        series = int(np.searchsorted(edges, row, "right")) - 1
        raise DataError(
            f"times needs increasing values within a series, got {clock[row]} in series {series}, "
            f"step {row - edges[series]}"
        )
    return clock


def _checked_static(static: ArrayLike | None, n_series: int, dtype: np.dtype[Any]) -> ndarray | None:
    if static is None:
        return None
    features = np.asarray(unmasked(static))
    if features.ndim == 1:
        features = features[:, None]
    if features.ndim != 2 or len(features) != n_series or not features.shape[1]:
        raise DataError(f"static needs a row for each of the {n_series} series, got shape {np.shape(static)}")
    features = as_floats(features, "static")
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = features.astype(dtype, order="C")
    features = narrow if np.array_equal(narrow, features, equal_nan=True) else features.astype(np.float64, order="C")
    infinite = first_infinite(features)
    if infinite is not None:
        raise DataError(f"static needs finite values, got inf at series {infinite[0]}, feature {infinite[1]}")
    return features


def _refuse_infinite(values: ndarray, edges: ndarray, names: tuple[str, ...] | None) -> None:
    infinite = first_infinite(values)
    if infinite is None:
        return
    row, channel = infinite
    series = int(np.searchsorted(edges, row, "right")) - 1
    raise DataError(
        f"X needs finite values (NaN where nothing was observed), got {values[row, channel]} at series {series}, "
        f"step {row - edges[series]}, {named_channel(names, channel)}"
    )


def _read_only(array: ndarray) -> ndarray:
    view = array if array.base is not None and not array.flags.writeable else array.view()
    view.flags.writeable = False
    return view


def _same(one: ndarray | None, other: ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" and other.dtype.kind == "f")


def _width(features: ndarray | None) -> int:
    return 0 if features is None else int(features.shape[1])


def _joined(parts: Sequence[ndarray | None]) -> ndarray | None:
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays) if arrays else None
