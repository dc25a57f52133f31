"""A CSV file decoded into a table, its separators found in the heading.

What pyarrow would read though nobody meant it is refused: ``0x1F`` as a number, bytes that are no text.
"""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from throughtime.data.dataset import Decimal
from throughtime.data.limits import VALUE, refuse_beyond_budget
from throughtime.data.reasons import reason
from throughtime.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_HEADING = 1 << 20  # bytes in which the first line is looked for
_QUOTED = re.compile(rb'"(?:[^"]|"")*"')
_HEX = re.compile(rb"(?:^|[\s,;|\"])[+-]?0[xX]")
_LEADING_ZERO = r"^\s*[+-]?0\d"
_HEX_CELL = r"^\s*[+-]?0[xX]"


def read_csv(path: Path, id: str | None = None, group: str | None = None, decimal: Decimal = ".") -> "pa.Table":  # noqa: A002
    """Decode a CSV file.

    The column ``id`` is kept as text, so that 007 is not 7, and so is ``group`` where a number in it begins with 0.

    The heading tells what stands between columns: a comma, or, in a heading without commas or a file with decimal
    commas, a semicolon, a tab or a bar.

    Raises
    ------
    DataError
        Bytes that are not UTF-8, a number in hexadecimal.
    pyarrow.ArrowException, OSError
        What else cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    delimiter, others = _delimiter(path, decimal)
    refuse_beyond_budget(_cost(path, delimiter), "a CSV file")
    parse = csv.ParseOptions(delimiter=delimiter)

    def decoded(types: dict[str, "pa.DataType"], only: Sequence[str] = ()) -> "pa.Table":
        convert = csv.ConvertOptions(column_types=types, decimal_point=decimal, include_columns=only)
        return csv.read_csv(path, parse_options=parse, convert_options=convert)

    types = {} if id is None else {id: pa.string()}
    try:
        table = decoded(types)
    except pa.ArrowInvalid as error:
        if not others:
            raise
        raise DataError(
            f"a CSV file needs rows like its heading, which has both {delimiter!r} and {others[0]!r}; decimal=',' "
            f"(--decimal ,) takes {others[0]!r} for what stands between columns: {reason(error)}"
        ) from error
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise DataError(f"a CSV file needs UTF-8 text, got other bytes in column {field.name!r}")
    if _may_hold_hex(path):
        integers = [place for place, field in enumerate(table.schema) if pa.types.is_integer(field.type)]
        as_text = dict.fromkeys((table.schema.names[place] for place in integers), pa.string())
        _refuse_hex(decoded(types | as_text), integers)
    if group is not None and table.column_names.count(group) == 1 and pa.types.is_integer(table[group].type):
        names = decoded({group: pa.string()}, [group])[group]
        if pc.any(pc.match_substring_regex(names, _LEADING_ZERO)).as_py():
            table = table.set_column(table.column_names.index(group), group, names)
    return table


def _delimiter(path: Path, decimal: Decimal) -> tuple[str, list[str]]:
    """What stands between columns, and what else in the heading could."""
    with path.open("rb") as file:
        heading = _QUOTED.sub(b"", file.readline(_HEADING))
    others = [sign for sign in (";", "\t", "|") if sign.encode() in heading]
    if others and (decimal == "," or b"," not in heading):
        return others[0], []
    return ",", others


def _cost(path: Path, delimiter: str) -> int:
    """Bytes that decoding takes at most: the text, and a number of 8 bytes or text of its own for each cell."""
    size = cells = 0
    with path.open("rb") as file:
        while block := file.read(_HEADING):
            size += len(block)
            cells += block.count(delimiter.encode()) + block.count(b"\n") + block.count(b"\r")
    return 2 * size + (VALUE + 1) * cells


def _may_hold_hex(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _HEX.search(content) is not None


def _refuse_hex(table: "pa.Table", places: list[int]) -> None:
    import pyarrow.compute as pc

    for place in places:
        column = table.column(place)
        row = pc.index(pc.match_substring_regex(column, _HEX_CELL), True).as_py()
        if row >= 0:
            name, cell = table.schema.names[place], column[row].as_py()
            raise DataError(f"a CSV file needs decimal numbers, got {cell!r} in row {row + 1} of column {name!r}")
