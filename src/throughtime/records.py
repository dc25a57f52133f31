"""Frozen results that packages hand to each other, to files, to pictures and to notebooks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any, ClassVar, TypeVar

#: So many numbers of a list are shown.
MOST_SHOWN = 12
#: So many rows of a table are printed.
MOST_ROWS = 20

#: Text takes the notebook's color and lines are half transparent, so that both are seen on light and on dark.
_TABLE = '<table style="border-collapse:collapse;color:inherit;margin:0">'
_CELL = "border:1px solid rgba(128,128,128,.4);padding:2px 8px;text-align:left;vertical-align:top"


class Record:
    """What is known of a result by name; a notebook shows it as a table.

    A dataclass with ``repr=False`` is printed with its long lists cut short.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _titled(type(self).__name__, _rows(_named(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={_text(value)}' for name, value in _named(self).items())})"


class Row(Record):
    """A record that is printed as a row of a table, and `Records` of its kind as one table with a head.

    A subclass gives ``title``, a line above the table, and ``_cells``.
    """

    __slots__ = ()
    title: ClassVar[str]

    def _cells(self) -> dict[str, str]:
        """What is printed of it, by the head of the column."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(printed_rows([self]))


R = TypeVar("R", bound=Record)


class Records(tuple[R, ...]):
    """Records of one type: one per line in print, with a head if they are `Row`, one per row in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        if not self:
            return escape(repr(self))
        head = "".join(_cell("th", escape(name)) for name in _named(self[0]))
        rows = ("".join(_cell("td", _html(value)) for value in _named(record).values()) for record in self)
        return _titled(f"{len(self)} {type(self[0]).__name__}s", _table([head, *rows]))

    def __repr__(self) -> str:
        rows = [record for record in self if isinstance(record, Row)]
        if rows and len(rows) == len(self):
            return "\n".join(printed_rows(rows))
        return "\n".join(map(str, self)) or "Records()"


def printed_rows(rows: Sequence[Row]) -> list[str]:
    """Lines of a table of records of one type, under its title."""
    cells = [row._cells() for row in rows]
    return [rows[0].title, *aligned([list(cells[0]), *(list(row.values()) for row in cells)])]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first row is its head, numbers right in their column; at most `MOST_ROWS` others."""
    shown = rows[: 1 + MOST_ROWS]
    columns = []
    for head, *cells in zip(*shown, strict=True):
        width = max(map(len, (head, *cells)))
        side = ">" if all(map(_is_number, cells)) else "<"
        columns.append([f"{cell:{side}{width}}" for cell in (head, *cells)])
    lines = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
    return lines if len(rows) == len(shown) else [*lines, f"... and {len(rows) - len(shown)} more"]


def _is_number(cell: str) -> bool:
    try:
        return cell == "-" or bool(float(cell) or True)
    except ValueError:
        return False


def _named(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _titled(title: str, table: str) -> str:
    return f"<div><strong>{escape(title)}</strong>{table}</div>"


def _rows(named: Mapping[Any, Any]) -> str:
    """A table with a row per name."""
    lines = (_cell("th", escape(str(name))) + _cell("td", _html(value)) for name, value in named.items())
    return _table(lines)


def _table(lines: Iterable[str]) -> str:
    return f"{_TABLE}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(tag: str, html: str) -> str:
    return f'<{tag} style="{_CELL}">{html}</{tag}>'


def _html(value: Any) -> str:
    if isinstance(value, Record):
        return _rows(_named(value))
    if isinstance(value, Mapping):
        return _rows(value)
    if _is_list(value) and value and all(map(_is_list, value)):
        return "<br/>".join(escape(_text(part)) for part in value)
    return escape(_text(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _text(value: Any) -> str:
    """A value in a few words: four digits of a number, the first numbers of many, how many objects of which kind.

    Of a large array of several axes its shape.
    """
    if getattr(value, "ndim", 0) > 1 and value.size > MOST_SHOWN**2:
        return f"{value.dtype} {'x'.join(map(str, value.shape))}"
    if hasattr(value, "tolist"):  # of numpy, which need not be imported for it
        value = value.tolist()
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) + "}"
    if not _is_list(value):
        return str(value)
    if all(part is None or isinstance(part, str | int | float) or _is_list(part) for part in value):
        shown = ", ".join(map(_text, value[:MOST_SHOWN]))
        return f"[{shown}]" if len(value) <= MOST_SHOWN else f"[{shown}, ... {len(value)} in all]"
    kinds = Counter("none" if part is None else type(part).__name__ for part in value)
    return ", ".join(f"{n} x {kind}" for kind, n in kinds.items())


@dataclass(frozen=True)
class EpochRecord(Record):
    """One member's epoch.

    ``train_loss`` is the mean over the epoch's batches as the weights moved; ``validation_loss`` is on the inner split
    of early stopping and ``eval_loss`` on series that training never uses, after the epoch; both ``None`` without
    one.  ``gradient_norm`` is the mean over the steps before clipping, ``clipped`` the fraction of steps that
    were clipped.
    """

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float | None
    eval_loss: float | None
    gradient_norm: float
    clipped: float


@dataclass(frozen=True)
class EpochProgress(Record):
    """How a lockstep run stands after an epoch; the losses are means over the members still running.

    Members of several shapes, or more than memory holds, train in several runs one after the other.
    """

    epoch: int
    max_epochs: int
    members: int
    running: int
    train_loss: float
    validation_loss: float | None
    run: int = 1
    runs: int = 1
