"""What a page is made of: sections, and the lines, tables and figures in them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from throughtime.findings import Finding
from throughtime.records import Record

#: What no page may hold: control characters, halves of pairs that no encoding has, what is no character; and marks that
#: would turn the direction of all that is written after them.
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

#: How a line is meant: a verdict that is good or bad news, a remark, or what is only worth knowing.
Tone = Literal["plain", "good", "bad", "quiet"]


@dataclass(frozen=True)
class Line(Record):
    """A sentence or two."""

    kind: ClassVar = "line"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, repr=False)
class Table(Record):
    """Rows of text; the first cell of a row is its heading.

    Attributes
    ----------
    caption
        What the table is of, for those who hear it too.
    head
        A heading per column.
    strong
        Index of the row that matters most.
    """

    kind: ClassVar = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: int | None = None


@dataclass(frozen=True, repr=False)
class Facts(Record):
    """Names and what they are."""

    kind: ClassVar = "facts"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, repr=False)
class Figure(Record):
    """A picture.

    Attributes
    ----------
    svg
        As `svg.inline_svg` makes it, its names beginning with `svg.PLACE`.
    title
        What is drawn, in a few words.
    description
        What there is to see, for those who hear it.
    caption
        What is written beneath.
    wide
        Whether it keeps its size on a narrow screen, to be moved sideways.
    """

    kind: ClassVar = "figure"
    svg: str
    title: str
    description: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True, repr=False)
class Findings(Record):
    """Findings, each with what was measured, the threshold, its source and the remedy."""

    kind: ClassVar = "findings"
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Absent(Record):
    """What the run does not have, and the command that would make it."""

    kind: ClassVar = "absent"
    text: str
    command: str = ""


Part = Line | Table | Facts | Figure | Findings | Absent


@dataclass(frozen=True, repr=False)
class Section(Record):
    """A part of the page with a heading; ``key`` is its address in the page."""

    key: str
    title: str
    parts: tuple[Part, ...]


Of = TypeVar("Of")


@dataclass(frozen=True)
class SectionBuilder(Generic[Of]):
    """A section that a page may have: what it is called, and how it is made of what the page is of.

    ``build`` may raise a `ThroughtimeError`: the section then says what it was.
    """

    key: str
    title: str
    build: Callable[[Of], Iterable[Part]]


def printable(text: str) -> str:
    """A text without the characters that no page may hold, a mark in the place of each."""
    return _NO_CHARACTERS.sub("\ufffd", text)
