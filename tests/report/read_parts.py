"""Parts of a section as a test reads them, and a run that differs from another in what it holds."""

from typing import Any

from throughtime.report import Table
from throughtime.study import Run


def of(kind: type[Any], parts: Any) -> list[Any]:
    return [part for part in parts if isinstance(part, kind)]


def rows_of(parts: Any, place: int = 0) -> list[dict[str, str]]:
    """A table's rows by the names of its columns."""
    table = of(Table, parts)[place]
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def with_contents(run: Run, **contents: Any) -> Run:
    """The run as if it held something else, by the names of its attributes."""
    other = Run(run._files)
    other.__dict__ |= contents
    return other
