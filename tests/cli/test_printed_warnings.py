"""Warnings of ours are lines of the command's own, without a place in its code."""

import re
import sys
import warnings
from pathlib import Path

import pytest
from vowels import COLUMNS, run

from throughtime.cli import screen
from throughtime.cli.printed_warnings import print_warnings
from throughtime.errors import DataWarning, FlowWarning

QUICK = ["--hidden-size", "2", "--max-epochs", "1", "--cv", "2", "--random-state", "0"]
#: A bias of -1 at the gate that keeps the state: the gradient is lost within the series.
WATCHED = ["--cell", "lstm", "--forget-bias", "-1", "--monitor", "flow"]
VANISHES = re.compile(r"^a gradient vanishes: fold 1, epoch 1: .* in layer 0.*$", re.MULTILINE)


def lines_of(told: str) -> list[str]:
    """The warnings in what was printed, of which none may be Python's."""
    assert "FlowWarning" not in told
    assert ".py:" not in told
    return VANISHES.findall(told)


def test_fit_says_once_that_a_gradient_vanishes(table: Path, tmp_path: Path) -> None:
    code, out, error = run("fit", table, *COLUMNS, *QUICK, *WATCHED, "--out", tmp_path / "run")
    assert code == 0, error
    (line,) = lines_of(out)
    assert line.endswith("a forget bias")
    assert not lines_of(error)


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_search_says_it_of_the_setting_that_it_trains(table: Path, tmp_path: Path, verbose: str) -> None:
    (tmp_path / "grid.toml").write_text("lr = [0.01]")
    words = [*COLUMNS, *QUICK, *WATCHED, "--verbose", verbose, "--grid", tmp_path / "grid.toml"]
    code, out, error = run("search", table, *words, "--out", tmp_path / "run")
    assert code == 0, error
    assert len(lines_of(out)) == 1
    assert not lines_of(error)


def test_a_run_that_was_watched_is_predicted_with_and_compared_without_a_word(table: Path, tmp_path: Path) -> None:
    made = tmp_path / "run"
    assert run("fit", table, *COLUMNS, *QUICK, *WATCHED, "--out", made)[0] == 0
    for words in (["predict", made, table, "-o", tmp_path / "out.csv"], ["compare", made, made], ["flow", made]):
        code, out, error = run(*words)
        assert code == 0, error
        assert not lines_of(out + error)


def test_an_old_name_is_told_of_without_its_place(table: Path, tmp_path: Path) -> None:
    words = [*COLUMNS, *QUICK, "--target-kind", "step", "--task", "regression"]
    code, out, error = run("fit", table, *words, "--warmup", "2", "--out", tmp_path / "run")
    assert code == 0, error
    assert "warmup is called burn_in now; the next version will not know the old name\n" in out
    lines_of(out + error)


def test_of_the_data_every_warning_is_a_line_of_gradients_every_text(capsys: pytest.CaptureFixture[str]) -> None:
    @print_warnings
    def command() -> None:
        for text in ("one [bold]", "two", "two"):
            warnings.warn(text, DataWarning, stacklevel=1)
            warnings.warn(f"{text} flows", FlowWarning, stacklevel=1)

    screen.console.cache_clear()
    command()
    told = capsys.readouterr()
    assert told.out.splitlines() == ["one [bold]", "one [bold] flows", "two", "two flows", "two"]
    assert told.err == ""
    screen.console.cache_clear()


@pytest.mark.parametrize("category", [UserWarning, FutureWarning])
def test_a_warning_of_a_library_stays_pythons(category: type[Warning]) -> None:
    @print_warnings
    def command() -> None:
        warnings.warn("not ours", category, stacklevel=1)

    with pytest.warns(category, match="not ours"):
        command()


def test_the_filters_of_the_caller_are_as_before() -> None:
    before, show = list(warnings.filters), warnings.showwarning
    print_warnings(lambda: None)()
    assert (warnings.filters, warnings.showwarning) == (before, show)


class Terminal:
    """A standard error that a person may be watching."""

    def __init__(self) -> None:
        self.text = ""
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("term", "written"), [("xterm", "\r\x1b[2K"), ("dumb", "")])
def test_the_line_that_progress_left_open_is_taken_away_first(
    term: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    print_warnings(lambda: warnings.warn("it vanishes", FlowWarning, stacklevel=1))()
    assert terminal.text == written
