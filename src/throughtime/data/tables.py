"""A long table, one row per step, taken apart into series.

Tables come in through the Arrow C stream: pyarrow's, pandas' and polars' alike.
"""

import csv
import difflib
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.data.dataset import Columns, Dataset, Decimal, TargetKind, Untargeted
from throughtime.data.description import most_classes
from throughtime.data.index_columns import note_on_left_out, row_numbers, without_index
from throughtime.data.reasons import reason, shown, shown_column
from throughtime.data.sequences import Sequences, as_text, first_infinite, named_channel
from throughtime.data.text_numbers import Stray, stray_text
from throughtime.data.untargeted import leave_out
from throughtime.errors import DataError, DataWarning, ParameterError, warn

if TYPE_CHECKING:
    import pyarrow as pa

_LISTED = 20  # columns named in a message
_EXACT = 2**53  # integers up to here are floats without loss


def from_table(
    table: Any,
    *,
    id: str | None,  # noqa: A002 - the word of the command line
    time: str | None = None,
    target: str | None = None,
    group: str | None = None,
    static: Iterable[str] = (),
    channels: Iterable[str] | None = None,
    target_kind: TargetKind = "auto",
    own_past: bool = False,
    targets: Untargeted = "drop",
    require_target: bool = True,
    dtype: DTypeLike = "float32",
    for_windows: bool = False,
    decimal: Decimal | None = None,
    name: str = "table",
    source: str = "table",
) -> Dataset:
    """Take a long table apart into series.

    Parameters
    ----------
    table
        A pyarrow, pandas or polars table, or anything else with ``__arrow_c_stream__``; one row per step.
    id
        The column that tells series apart. They keep the order in which they first appear.
    time
        The column to sort each series by: numbers, dates or timestamps, no value twice in a series. Without it the
        rows keep their order. Timestamps with a time zone are kept in UTC, the zone in ``X.time_zone``.
    target
        The column to predict. Constant in every series: one value per series. Otherwise one per step.
    group
        The column that says which series belong together; constant in a series.
    static
        Numeric columns that describe a series as a whole; constant in a series.
    channels
        Numeric columns that change from step to step; all that are left when not given, but for those that number the
        rows, as the index of a data frame does (`DataWarning`). A null becomes NaN.
    target_kind
        ``"auto"`` takes the target as one per step when it varies within a series, or when it is a float that is null
        on some steps of a series but not on others; ``"series"`` and ``"step"`` settle it. Labels (text, booleans) are
        never one per step; integers and labels may be null on some steps of a series. For windows what is one per
        series may change within a series: see `Dataset.windows`.
    own_past
        Whether the target, one per step, is a channel too, the last if ``channels`` does not name it: for a forecast,
        which sees of it what lies a horizon back.
    targets
        What becomes of series without a target where one is required: ``"drop"`` leaves them out (`DataWarning`),
        ``"error"`` refuses the table.
    require_target
        Whether to refuse a table without the target. When False and the target is missing, for one series even, y is
        None: so the data that a model is to predict are read with the columns that it was trained with.
    dtype
        float32 or float64: what networks with ``dtype="auto"`` train in. Columns are held in float64 unless float32
        holds all that their types can.
    for_windows
        Whether the series are to be cut into windows, by `Dataset.windows`: then a table without ``id`` is one series,
        called by its ``name``, and labels may change within a series (``step_labels``).
    decimal
        The decimal sign by which the table was read from a CSV file; None for other tables.
    name, source
        What the `Dataset` is to be called.

    Raises
    ------
    DataError
        A column that is not there, is not numeric, or is not constant where it has to be; a time that is missing or
        comes twice; inf; no series with a target.
    """
    chosen = None if channels is None else _names(channels, "channels")
    columns = Columns(id, time, target, group, _names(static, "static"), None, target_kind, own_past, targets=targets)
    arrow, index = without_index(_as_arrow(table), asked_for(columns, chosen))
    codes, ids = (np.zeros(len(arrow), np.int64), (name,)) if id is None and for_windows else _series_of(arrow, id)
    return assemble(
        arrow,
        codes,
        ids,
        columns,
        chosen,
        index=index,
        require_target=require_target,
        for_windows=for_windows,
        dtype=dtype,
        decimal=decimal,
        name=name,
        source=source,
    )


def _series_of(table: "pa.Table", id: str | None) -> tuple[ndarray, tuple[str, ...]]:  # noqa: A002
    """The series of each row by its number, and the names of all."""
    if id is None:
        raise DataError(
            "id (--id) needs the column that tells series apart, one row being one step, got none; "
            f"{_listing(table.column_names)} (a directory of files takes each file as one series and needs no id; "
            "window= (--window) cuts a table without one into windows of one long series)"
        )
    if id not in table.column_names:
        raise _absent(table, "id", id)
    _require_type(table[id], "id", id, "text, integers or dates", _is_label)
    codes, labels = _encoded(table[id])
    _refuse_missing(codes, f"id (--id {id})")
    return codes, tuple(str(label) for label in labels)


def assemble(
    table: "pa.Table",
    codes: ndarray,
    ids: tuple[str, ...],
    columns: Columns,
    channels: tuple[str, ...] | None,
    *,
    index: "Mapping[str, pa.DataType]",
    require_target: bool,
    for_windows: bool,
    dtype: DTypeLike,
    decimal: Decimal | None,
    name: str,
    source: str,
) -> Dataset:
    """`from_table` once it is known which series each row belongs to: ``ids[codes[row]]``.

    ``index`` holds the columns of a data frame's index that were left out of the table.
    """
    if columns.target_kind not in ("auto", "series", "step"):
        raise ParameterError(f"target_kind needs 'auto', 'series' or 'step', got {columns.target_kind!r}")
    if columns.targets not in ("drop", "error"):
        raise ParameterError(f"targets needs 'drop' or 'error', got {columns.targets!r}")
    float_dtype = np.dtype(dtype)
    if float_dtype not in (np.float32, np.float64):
        raise ParameterError(f"dtype needs float32 or float64, got {float_dtype}")
    if not len(table):
        raise DataError("a table needs at least one row, got none")
    present = set(table.column_names)  # a list that pyarrow makes anew each time
    has_target = columns.target in present
    for role, wanted in (
        ("time", [columns.time]),
        ("group", [columns.group]),
        ("static", columns.static),
        ("channels", channels or ()),
    ):
        for column in wanted:
            if column is not None and column not in present:
                raise _absent(table, role, column)
    if require_target and columns.target is None:
        raise DataError(f"target (--target) needs the column to predict, got none; {_listing(table.column_names)}")
    if require_target and columns.target is not None and not has_target:
        raise _absent(table, "target", columns.target)
    place = _Place(codes, ids, columns.id is None, decimal)
    names = _channel_names(table, columns, channels, place, index)

    rows, clock = _in_order(table, codes, place, columns.time)
    series = _Series(rows, np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]), ids)
    short = float_dtype == np.float32 and all(_fits_float32(_kind(table[column])) for column in names)
    values = np.empty((len(table), len(names)), np.float32 if short else np.float64)
    for channel, column in enumerate(names):
        values[:, channel] = series.numbers(table[column])
    series.refuse_infinite(values, names)
    groups = None if columns.group is None else _groups(table, columns.group, series)
    static = [_static(table, column, series, place) for column in columns.static]
    X = Sequences(
        values,
        series.offsets,
        times=clock,
        groups=groups,
        static=np.stack(static, 1) if static else None,
        channel_names=names,
        train_dtype=float_dtype,
        time_zone=None if columns.time is None else _zone(table[columns.time]),
        static_names=columns.static or None,
    )
    kind, y, empty, step_labels = columns.target_kind, None, np.zeros(len(ids), np.bool_), None
    if has_target:
        assert columns.target is not None
        kind, y, empty, step_labels = _target(table, columns, series, X, place, require_target, for_windows)
        if empty.all() and require_target:
            raise DataError(f"target (--target {columns.target}) needs a value in some series, got none in any")
    if columns.own_past and (isinstance(y, ndarray) or step_labels is not None):
        raise DataError("own_past needs a target at each step, got one per series, which would be its own input")
    frozen = replace(columns, channels=names, target_kind=kind)
    data = Dataset(X, y, ids, name, source, X.groups, columns.target, frozen, step_labels=step_labels)
    return leave_out(data, empty, columns.targets) if require_target and empty.any() else data


@dataclass(frozen=True)
class _Place:
    """Where a row of the table is, in words; of a directory, whose files are the series, the row of its file.

    ``decimal`` is the decimal sign of a CSV file, None for other tables.
    """

    codes: ndarray
    ids: tuple[str, ...]
    by_file: bool
    decimal: Decimal | None

    def of(self, row: int) -> str:
        series = self.codes[row]
        within = row - int((self.codes == series).argmax()) if self.by_file else row
        return f"row {within + 1} (series {shown(self.ids[series])})"


@dataclass(frozen=True)
class _Series:
    """How rows make series: ``rows`` sorts the table, ``offsets`` cuts it, ``ids`` names the pieces."""

    rows: ndarray | None
    offsets: ndarray
    ids: tuple[str, ...]

    def numbers(self, column: "pa.ChunkedArray") -> ndarray:
        import pyarrow as pa

        double = pa.types.is_float64(column.type)
        flat: ndarray = (column if double else _cast(_plain(column), pa.float64())).to_numpy()
        return flat if self.rows is None else flat[self.rows]

    def encoded(self, column: "pa.ChunkedArray") -> tuple[ndarray, ndarray]:
        """Codes in the order of the series, -1 for null, and the labels they stand for."""
        codes, labels = _encoded(column)
        return (codes if self.rows is None else codes[self.rows]), labels

    def bounds(self, codes: ndarray) -> tuple[ndarray, ndarray]:
        """The lowest and the highest code in each series that is not null; highest -1 where all are null."""
        known = np.where(codes < 0, np.iinfo(codes.dtype).max, codes)
        return np.minimum.reduceat(known, self.offsets[:-1]), np.maximum.reduceat(codes, self.offsets[:-1])

    def of(self, row: int) -> int:
        return int(np.searchsorted(self.offsets, row, "right")) - 1

    def refuse_varying(self, low: ndarray, high: ndarray, labels: ndarray, what: str, cure: str = "") -> None:
        varies = low != high
        if varies.any():
            index = int(varies.argmax())
            first, other = (str(labels[code[index]])[:80] for code in (low, high))
            raise DataError(
                f"{what} needs one value per series, got {first} and {other} in series {shown(self.ids[index])}{cure}"
            )

    def refuse_infinite(self, values: ndarray, names: Sequence[str]) -> None:
        infinite = first_infinite(values)
        if infinite is not None:
            row, channel = infinite
            index = self.of(row)
            raise DataError(
                f"X needs finite values (empty where nothing was observed), got {values[row, channel]} at series "
                f"{shown(self.ids[index])}, step {row - self.offsets[index]}, {named_channel(names, channel)}"
            )


def _as_arrow(table: Any) -> "pa.Table":
    import pyarrow as pa

    if not hasattr(table, "__arrow_c_stream__"):
        raise DataError(f"a table needs __arrow_c_stream__ (pyarrow, pandas, polars), got {type(table).__name__}")
    try:
        arrow = table if isinstance(table, pa.Table) else pa.table(table)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"a table needs one type per column: {reason(error)}") from error
    twice = repeated(arrow.column_names)
    if twice:
        raise DataError(f"a table needs a different name for every column, got twice: {_quoted(twice)}")
    return arrow


def repeated(names: Iterable[str]) -> list[str]:
    """The names that are there more than once."""
    return sorted(name for name, n in Counter(names).items() if n > 1)


def asked_for(columns: Columns, channels: tuple[str, ...] | None) -> set[str | None]:
    """Every column that was named in some part."""
    return {columns.id, columns.time, columns.target, columns.group, *columns.static, *(channels or ())}


def _names(names: Iterable[str], role: str) -> tuple[str, ...]:
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if len(set(chosen)) < len(chosen):
        raise DataError(f"{role} needs each column once, got {_quoted(chosen)}")
    return chosen


def _absent(table: "pa.Table", role: str, column: str) -> DataError:
    names = table.column_names
    close = difflib.get_close_matches(column, names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return DataError(f"{role} (--{role}) needs a column of the table, got {column!r}; {hint}{_listing(names)}")


def _listing(names: Sequence[str]) -> str:
    return f"the columns are {_quoted(names)}"


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(shown_column(name) for name in names[:_LISTED]) + more


def _channel_names(
    table: "pa.Table",
    columns: Columns,
    channels: tuple[str, ...] | None,
    place: "_Place",
    index: "Mapping[str, pa.DataType]",
) -> tuple[str, ...]:
    taken = asked_for(columns, None)
    names = tuple(name for name in table.column_names if name not in taken) if channels is None else channels
    if channels is None:
        counters = row_numbers(table, names, len(place.ids))
        if index or counters:
            names = tuple(name for name in names if name not in set(counters))
            warn(note_on_left_out(index, counters), DataWarning)
    if columns.own_past and columns.target is not None and channels is None:
        names = (*names, columns.target)
    for role, chosen in (("channels", names), ("static", columns.static)):
        if columns.target is not None and columns.target in chosen and not (columns.own_past and role == "channels"):
            raise DataError(f"{role} (--{role}) needs columns other than the target, got {columns.target!r}")
    odd = [name for name in names if not _is_numeric(_kind(table[name]))]
    if odd:
        columns_and_types = ", ".join(f"{name!r} ({table[name].type})" for name in odd[:_LISTED])
        cause = next((cause for name in odd[:_LISTED] if (cause := _cause_of_text(table[name], place))), "")
        raise DataError(
            f"channels needs numeric columns, got {columns_and_types}{cause}"
            f"{'' if channels is not None else _left(name for name in names if name not in set(odd))}"
        )
    if not names:
        raise DataError(
            f"channels (--channels) needs at least one column, none is left; {_listing(table.column_names)}"
        )
    return names


def _left(names: Iterable[str]) -> str:
    """How to go on with the channels that are numeric."""
    numeric = list(names)
    if not numeric:
        return ""
    if len(numeric) > _LISTED:
        return "; channels= (--channels) names the columns to use"
    buffer = StringIO()
    csv.writer(buffer, lineterminator="").writerow(numeric)
    return f"; channels={numeric!r} (--channels {shlex.quote(buffer.getvalue())}) goes on without"


def _cause_of_text(column: "pa.ChunkedArray", place: "_Place") -> str:
    """What made text of a column of numbers, as the end of a message."""
    stray = _stray(column, place.decimal)
    return "" if stray is None else f"; {stray.value!r} in {place.of(stray.row)} made text of it: {stray.cure}"


def _stray(column: "pa.ChunkedArray", decimal: Decimal | None) -> Stray | None:
    if not _is_text(_kind(column)):
        return None
    codes, labels = _encoded(column)
    return stray_text(codes, labels.tolist(), decimal)


def _in_order(
    table: "pa.Table", codes: ndarray, place: "_Place", time: str | None
) -> tuple[ndarray | None, ndarray | None]:
    clock = None if time is None else _clock(table, time, place)
    rows: ndarray | None = np.argsort(codes, kind="stable") if clock is None else np.lexsort((clock, codes))
    assert rows is not None
    if (rows[1:] > rows[:-1]).all():
        rows = None
    if clock is None:
        return rows, None
    if rows is not None:
        clock, codes = clock[rows], codes[rows]
    twice = (clock[1:] == clock[:-1]) & (codes[1:] == codes[:-1])
    if twice.any():
        row = int(twice.argmax())
        raise DataError(
            f"time (--time {time}) needs different values within a series, got {clock[row]} twice in series "
            f"{shown(place.ids[codes[row]])}"
        )
    return rows, clock


def _clock(table: "pa.Table", time: str, place: "_Place") -> ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[time]
    column = _plain(column) if _is_numeric(_kind(column)) else column
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, None)
    if column.null_count:
        row = int(np.argmax(pc.is_null(column).to_numpy()))
        raise DataError(f"time (--time {time}) needs a value in every row, got none in {place.of(row)}")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = column.type.tz if pa.types.is_timestamp(column.type) else None
        stamps: ndarray = _cast(_cast(column, pa.timestamp("ns", zone), f"time {time!r}"), pa.int64()).to_numpy()
        return stamps.view("datetime64[ns]")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers: ndarray = column.to_numpy()
        floats: ndarray = numbers.astype(np.float64)
        if numbers.dtype.kind in "iu" and (np.abs(floats) > _EXACT).any():
            raise DataError(
                f"time (--time {time}) needs integers of at most 2**53, got {numbers.max()}; turn them into timestamps"
            )
        return floats
    need = f"time (--time {time}) needs numbers, dates or timestamps such as 2024-03-31T18:00:00, got {_kind(column)}"
    example = f" ({str(column[0])[:60]!r})" if _is_text(_kind(column)) else ""
    raise DataError(f"{need}{example}{_cause_of_text(column, place)}")


def _zone(column: "pa.ChunkedArray") -> str | None:
    """The time zone of timestamps; UTC, which the times are in, where nobody knows the one that is named."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return None
    try:
        pa.scalar(0, column.type).cast(pa.string())
    except pa.ArrowException:
        return "UTC"
    return str(column.type.tz)


def _groups(table: "pa.Table", group: str, series: _Series) -> ndarray:
    _require_type(table[group], "group", group, "text, integers or dates", _is_label)
    codes, labels = series.encoded(table[group])
    _refuse_missing(codes, f"group (--group {group})", series)
    low, high = series.bounds(codes)
    series.refuse_varying(low, high, labels, f"group (--group {group})")
    constant: ndarray = labels[low]
    return constant


def _static(table: "pa.Table", column: str, series: _Series, place: _Place) -> ndarray:
    if not _is_numeric(_kind(table[column])):
        cause = _cause_of_text(table[column], place)
        raise DataError(f"static (--static {column}) needs numbers, got {_kind(table[column])}{cause}")
    values = series.numbers(table[column])
    first: ndarray = values[series.offsets[:-1]]
    wanted = np.repeat(first, np.diff(series.offsets))
    differ = ~((values == wanted) | (np.isnan(values) & np.isnan(wanted)))
    if differ.any():
        row = int(differ.argmax())
        raise DataError(
            f"static (--static {column}) needs one value per series, got {wanted[row]} and {values[row]} in series "
            f"{shown(series.ids[series.of(row)])}; a column that changes from step to step is one of the channels"
        )
    series.refuse_infinite(values[:, None], [column])
    return first


class _Target(NamedTuple):
    """Its kind, its values, which series have none, whose values mean nothing, and `Dataset.step_labels`."""

    kind: TargetKind
    y: ndarray | Sequences | None
    empty: ndarray
    step_labels: ndarray | None = None


def _target(
    table: "pa.Table",
    columns: Columns,
    series: _Series,
    X: Sequences,
    place: _Place,
    required: bool,
    for_windows: bool,
) -> _Target:
    import pyarrow as pa

    target, kind = columns.target, columns.target_kind
    assert target is not None
    column = table[target]
    what = f"target (--target {target})"
    _require_type(column, "target", target, "numbers, text or booleans", lambda t: _is_numeric(t) or _is_label(t))
    real = pa.types.is_floating(_kind(column)) or pa.types.is_decimal(_kind(column))
    number = real or pa.types.is_integer(_kind(column))
    codes, labels = series.encoded(column)
    low, high = series.bounds(codes)
    empty = high < 0
    if empty.all() or (empty.any() and not required):
        return _Target(kind, None, empty)
    low = np.where(empty, high[~empty][0], low)  # any label, of a series that is left out
    high = np.where(empty, low, high)
    nulls = np.logical_or.reduceat(codes < 0, series.offsets[:-1])
    if kind == "auto":
        some = real and bool((nulls & ~empty).any())
        kind = "step" if number and ((low != high).any() or some) else "series"
    if not number and ((low != high).any() or kind == "step" or len(labels) > most_classes(len(series.ids))):
        cause = _cause_of_text(column, place)
        if cause:
            raise DataError(f"{what} needs numbers, or labels that are none, got {_kind(column)}{cause}")
    if kind == "series":
        per_window = for_windows and bool((low != high).any())
        if not per_window:
            cure = "; text and booleans are never one per step" * (not number)
            series.refuse_varying(low, high, labels, what, f"{cure}; a window (--window) has the label of its steps")
        if real and np.isinf(labels).any():
            row = int(np.isin(codes, np.flatnonzero(np.isinf(labels))).argmax())
            got = labels[codes[row]]
            raise DataError(f"{what} needs finite values, got {got} in series {shown(series.ids[series.of(row)])}")
        if not per_window:
            return _Target(kind, labels[low], empty)
        if not required:
            return _Target(kind, None, empty)
        # a label that does not change in its series may be written once
        constant = np.repeat(low == high, np.diff(series.offsets))
        steps = np.where(constant, np.repeat(low, np.diff(series.offsets)), codes).astype(np.float64)
        return _Target(kind, Sequences(steps[:, None], series.offsets), empty, labels)
    if not number:
        raise DataError(f"{what} needs numbers to be one per step, got {_kind(column)}")
    steps = series.numbers(column)[:, None]
    series.refuse_infinite(steps, [target])
    y_steps = Sequences(
        steps, series.offsets, times=X.times, groups=X.groups, channel_names=[target], time_zone=X.time_zone
    )
    return _Target(kind, y_steps, empty)


def _refuse_missing(codes: ndarray, what: str, series: _Series | None = None) -> None:
    missing = codes < 0
    if missing.any():
        row = int(missing.argmax())
        where = f"row {row + 1}" if series is None else f"series {shown(series.ids[series.of(row)])}"
        raise DataError(f"{what} needs a value in every row, got none in {where}")


def _encoded(column: "pa.ChunkedArray") -> tuple[ndarray, ndarray]:
    """Codes by first appearance, -1 for null, NaN and empty text; and the labels they stand for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _recoded(column)
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        column = _cast(column, pa.float64())
    elif kind == pa.string_view():
        column, kind = _cast(column, pa.large_string()), pa.large_string()
    elif pa.types.is_null(kind):
        return np.full(len(column), -1, np.int64), np.empty(0)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.if_else(pc.equal(column, ""), None, column)
    encoded = pc.dictionary_encode(column).unify_dictionaries().chunks
    if not encoded:
        return np.empty(0, np.int64), np.empty(0)
    codes = np.concatenate([pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False) for chunk in encoded])
    return codes.astype(np.int64), _labels(encoded[0].dictionary)


def _labels(values: "pa.Array") -> ndarray:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_integer(kind):
        labels: ndarray = _cast(values, pa.int64()).to_numpy()
        return labels
    if pa.types.is_floating(kind):
        return np.asarray(values.to_numpy(), np.float64)
    if pa.types.is_boolean(kind):
        return np.array(values.to_pylist(), np.bool_)
    try:
        return as_text(values.to_pylist())
    except (OverflowError, ValueError) as error:  # Python's calendar ends there
        raise DataError(f"a date as a label needs a year from 1 to 9999, got {kind} beyond: {reason(error)}") from error


def _recoded(column: "pa.ChunkedArray") -> tuple[ndarray, ndarray]:
    """`_encoded` of a dictionary, never spelled out: a long text may stand in every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chunks = column.unify_dictionaries().chunks
    if not chunks:
        return np.empty(0, np.int64), np.empty(0)
    indices = np.concatenate([pc.fill_null(_cast(chunk.indices, pa.int64()), -1).to_numpy() for chunk in chunks])
    words, labels = _encoded(pa.chunked_array([chunks[0].dictionary]))
    codes = np.append(words, -1)[indices]
    used, first = np.unique(codes, return_index=True)
    used = used[np.argsort(first)]
    used = used[used >= 0]
    ranks = np.full(len(labels) + 1, -1)
    ranks[used] = np.arange(len(used))
    return ranks[codes], labels[used]


def _kind(column: "pa.ChunkedArray") -> "pa.DataType":
    import pyarrow as pa

    return column.type.value_type if pa.types.is_dictionary(column.type) else column.type


def _plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Numbers without a dictionary."""
    return _cast(column, _kind(column)) if _kind(column) != column.type else column


def _cast(column: Any, kind: "pa.DataType", what: str = "a column") -> Any:
    import pyarrow as pa

    try:
        # Unsafe only between numbers: an integer above 2**53 may lose digits on its way to a float.
        return column.cast(kind, safe=not pa.types.is_floating(kind))
    except pa.ArrowException as error:
        raise DataError(f"{what} needs values that fit {kind}: {reason(error)}") from error


def _require_type(column: "pa.ChunkedArray", role: str, name: str, need: str, fits: Any) -> None:
    if not fits(_kind(column)):
        raise DataError(f"{role} (--{role} {name}) needs {need}, got {_kind(column)}")


def _is_numeric(kind: "pa.DataType") -> bool:
    import pyarrow.types as t

    return bool(
        t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_decimal(kind) or t.is_null(kind)
    )


def _fits_float32(kind: "pa.DataType") -> bool:
    import pyarrow.types as t

    wide = t.is_decimal(kind) or t.is_float64(kind) or (t.is_integer(kind) and kind.bit_width > 16)
    return _is_numeric(kind) and not wide


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as t

    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def _is_label(kind: "pa.DataType") -> bool:
    import pyarrow.types as t

    return bool(
        _is_text(kind)
        or t.is_integer(kind)
        or t.is_floating(kind)
        or t.is_boolean(kind)
        or t.is_date(kind)
        or t.is_timestamp(kind)
        or t.is_null(kind)
    )
