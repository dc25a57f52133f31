"""What data frames say besides their numbers: the names of their columns, and whether a row is a step."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.errors import DataError, DataWarning, warn

#: The cure for a long table in the place of a wide one.
LONG = (
    "each row of a data frame is taken as one series, its columns as steps; throughtime.read(frame, id=..., time=..., "
    "target=...) reads a long table, one row per step"
)
_ID = re.compile(r"(^|[_ .-])(id|uid|case|series|sequence|subject|patient|unit|session|trial)$|[a-z]I[dD]$", re.I)
_TIME = re.compile(r"(^|[_ .-])(time|timestamp|datetime|date)$", re.I)
_FEWEST_ROWS = 4  # of fewer, integers repeat and rise by chance


class MixedNamesError(DataError, TypeError):
    """Column names of which only some are text; also the TypeError that scikit-learn's contract asks for."""


def is_frame(X: Any) -> bool:
    """Whether X has named columns."""
    return hasattr(X, "columns") or hasattr(X, "column_names")


def column_names(X: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns (pandas, polars, pyarrow) where all are text; ``None`` for anything else.

    Raises
    ------
    MixedNamesError
        When some are text and others are not.
    """
    if not is_frame(X):
        return None
    from sklearn.utils.validation import _get_feature_names

    try:
        names = _get_feature_names(X)
    except TypeError as error:
        raise MixedNamesError(str(error)) from error
    return None if names is None else tuple(names)


def shared_columns(parts: Iterable[Any]) -> tuple[str, ...] | None:
    """The column names of frames, one per series; ``None`` where none has names.

    Raises
    ------
    DataError
        When they are not the same, in the same order, in every series: values are joined by position.
    """
    first: tuple[str, ...] | None = None
    for index, part in enumerate(parts):
        names = column_names(part)
        if index == 0:
            first = names
        elif names != first:
            got, expected = (list(part) if part is not None else "no names" for part in (names, first))
            raise DataError(
                f"X needs the same columns in the same order in every series, got {got} in series {index} and "
                f"{expected} in series 0; frame[names] puts them in order"
            )
    return first


def warn_if_long(frame: Any, values: ndarray) -> None:
    """Warn of a frame whose rows look like steps of longer series.

    That is one with an index of several levels, a column named like an id whose values repeat, or like a time; or a
    column of whole numbers that come in blocks, in each of which another column rises.

    Parameters
    ----------
    values
        The numbers of the frame, ``(row, column)``.
    """
    sign = _sign_of_steps(frame, values)
    if sign is not None:
        warn(f"X has {sign}: {LONG}", DataWarning)


def _sign_of_steps(frame: Any, values: ndarray) -> str | None:
    index = getattr(frame, "index", None)
    if getattr(index, "nlevels", 1) > 1:
        return f"an index of {index.nlevels} levels"  # type: ignore[union-attr]
    names = column_names(frame)
    if names is None or len(values) < _FEWEST_ROWS:  # long tables have names
        return None
    columns = dict(zip(names, values.T, strict=True))
    if index is not None and getattr(index, "name", None) is not None and _ID.search(str(index.name)):
        columns[str(index.name)] = index.factorize()[0]
    for name, column in columns.items():
        if _TIME.search(name):
            return f"a column named {name!r}"
        if _ID.search(name) and len(np.unique(column)) < len(column):
            what = "an index" if index is not None and name == str(getattr(index, "name", None)) else "a column"
            return f"{what} named {name!r} whose values repeat"
    for name, column in columns.items():
        if not _in_blocks(column):
            continue
        same = column[1:] == column[:-1]
        for other, clock in columns.items():
            if (clock[1:] > clock[:-1])[same].all():
                return f"a column {name!r} whose values come in blocks, in each of which column {other!r} rises"
    return None


def _in_blocks(column: ndarray) -> bool:
    """Whether a column is of whole numbers that repeat, those of one value next to each other."""
    if not np.isfinite(column).all() or (column != np.round(column)).any():
        return False
    n_blocks = 1 + int((column[1:] != column[:-1]).sum())
    return 1 < n_blocks <= len(column) // 2 and n_blocks == len(np.unique(column))
