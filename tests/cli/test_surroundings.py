"""Commands do their work wherever they are typed: without a home, in a foreign language, among odd names of files."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text
from vowels import COLUMNS, run

from throughtime.cli import screen
from throughtime.storage import read_run
from throughtime.study import ModelScores
from throughtime.terminal import escape_controls

QUICK = ["--hidden-size", "2", "--max-epochs", "2", "--cv", "2", "--random-state", "0"]

#: A process of somebody whom the system does not know, as in a container with a user's number alone.
NOBODY = """
import pwd

def unknown(who):
    raise KeyError(who)

pwd.getpwuid = pwd.getpwnam = unknown
from throughtime.cli import main

main()
"""


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    return out


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where nothing can be written")
def test_a_run_is_the_same_without_a_home_where_nothing_else_can_be_written(
    table: Path, fitted: Path, tmp_path: Path
) -> None:
    homes = ("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")  # matplotlib's cache is then nowhere
    environment = {name: value for name, value in os.environ.items() if name not in homes}
    environment |= {"LC_ALL": "C", "TERM": "dumb", "COLUMNS": "40"}
    words = ["fit", table, *COLUMNS, *QUICK, "--out", tmp_path / "done ü"]
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *map(str, words)], cwd="/proc", env=environment, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "done ü" in done.stdout.decode()
    for name in ("model.safetensors", "metrics.json"):
        assert read_run(tmp_path / "done ü").bytes(name) == read_run(fitted).bytes(name)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where nothing can be written")
def test_a_directory_that_cannot_be_written_is_named_before_the_work(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/proc")
    code, out, error = run("fit", table, *COLUMNS, *QUICK)
    assert (code, out) == (2, "")
    assert error.startswith("error: runs/vowels-")
    assert "could not be written" in error


#: With spaces, quotes, letters of other scripts, a new line, markup, formats, and what a terminal obeys.
ODD = "two  words q'u\"ote`$HOME données ─ 数 new\nline [red]b %s{0} \x1b[31m \x9b1m"


def test_files_of_any_name_are_read_and_written_and_named_as_a_shell_takes_them(
    table: Path, fitted: Path, tmp_path: Path
) -> None:
    source, out, predicted = tmp_path / f"{ODD}.csv", tmp_path / ODD, tmp_path / f"p {ODD}.csv"
    source.write_bytes(table.read_bytes())
    code, printed, error = run("fit", source, *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    assert escape_controls(f"next: throughtime predict {shlex.quote(str(out))} SOURCE") in printed
    assert escape_controls(str(source)) in printed
    assert read_run(out).bytes("model.safetensors") == read_run(fitted).bytes("model.safetensors")
    code, told, error = run("predict", out, source, "-o", predicted)
    assert code == 0, error
    assert escape_controls(f"predicted into {shlex.quote(str(predicted))}") in told
    assert predicted.exists()
    for text in (printed, told, run("data", source.with_suffix(".absent"))[2]):
        assert not set(text) & {"\x1b", "\x9b"}


@pytest.mark.parametrize("name", ["-v", "x" * 240], ids=["leading dash", "long"])
def test_a_run_gets_a_name_from_any_source(
    name: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.csv").write_bytes(table.read_bytes())
    code, printed, error = run("fit", *COLUMNS, *QUICK, "--", f"{name}.csv")
    assert code == 0, error
    (made,) = Path("runs").iterdir()
    assert f"throughtime predict {made} SOURCE" in printed


def test_a_name_of_other_bytes_and_a_pipe_are_refused_with_a_cure(table: Path, tmp_path: Path) -> None:
    other = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.csv")
    Path(other).write_bytes(table.read_bytes())
    code, _, error = run("fit", other, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert "a source needs a name in UTF-8, got other bytes; rename it" in error
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    code, _, error = run("fit", pipe, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert error.endswith("got a pipe, a socket or a device; save it as a file first\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("width", [10, 40, 60, 100])
def test_on_a_narrow_screen_no_name_and_no_number_is_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scores(name: str, value: float) -> ModelScores:
        tables: list[dict[str, Any]] = [{"accuracy": [[value, value], [value + 0.1] * 2]} for _ in range(2)]
        lists: list[dict[str, Any]] = [{"accuracy": [value + 0.2, value + 0.3]} for _ in range(2)]
        return ModelScores(name, *tables, *lists)

    monkeypatch.setattr(screen, "console", lambda: screen.Screen(width=width, highlight=False))
    screen.print_scores([scores("majority class", 0.125), scores("GRU", 0.375)], ["accuracy"], 10, "holdout")
    printed = Text.from_ansi(capsys.readouterr().out).plain
    words = ["majority", "class", "GRU", "training", "validation", "folds", "pooled", "test"]
    numbers = ["0.175", "0.375", "0.425", "0.325", "0.425", "0.475"]
    assert [word for word in [*words, *numbers] if word not in printed] == []
    assert "…" not in printed


def test_a_table_wider_than_the_screen_keeps_every_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", lambda: screen.Screen(width=20, highlight=False))
    table = Table(box=None)
    table.add_column("name", overflow="fold")
    for heading in ("a heading", "another one"):
        table.add_column(heading, no_wrap=True)
    table.add_row("linear", "0.125", "0.250")
    screen.print_table(table)
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("name", "linear", "a heading", "another one", "0.125", "0.250"))
