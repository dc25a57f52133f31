"""The page: sections in one HTML file that loads nothing, runs nothing, and is the same bytes for the same run."""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from throughtime import storage
from throughtime.errors import ThroughtimeError
from throughtime.report.parts import Absent, Of, Section, SectionBuilder, Table
from throughtime.report.sections import SECTIONS
from throughtime.report.subject import Subject
from throughtime.report.svg import PLACE
from throughtime.study import Run, number

#: What no HTML may hold: control characters, and halves of pairs that no encoding has.
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def write_report(run: Run, path: Path) -> None:
    """Write the page of a run into a new file.

    Raises
    ------
    StorageError
        When the file exists or cannot be written, or a file of the run is damaged.
    """
    storage.claim_file(path)
    storage.write_file(path, page_of(Subject(run)))


def page_of(subject: Subject) -> bytes:
    """The page of a run, UTF-8."""
    run = subject.run
    title = f"{run.config['source']}: {run.metrics.models[-1].name}"
    subtitle = f"{run.created}, throughtime {run.versions.get('throughtime')}, directory {run.directory.name}"
    footer = f"In commands, RUN is the directory of this run, {run.directory.name}."
    return rendered(title, subtitle, built(SECTIONS, subject), footer)


def built(builders: Sequence[SectionBuilder[Of]], of: Of) -> list[Section]:
    """Every section, made; one that cannot be made says why."""
    sections = []
    for builder in builders:
        try:
            parts = tuple(builder.build(of))
        except ThroughtimeError as error:
            parts = (Absent(f"This section could not be made: {error}"),)
        sections.append(Section(builder.key, builder.title, parts))
    return sections


def rendered(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> bytes:
    """Sections as one HTML file, UTF-8."""
    version = storage.package_versions(["throughtime"])["throughtime"]
    text = _template().render(
        title=title, subtitle=subtitle, sections=sections, footer=footer, css=Markup(_file("page.css")), version=version
    )
    return _NO_CHARACTERS.sub("\ufffd", text).encode()


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False, keep_trailing_newline=True)
    environment.filters |= {"numeric": _numeric, "numbered": _numbered, "digits": number, "sentence": _sentence}
    return environment.from_string(_file("page.html.jinja"))


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _numeric(table: Table) -> list[int]:
    """Columns of numbers, which are read from the right."""
    return [
        k
        for k in range(1, len(table.head))
        if all(re.fullmatch(r"[-+]?[\d.]*(e[-+]?\d+)?( %)?", row[k]) for row in table.rows)
    ]


def _numbered(svg: str, place: str) -> Markup:
    """A figure whose names begin with its place in the page."""
    return Markup(svg.replace(PLACE, place))


def _sentence(text: str) -> str:
    """A detail or a remedy, begun and ended as a sentence is."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
