"""Columns that only number the rows, as data frames leave them behind.

A row's number tells the order of a file: where that is sorted by class, it tells the class.
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_LEVEL = re.compile(r"__index_level_\d+__")  # pandas, in Parquet and in Arrow
_NAMELESS = re.compile(r"|unnamed: \d+|\.\.\.\d+", re.IGNORECASE)  # a CSV's empty heading; as pandas, as readr reads it
_USUAL = {"index", "level_0", "row", "rowid", "row_id", "row_index", "rowname", "rownames", "row_nr", "row_number"}
_CHANCE = 20  # rows from which on no measurement counts them by chance


def nameless(name: object) -> bool:
    """Whether a column's name is one that nobody gave it."""
    return isinstance(name, str) and bool(_NAMELESS.fullmatch(name) or _LEVEL.fullmatch(name))


def without_index(table: "pa.Table", named: set[str | None]) -> tuple["pa.Table", list[str]]:
    """The table without the index of the pandas frame that it was, and the names of what was left out.

    Parameters
    ----------
    named
        Columns that were asked for, which stay.
    """
    index = _pandas_index(table)
    left_out = [name for name in table.column_names if (name in index or _LEVEL.fullmatch(name)) and name not in named]
    return (table.drop_columns(left_out) if left_out else table), left_out


def row_numbers(table: "pa.Table", names: Sequence[str], n_series: int) -> list[str]:
    """Which of the columns number the rows.

    A column without a name does when it holds whole numbers, or nothing; one of a usual name, such as ``index``, when
    no number comes twice; any other when it counts the rows of several series from 0 or 1 on.

    Raises
    ------
    DataError
        A column without a name that holds something else.
    """
    found = []
    for name in names:
        column = table[name]
        if _NAMELESS.fullmatch(name):
            if not _whole(column):
                raise DataError(
                    f"channels needs columns with a name, got {name!r} ({column.type}); name it, or pick columns to "
                    "use by channels= (--channels)"
                )
            found.append(name)
        elif _is_integer(column) and (
            (name.lower() in _USUAL and _distinct(column)) or (n_series > 1 and _counts_rows(column))
        ):
            found.append(name)
    return found


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


def _distinct(column: "pa.ChunkedArray") -> bool:
    import pyarrow.compute as pc

    n: Any = pc.count_distinct(column).as_py()
    return bool(n == len(column))


def _counts_rows(column: "pa.ChunkedArray") -> bool:
    n = len(column)
    if n < _CHANCE:
        return False
    first, last = column[0].as_py(), column[n - 1].as_py()
    return first in (0, 1) and last == first + n - 1 and bool((np.diff(column.to_numpy()) == 1).all())
