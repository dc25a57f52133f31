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
from throughtime.report.found_afterwards import subject_of
from throughtime.report.parts import Absent, Figure, Of, Part, Section, SectionBuilder, Table, printable
from throughtime.report.sections import SECTIONS
from throughtime.report.subject import Subject
from throughtime.report.svg import PLACE
from throughtime.study import Run

#: Letters of a row's heading that is not broken into lines.
SHORT = 14
#: A number, or two with a word between, or nothing.
_NUMBERS = re.compile(r"([-+]?[\d.]*(e[-+]?\d+)?( ?%)?( to )?){0,2}")


def write_report(run: Run, path: Path, *, diagnosis: Path | None = None, shift: Path | None = None) -> None:
    """Write the page of a run into a new file.

    Parameters
    ----------
    diagnosis, shift
        Directories of what was found of the run afterwards, by ``diagnose --out`` and ``shift --out``.

    Raises
    ------
    StorageError
        When the file exists or cannot be written, or a file of the run or of a directory is damaged.
    ParameterError
        For a diagnosis of another network.
    """
    storage.claim_file(path)
    storage.write_file(path, page_of(subject_of(run, diagnosis, shift)))


def run_page(run: Run) -> bytes:
    """The page of a run alone, UTF-8: what ``throughtime fit`` puts into it."""
    return page_of(Subject(run))


def page_of(subject: Subject) -> bytes:
    """The page of a run, UTF-8."""
    run = subject.run
    title = f"{run.metrics.models[-1].name} on {Path(run.config['source']).name}"
    when = run.created[:16].replace("T", " ")
    subtitle = f"Run {run.directory_name}, written {when} UTC by throughtime {run.versions.get('throughtime')}"
    footer = (
        f"In commands RUN is the directory of this run, {run.directory_name}, SOURCE its data, and NEW other series."
    )
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
    return printable(text).encode()


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False, keep_trailing_newline=True)
    environment.filters |= {
        "numeric": _numeric,
        "numbered": _numbered,
        "digits": "{:.4g}".format,
        "sentence": _sentence,
        "guide_page": _guide_page,
        "rows": _rows,
        "short": lambda heading: len(heading) <= SHORT,
    }
    return environment.from_string(_file("page.html.jinja"))


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _rows(parts: Sequence[Part]) -> list[list[Part]]:
    """Parts in rows: figures that follow each other stand side by side where there is room."""
    rows: list[list[Part]] = []
    for part in parts:
        beside = isinstance(part, Figure) and not part.wide
        if beside and rows and isinstance(rows[-1][-1], Figure) and not rows[-1][-1].wide:
            rows[-1].append(part)
        else:
            rows.append([part])
    return rows


def _numeric(table: Table) -> list[int]:
    """Columns of numbers and of intervals, which are read from the right."""
    return [k for k in range(1, len(table.head)) if all(_NUMBERS.fullmatch(row[k]) for row in table.rows)]


def _numbered(svg: str, place: str) -> Markup:
    """A figure whose names begin with its place in the page."""
    return Markup(svg.replace(PLACE, place))


def _guide_page(docs: str) -> str:
    """A page of the guide by its name and heading: from here a path in the repository leads nowhere."""
    path, _, heading = docs.partition("#")
    return f"page {Path(path).stem}{', under ' if heading else ''}{heading.upper()}"


def _sentence(text: str) -> str:
    """A detail or a remedy, begun and ended as a sentence is."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
