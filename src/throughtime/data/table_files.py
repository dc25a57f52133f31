"""CSV and Parquet files, and directories of them that hold one series per file."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from throughtime.data.csv_files import read_csv
from throughtime.data.dataset import Columns, Dataset
from throughtime.data.index_columns import without_index
from throughtime.data.limits import VALUE, refuse_beyond_budget
from throughtime.data.paths import printable, refuse_special, refuse_undecodable
from throughtime.data.reasons import reason
from throughtime.data.tables import asked_for, assemble, from_table, repeated
from throughtime.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet")
_FOOTER = 16 * 2**20  # bytes of a text, or items of a list, in a Parquet footer
_BATCH = 64 * 2**20  # bytes of numbers decoded between two looks at the budget
_ROW = 112  # bytes of a row's series, place and time, and of what sorts it
_SERIES = 192  # bytes of a series' name and of what looks it up, beside its letters


def read_table_file(
    path: Path, columns: Columns, *, require_target: bool = True, dtype: DTypeLike = "float32"
) -> Dataset:
    """Read a long CSV or Parquet file, one row per step; `from_table` says what the columns mean."""
    table = read_arrow(path, columns)
    needed = table.nbytes + len(table) * _row_cost(table.schema, columns)
    refuse_beyond_budget(needed, "a file")
    refuse_beyond_budget(needed + _SERIES * _most_series(table, columns.id), "a file")
    data = from_table(
        table,
        id=columns.id,
        time=columns.time,
        target=columns.target,
        group=columns.group,
        static=columns.static,
        channels=columns.channels,
        target_kind=columns.target_kind,
        own_past=columns.own_past,
        targets=columns.targets,
        require_target=require_target,
        dtype=dtype,
        for_windows=columns.window is not None,
        decimal=columns.decimal if path.suffix.lower() == ".csv" else None,
        name=path.stem,
        source=str(path),
    )
    return replace(data, columns=replace(data.columns, decimal=columns.decimal))


def read_directory(
    path: Path, columns: Columns, *, require_target: bool = True, dtype: DTypeLike = "float32"
) -> Dataset:
    """Read a directory in which each CSV or each Parquet file is one series, named by the file.

    The files are taken in natural order (2 before 10) and must have the same columns. Other files are left alone.
    """
    import pyarrow as pa

    if columns.id is not None:
        raise ParameterError(
            f"id (--id) needs a single table, got {columns.id!r} with a directory, whose file names tell series apart"
        )
    try:
        files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != "."),
            key=lambda file: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.stem)],
        )
    except OSError as error:
        raise DataError(f"a directory needs to be readable: {reason(error)}") from error
    kinds = {file.suffix.lower() for file in files}
    if len(kinds) != 1:
        raise DataError(
            f"a directory needs .csv or .parquet files, one per series, got {'both' if kinds else 'neither'}"
        )
    tables: list[pa.Table] = []
    held = 0
    named, index = asked_for(columns, columns.channels), dict[str, "pa.DataType"]()
    for file in files:
        try:
            refuse_undecodable(file)
            refuse_special(file)
            # File by file: pandas writes some frames' index as a column, others' in the metadata alone.
            table, left_out = without_index(read_arrow(file, columns), named)
            index |= left_out
        except DataError as error:
            raise DataError(f"{printable(Path(file.name))}: {error}") from error
        if not len(table):
            raise DataError(f"{file.name} needs at least one row, got none")
        if tables and set(table.column_names) != set(tables[0].column_names):
            differ = sorted(set(table.column_names) ^ set(tables[0].column_names))
            raise DataError(
                f"{file.name} needs the columns of {files[0].name}, they differ in {', '.join(differ[:20])}"
            )
        tables.append(table)
        held += table.nbytes + len(table) * _row_cost(table.schema, columns)
        refuse_beyond_budget(held, "a directory")
    if columns.group is not None:
        tables = _of_one_text(tables, columns.group)
    try:
        together = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"a directory needs columns of one type in every file: {reason(error)}") from error
    codes = np.repeat(np.arange(len(files)), [len(table) for table in tables])
    return assemble(
        together,
        codes,
        tuple(file.stem for file in files),
        columns,
        columns.channels,
        index=index,
        require_target=require_target,
        for_windows=columns.window is not None,
        dtype=dtype,
        decimal=columns.decimal if kinds == {".csv"} else None,
        name=path.name,
        source=str(path),
    )


def _row_cost(schema: "pa.Schema", columns: Columns) -> int:
    """Bytes that a row of a table takes once it is part of the series, beside those of the table."""
    import pyarrow as pa

    text = sum(pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in schema)
    n_channels = len(schema) - text if columns.channels is None else len(columns.channels)
    return VALUE * n_channels + _ROW


def _most_series(table: "pa.Table", name: str | None) -> int:
    """How many different ids there are, or could be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in table.column_names:
        return 0
    column = table[name]
    if pa.types.is_dictionary(column.type):
        return min(len(column), sum(len(chunk.dictionary) for chunk in column.chunks))
    try:
        return int(pc.count_distinct(column).as_py())
    except pa.ArrowNotImplementedError:  # no id at all, which is refused elsewhere
        return len(column)


def _of_one_text(tables: list["pa.Table"], name: str) -> list["pa.Table"]:
    """The tables with a column of integers as text where another table's is text, as group 10 beside group 07."""
    import pyarrow as pa

    kinds = [table.schema.field(name).type if name in table.column_names else None for table in tables]
    if pa.string() not in kinds:
        return tables
    return [
        table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
        if kind is not None and pa.types.is_integer(kind)
        else table
        for table, kind in zip(tables, kinds, strict=True)
    ]


def read_arrow(path: Path, columns: Columns) -> "pa.Table":
    """Decode a file into a table."""
    import pyarrow as pa

    what = path.suffix.lower().removeprefix(".").replace("csv", "CSV").replace("parquet", "Parquet")
    try:
        table = (
            _parquet(path, columns)
            if path.suffix.lower() == ".parquet"
            else read_csv(path, columns.id, columns.group, columns.decimal)
        )
        table.validate(full=True)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"a {what} file needs to be intact: {reason(error)}") from error
    twice = repeated(table.column_names)
    if twice:
        raise DataError(f"a {what} file needs a different name for every column, got {twice[0]!r} twice")
    return table


def _parquet(path: Path, columns: Columns) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pq.read_schema(path)
    wanted = _wanted(whole.names, columns)
    schema = pa.schema([whole.field(name) for name in wanted], whole.metadata) if wanted else whole
    text = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    with pq.ParquetFile(
        path,
        read_dictionary=text,  # a long text in every row would be spelled out in every row
        pre_buffer=False,
        page_checksum_verification=True,
        thrift_string_size_limit=_FOOTER,
        thrift_container_size_limit=_FOOTER,
    ) as file:
        batches, size = [], 0
        row = _row_cost(schema, columns)
        cure = "" if wanted else "id=, target= and channels= (--id, --target, --channels) read those columns alone, or "
        refuse_beyond_budget(file.metadata.num_rows * row, "a Parquet file", cure)
        rows = max(1, min(1 << 16, _BATCH // (8 * max(1, len(schema)))))
        # A run of one value takes a few bytes however long it is: count what comes out, not what the file claims.
        for batch in file.iter_batches(rows, columns=wanted, use_threads=False):
            size += batch.nbytes + len(batch) * row
            refuse_beyond_budget(size, "a Parquet file", cure)
            # pyarrow takes "x.y" for a part of "x", and reads both
            batches.append(batch if wanted is None else batch.select(wanted))
        decoded = file.schema_arrow
        if wanted is not None:
            decoded = pa.schema([decoded.field(name) for name in wanted], decoded.metadata)
        return pa.Table.from_batches(batches, decoded)


def _wanted(names: Sequence[str], columns: Columns) -> list[str] | None:
    """The columns to decode where all that are needed are named and there; None for all, which a message may list."""
    if columns.channels is None or columns.id is None or columns.target is None:
        return None
    named = asked_for(columns, columns.channels) - {None}
    wanted = [name for name in names if name in named]
    return wanted if len(wanted) == len(named) and len(set(names)) == len(names) else None
