"""The test series of a command, read with the columns of its training series."""

from collections.abc import Mapping
from typing import Any

from throughtime.cli.screen import print_note
from throughtime.data import Dataset, read, reads_columns
from throughtime.study import match_test

#: Of what `read` takes, that which is not of tables alone.
_OF_ALL_SOURCES = ("own_past", "targets", "window", "stride", "history")


def read_like(train: Dataset, source: str, columns: Mapping[str, Any], layout: Any) -> Dataset:
    """Read test series, with the very columns of the training series where they are a table too.

    Raises
    ------
    DataError
        When they are not of the training series' kind.
    """
    if not reads_columns(source):
        alike = {name: columns[name] for name in _OF_ALL_SOURCES if name in columns}
        test = read(source, layout=layout, **alike)
    else:
        named = {} if train.X.channel_names is None else {"channels": train.X.channel_names}
        test = read(source, **{**columns, **named}, layout=layout)
    return match_test(train, test, print_note)
