"""``throughtime report``, and the page that fit and search leave in a run."""

import json
from pathlib import Path

import pytest
from vowels import COLUMNS, run

from throughtime.report import run_page
from throughtime.study import Run

NET = ["--hidden-size", "3", "--max-epochs", "1", "--cv", "2", "--verbose", "0"]


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, output, error = run("fit", table, *COLUMNS, *NET, "--out", out)
    assert code == 0, error
    return out, output


def test_fit_says_where_the_page_is_and_the_run_lists_it(fitted: tuple[Path, str]) -> None:
    out, output = fitted
    assert output.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "report.html" in Run.open(out).names


def test_report_writes_the_page_beside_the_run_or_where_it_is_told(fitted: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = fitted
    code, output, _ = run("report", out)
    beside = out.with_name("run-report.html")
    assert (code, output.split()) == (0, ["written", "to", str(beside)])
    assert beside.read_bytes() == run_page(Run.open(out))
    page = tmp_path / "page of [b]one.html"
    code, output, _ = run("report", out, "-o", page)
    assert output == f"written to '{page}'\n"  # as a shell takes it
    assert page.read_bytes() == beside.read_bytes()
    code, _, error = run("report", out, "-o", out / "page.html")
    assert code == 2
    assert "outside of the run" in error
    code, _, error = run("report", out)
    assert code == 2
    assert "run-report.html exists" in error
    assert Run.open(out).names  # a finished run is left as it is


def test_a_run_has_no_page_where_none_is_wanted(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(json.dumps({"lr": [0.01]}))
    for command, grid in (("fit", []), ("search", ["--grid", tmp_path / "grid.json"])):
        out = tmp_path / command
        code, output, error = run(command, table, *grid, *COLUMNS, *NET, "--no-report", "--out", out)
        assert code == 0, error
        assert "report" not in output.splitlines()[-1]
        assert "report.html" not in Run.open(out).names


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    code, _, error = run("report", tmp_path)
    assert code == 2
    assert "needs a manifest.json to be a run" in error
