"""Columns that only number the rows, as data frames leave them behind.

A row's number tells the order of a file: where that is sorted by class, it tells the class.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from throughtime.data.reasons import shown, shown_column
from throughtime.errors import DataError, DataWarning, warn

if TYPE_CHECKING:
    import pyarrow as pa

_LEVEL = re.compile(r"__index_level_\d+__")  # pandas, in Parquet and in Arrow
_NAMELESS = re.compile(r"|unnamed: \d+|\.\.\.\d+", re.IGNORECASE)  # a CSV's empty heading; as pandas, as readr reads it
_USUAL = {"index", "level_0", "row", "rowid", "row_id", "row_index", "rowname", "rownames", "row_nr", "row_number"}
_CHANCE = 20  # rows from which on no measurement counts them by chance
_LISTED = 20  # columns named in a message


def nameless(name: object) -> bool:
    """Whether a column's name is one that nobody gave it."""
    return isinstance(name, str) and bool(_NAMELESS.fullmatch(name) or _LEVEL.fullmatch(name))


def without_index(table: "pa.Table", named: set[str | None]) -> tuple["pa.Table", dict[str, "pa.DataType"]]:
    """The table without the index of the pandas frame that it was, and what was left out: types by name.

    Parameters
    ----------
    named
        Columns that were asked for, which stay.
    """
    index = _pandas_index(table)
    left_out = [name for name in table.column_names if (name in index or _LEVEL.fullmatch(name)) and name not in named]
    types = {name: table.schema.field(name).type for name in left_out}
    return (table.drop_columns(left_out) if left_out else table), types


def row_numbers(table: "pa.Table", names: Sequence[str], n_series: int) -> list[str]:
    """Which of the columns number the rows.

    A column without a name does when it holds whole numbers, or nothing; others as `numbers_rows` says.

    Raises
    ------
    DataError
        A column without a name that holds something else.
    """
    import pyarrow as pa

    counters = []
    for name in names:
        column = table[name]
        if _NAMELESS.fullmatch(name):
            if not _whole(column):
                raise _unnamed(name, str(column.type), dates=pa.types.is_temporal(column.type))
            counters.append(name)
        elif _may_number(name, column) and numbers_rows(name, column.to_numpy(), n_series):
            counters.append(name)
    return counters


def numbers_rows(name: str, values: ndarray, n_series: int) -> bool:
    """Whether a column that has a name numbers the rows of a table.

    One of a usual name, such as ``index``, does when no number comes twice and the rows that were sorted, drawn or
    left out since still show: at least half of the numbers between the lowest and the highest are there, or they rise
    through several series. Of few rows it has to count from 0 or 1 on. One of any other name does when it so counts
    the rows of several series.
    """
    n = len(values)
    if (
        not n
        or values.dtype.kind not in "iuf"
        or not (np.isfinite(values).all() and (values == np.round(values)).all())
    ):
        return False
    first, last = float(values[0]), float(values[-1])
    counts = first in (0, 1) and last == first + n - 1 and bool((values[1:] - values[:-1] == 1).all())
    if name.lower() not in _USUAL:
        return n_series > 1 and n >= _CHANCE and counts
    if n < _CHANCE:
        return n > 1 and counts
    low, high = float(values.min()), float(values.max())
    if low < 0:
        return False
    if n_series > 1 and bool((values[1:] > values[:-1]).all()):
        return True
    return high - low < 2 * n and len(np.unique(values)) == n


def bare_frames(frames: Iterable[Any]) -> tuple[list[Any], dict[str, "pa.DataType"]]:
    """Frames, one per series, those of pyarrow without the index of the pandas frames that they were."""
    bare: list[Any] = []
    left_out: dict[str, pa.DataType] = {}
    for frame in frames:
        if hasattr(frame, "drop_columns") and hasattr(frame, "schema"):
            frame, types = without_index(frame, set())
            left_out |= types
        bare.append(frame)
    return bare, left_out


def without_row_numbers(
    parts: list[ndarray], names: tuple[str, ...], index: Mapping[str, "pa.DataType"]
) -> tuple[list[ndarray], tuple[str, ...]]:
    """The arrays ``(time, channel)`` of frames, one per series, and the columns' names, without those that number rows.

    Parameters
    ----------
    index
        Columns left out before, which the warning names too.

    Warns
    -----
    DataWarning
        Which were left out.

    Raises
    ------
    DataError
        A column without a name that holds something else; no other column.
    """
    counters = []
    if all(part.ndim == 2 and part.shape[1] == len(names) and part.dtype.kind in "biuf" for part in parts):
        for place, name in enumerate(names):
            values = np.concatenate([part[:, place] for part in parts])
            if nameless(name):
                whole = (values == np.round(values)).all() or (values != values).all()
                if values.dtype.kind == "b" or not whole:
                    raise _unnamed(name, str(values.dtype))
                counters.append(name)
            elif numbers_rows(name, values, len(parts)):
                counters.append(name)
    if not counters and not index:
        return parts, names
    kept = [place for place, name in enumerate(names) if name not in counters]
    listed = ", ".join(map(shown_column, counters))
    if not kept:
        raise DataError(f"X needs at least one channel, got row numbers alone: {listed}")
    cure = "throughtime.data.Sequences.from_arrays, with channel_names, takes it as an input"
    notes = [f"{shown_column(name)}: the index of a data frame is left out" for name in index]
    if counters:
        notes.append(f"{listed}: taken for row numbers, as the index of a data frame is, and left out")
    warn(f"{'; '.join(notes)}; {cure}", DataWarning)
    return [part[:, kept] for part in parts] if counters else parts, tuple(names[place] for place in kept)


def note_on_left_out(index: Mapping[str, "pa.DataType"], counters: Sequence[str]) -> str:
    """What was left out of a table, and how to use it."""
    import pyarrow as pa

    numbers = [name for name, kind in index.items() if _LEVEL.fullmatch(name) and pa.types.is_integer(kind)]
    notes = []
    for name, kind in index.items():
        if name in numbers:
            continue
        dates, channel = pa.types.is_temporal(kind), pa.types.is_integer(kind) or pa.types.is_floating(kind)
        cures = [
            f"time={name!r} (--time {shlex.quote(name)}) orders by it" if dates or pa.types.is_integer(kind) else "",
            "channels= (--channels) takes it as an input" if channel else "",
        ]
        cure = ", ".join(filter(None, cures))
        notes.append(f"the index {shown(name)} of the data frame is left out" + (f"; {cure}" if cure else ""))
    if numbers or counters:
        notes.append(
            f"{', '.join(map(shown_column, [*numbers, *counters][:_LISTED]))}: taken for row numbers, as the index of "
            "a data frame is, and left out; channels= (--channels) names the columns to use"
        )
    return "; ".join(notes)


def _unnamed(name: str, kind: str, dates: bool = False) -> DataError:
    cure = "name it, or pick columns to use by channels= (--channels)"
    if dates:
        cure = f"time={name!r} (--time {shlex.quote(name)}) orders by it; otherwise {cure}"
    return DataError(f"channels needs columns with a name, got {shown_column(name)} ({kind}); {cure}")


def _may_number(name: str, column: "pa.ChunkedArray") -> bool:
    """Whether a column is worth decoding, to see whether it numbers the rows."""
    import pyarrow as pa

    n = len(column)
    if not n or column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return False
    return name.lower() in _USUAL or bool(column[n - 1].as_py() == column[0].as_py() + n - 1)


def _pandas_index(table: "pa.Table") -> set[str]:
    """Index columns as pandas' metadata name them; a range is in the metadata alone, and no column."""
    try:
        index = json.loads((table.schema.metadata or {})[b"pandas"])["index_columns"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return set()
    return {name for name in index if isinstance(name, str)} if isinstance(index, list) else set()


def _is_integer(column: "pa.ChunkedArray") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(column.type)) and not column.null_count


def _whole(column: "pa.ChunkedArray") -> bool:
    import pyarrow as pa

    if pa.types.is_null(column.type) or _is_integer(column):
        return True
    if not pa.types.is_floating(column.type):
        return False
    values = column.to_numpy()
    return bool((values == np.round(values)).all() or np.isnan(values).all())
