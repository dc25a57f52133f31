"""How files are read, by suffix: one `Reader` per format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import DTypeLike

from throughtime.data.archives import read_archive
from throughtime.data.conversion import Layout
from throughtime.data.dataset import Columns, Dataset
from throughtime.data.table_files import SUFFIXES, read_table_file
from throughtime.data.ts_files import read_ts


@dataclass(frozen=True)
class ReadOptions:
    """What `read` was asked for, so far as a file's reader has to do with it.

    ``columns`` are of tables; ``columns.targets`` says what becomes of series without a target, for all readers.
    """

    columns: Columns
    layout: Layout
    require_target: bool
    dtype: DTypeLike


@dataclass(frozen=True)
class Reader:
    """One format of files.

    Parameters
    ----------
    suffixes
        In small letters, with their dot.
    tabular
        Whether its files are tables, whose columns ``id``, ``target``, ... name. Where not, `read` appends the targets
        to the channels for ``own_past`` itself.
    read
        Gives the data set of a file that is there. What cannot be used is a `DataError`; its message need not name the
        file.
    """

    suffixes: tuple[str, ...]
    tabular: bool
    read: Callable[[Path, ReadOptions], Dataset]


def _table(path: Path, options: ReadOptions) -> Dataset:
    return read_table_file(path, options.columns, require_target=options.require_target, dtype=options.dtype)


def _archive(path: Path, options: ReadOptions) -> Dataset:
    return read_archive(
        path,
        layout=options.layout,
        targets=options.columns.targets,
        require_target=options.require_target,
        dtype=options.dtype,
    )


def _ts(path: Path, options: ReadOptions) -> Dataset:
    return read_ts(path, require_target=options.require_target, dtype=options.dtype)


#: Of the files that `read` takes.
READERS: tuple[Reader, ...] = (
    Reader(SUFFIXES, True, _table),
    Reader((".npz",), False, _archive),
    Reader((".ts",), False, _ts),
)
