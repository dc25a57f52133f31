"""One function for every source: a file, a directory, a table, the name of a built-in data set."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from throughtime.data.catalog import CATALOG
from throughtime.data.conversion import Layout
from throughtime.data.dataset import Columns, Dataset, Decimal, TargetKind, Untargeted
from throughtime.data.datasets import Split, load_dataset
from throughtime.data.paths import printable, refuse_special, refuse_undecodable
from throughtime.data.readers import READERS, Reader, ReadOptions
from throughtime.data.reasons import reason
from throughtime.data.sequences import Sequences
from throughtime.data.table_files import read_directory
from throughtime.data.tables import from_table
from throughtime.data.windows import check_windows
from throughtime.errors import DataError, ParameterError


def read(
    source: str | PathLike[str] | Any,
    *,
    id: str | None = None,  # noqa: A002 - the word of the command line
    time: str | None = None,
    target: str | None = None,
    group: str | None = None,
    static: Iterable[str] = (),
    channels: Iterable[str] | None = None,
    target_kind: TargetKind = "auto",
    own_past: bool = False,
    decimal: Decimal = ".",
    targets: Untargeted = "drop",
    window: int | None = None,
    stride: int | None = None,
    history: int = 0,
    layout: Layout = "ntc",
    require_target: bool = True,
    dtype: DTypeLike = "float32",
    readers: Sequence[Reader] = READERS,
) -> Dataset:
    """Read series and their targets.

    Parameters
    ----------
    source
        A ``.csv`` or ``.parquet`` file in long format; a directory of them, one per series; an ``.npz`` archive; a
        ``.ts`` file; a table of pyarrow, pandas or polars; or a built-in data set: ``name``, ``name:train``,
        ``name:test`` (a file of that very name is ``./name``).
    id, time, target, group, static, channels, target_kind
        Columns of tables, as `from_table` says; a `Dataset` keeps them in ``columns``.
    own_past
        Whether the target, one per step, is a channel too: for a forecast, which sees of it what lies a horizon back.
        Named ``channels`` of a table are taken as they are.
    decimal
        ``","`` for CSV files with decimal commas, and semicolons or tabs between columns.
    targets
        ``"drop"`` leaves series without a target out (`DataWarning`) where a target is required, ``"error"`` refuses
        the source.
    window, stride, history
        Into windows of how many steps to cut the series, how many apart, with how many steps before them to read from:
        see `Dataset.windows`. A table without ``id`` is then one series, and a label may change within a series.
    layout
        ``"nct"`` for an archive whose ``X`` holds channels before time.
    require_target
        Whether to refuse a source without targets.
    dtype
        float32 or float64: what networks with ``dtype="auto"`` train in. The values themselves are held in float64
        wherever float32 could lose digits of them, to be centered before they are rounded.
    readers
        Of the formats of files, the first with a file's suffix: ``[*READERS, mine]`` adds one.

    Raises
    ------
    DataError
        A source that is not there or cannot be used; the message begins with the source.
    MissingDependencyError
        A built-in data set that a package not installed would bring.
    """
    statics = (static,) if isinstance(static, str) else tuple(static)
    chosen = (channels,) if isinstance(channels, str) else None if channels is None else tuple(channels)
    check_windows(window, stride, history)
    columns = Columns(id, time, target, group, statics, chosen, target_kind, own_past, decimal, targets, window)
    for name, value, choices in (("decimal", decimal, (".", ",")), ("targets", targets, ("drop", "error"))):
        if value not in choices:
            raise ParameterError(f"{name} needs {choices[0]!r} or {choices[1]!r}, got {value!r}")
    if isinstance(source, str | PathLike):
        data = _read_path(source, columns, layout, require_target, dtype, readers)
    else:
        data = from_table(
            source,
            id=id,
            time=time,
            target=target,
            group=group,
            static=statics,
            channels=chosen,
            target_kind=target_kind,
            own_past=own_past,
            targets=targets,
            require_target=require_target,
            dtype=dtype,
            for_windows=window is not None,
        )
    if window is None:
        return data
    whole = replace(data, columns=replace(data.columns, window=None))
    try:
        return whole.windows(window, stride, history=history)
    except DataError as error:
        raise DataError(f"{printable(Path(data.source))}: {error}") from error


def _read_path(
    source: str | PathLike[str],
    columns: Columns,
    layout: Layout,
    require_target: bool,
    dtype: DTypeLike,
    readers: Sequence[Reader],
) -> Dataset:
    """What a file, a directory or a name of a built-in data set holds, not yet cut into windows."""
    path = Path(source)
    if not reads_columns(source, readers):
        given = [
            name
            for name in ("id", "time", "target", "group", "static", "channels", "target_kind", "decimal")
            if getattr(columns, name) != getattr(Columns(), name)
        ]
        if given:
            raise ParameterError(f"{', '.join(given)} needs a table (CSV, Parquet, a directory of them), got {source}")
    built_in = _built_in(source)
    if built_in is not None:
        data = load_dataset(*built_in)
        data = replace(data, X=data.X.to_train_in(dtype))
        return _with_own_past(data) if columns.own_past else data
    try:
        refuse_undecodable(path)
        if path.is_dir():
            return read_directory(path, columns, require_target=require_target, dtype=dtype)
        suffix = path.suffix.lower()
        if not path.exists():
            raise DataError(_absent(str(source)))
        refuse_special(path)
        reader = _reader_of(suffix, readers)
        if reader is None:
            *others, last = [name for reader in readers for name in reader.suffixes]
            raise DataError(f"a file needs to be {', '.join(others)} or {last}, got {suffix or 'no suffix'}")
        data = reader.read(path, ReadOptions(columns, layout, require_target, dtype))
        return data if reader.tabular or not columns.own_past else _with_own_past(data)
    except DataError as error:
        raise type(error)(f"{printable(path)}: {error}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise DataError(f"{printable(path)}: cannot be opened: {reason(error)}") from error


def _with_own_past(data: Dataset) -> Dataset:
    """A data set whose targets, one per step, are one more channel."""
    if not isinstance(data.y, Sequences):
        got = "none" if data.y is None else "one per series"
        raise DataError(f"own_past needs a target at each step, got {got}")
    X = data.X
    names = None if X.channel_names is None else [*X.channel_names, data.target or "target"]
    X = Sequences(
        np.concatenate([X.values, data.y.values], axis=1),
        X.offsets,
        times=X.times,
        groups=X.groups,
        static=X.static,
        channel_names=names,
        train_dtype=X.train_dtype,
        static_names=X.static_names,
        time_zone=X.time_zone,
    )
    return replace(data, X=X, columns=replace(data.columns, own_past=True))


def reads_columns(source: Any, readers: Sequence[Reader] = READERS) -> bool:
    """Whether a source is a table, so that ``id``, ``target``, ... apply to it."""
    if not isinstance(source, str | PathLike):
        return True
    reader = _reader_of(Path(source).suffix.lower(), readers)
    return _built_in(source) is None and (reader is None or reader.tabular)


def _reader_of(suffix: str, readers: Sequence[Reader]) -> Reader | None:
    return next((reader for reader in readers if suffix in reader.suffixes), None)


def is_built_in(source: str) -> bool:
    """Whether a source is the name of a built-in data set, with or without its ``:train`` or ``:test``."""
    return source.partition(":")[0] in {entry.name for entry in CATALOG}


def _built_in(source: object) -> tuple[str, Split | None] | None:
    name, colon, split = str(source).partition(":")
    if not isinstance(source, str) or not is_built_in(source):
        return None
    if not colon:
        return name, None
    if split not in ("train", "test"):
        raise ParameterError(f"{name} needs :train or :test after its name, got {source!r}")
    return name, "train" if split == "train" else "test"


def _absent(source: str) -> str:
    names = [entry.name for entry in CATALOG]
    close = difflib.get_close_matches(source.partition(":")[0], names, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"a source needs to be a file, a directory or one of {', '.join(names)}; there is nothing of that name{hint}"
