"""Commands and grid files that README and guide print are ones that the command line takes.

They are parsed, with the values of all flags checked, and not run: tests/cli runs each command on data.
"""

import re
import shlex
from pathlib import Path

import pytest
import typer
from pages import GUIDES, PAGES, ROOT, blocks

from throughtime.cli.app import app
from throughtime.cli.grid import read_grid
from throughtime.cli.options import given

LINES = [(page, line) for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
SEARCH = next(page for page in GUIDES if page.stem == "search")


def test_the_pages_print_commands() -> None:
    assert {shlex.split(line, comments=True)[0] for _, line in LINES} == {"make", "throughtime"}


@pytest.mark.parametrize(("page", "line"), [pair for pair in LINES if pair[1].startswith("throughtime")])
def test_the_command_line_takes_what_is_printed(page: Path, line: str) -> None:  # noqa: ARG001
    name, *words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given(command.make_context(name, words).params)


@pytest.mark.parametrize("line", sorted({line for _, line in LINES if line.startswith("make")}))
def test_make_has_the_target_that_is_printed(line: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert shlex.split(line, comments=True)[1] in targets


@pytest.mark.parametrize("text", blocks(SEARCH, "toml"))
def test_the_grid_files_of_the_guide_are_grids(text: str, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(text, encoding="utf-8")
    assert read_grid(tmp_path / "grid.toml", None, {}).names


def test_the_distributions_of_the_guide_are_drawn_from(tmp_path: Path) -> None:
    lines = re.findall(r"^\| `(.* = \{.*\})` \|", SEARCH.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 3
    (tmp_path / "grid.toml").write_text("\n".join(lines), encoding="utf-8")
    assert len(read_grid(tmp_path / "grid.toml", 2, {}).names) == 3
