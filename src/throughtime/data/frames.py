"""What data frames say besides their numbers: the names of their columns."""

from collections.abc import Iterable
from typing import Any

from throughtime.errors import DataError


class MixedNamesError(DataError, TypeError):
    """Column names of which only some are text; also the TypeError that scikit-learn's contract asks for."""


def column_names(X: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns (pandas, polars, pyarrow) where all are text; ``None`` for anything else.

    Raises
    ------
    MixedNamesError
        When some are text and others are not.
    """
    if not (hasattr(X, "columns") or hasattr(X, "column_names")):
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
            told = [list(own) if own is not None else "no names" for own in (names, first)]
            raise DataError(
                f"X needs the same columns in the same order in every series, got {told[0]} in series {index} and "
                f"{told[1]} in series 0; frame[names] puts them in order"
            )
    return first
