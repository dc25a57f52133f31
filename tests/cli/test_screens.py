"""A command's work is kept whatever becomes of what it prints, and its exit code says so."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import screens
from vowels import COLUMNS, run

from throughtime import storage
from throughtime.cli import fit as fit_module
from throughtime.errors import StorageError
from throughtime.storage import read_run
from throughtime.terminal import Lenient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full, fork")

QUICK = ["--hidden-size", "2", "--max-epochs", "2", "--cv", "2", "--random-state", "0"]
DONE, NOT_PRINTED, READER_LEFT = 0, 74, 141


@pytest.fixture(scope="module")
def source(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose name and column are not ASCII."""
    path = tmp_path_factory.mktemp("données") / "voyelles ─ ü.csv"
    pd.read_csv(table).rename(columns={"0": "température"}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def fitted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", source, *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    return out


def exit_codes(cases: list[dict[str, Any]]) -> list[int]:
    found = subprocess.run(
        [sys.executable, screens.__file__, json.dumps(cases)], check=True, stdout=subprocess.PIPE, timeout=300
    )
    codes: list[int] = json.loads(found.stdout)
    return codes


#: By number, screens on which networks are trained too.
TRAINED = [1, 3, 9]
BROKEN = [
    ("reader gone", "/dev/null", {}, READER_LEFT),
    ("full", "/dev/null", {}, NOT_PRINTED),
    ("closed", "/dev/null", {}, NOT_PRINTED),
    ("closed", "closed", {}, NOT_PRINTED),
    ("/dev/null", "closed", {}, DONE),
    ("full", "full", {}, NOT_PRINTED),
    ("/dev/null", "reader gone", {}, DONE),
    ("ascii", "ascii", {}, DONE),
    ("terminal", "terminal", {"TERM": "dumb"}, DONE),
    ("terminal", "terminal", {"TERM": "xterm", "COLUMNS": "1"}, DONE),
    ("ascii", "terminal", {"TERM": "xterm", "COLUMNS": "0", "LINES": "0"}, DONE),
]


def test_what_a_command_does_is_done_on_any_screen(source: Path, fitted: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text("lr = [0.01, 0.1]")
    cases: list[dict[str, Any]] = []
    expected = []

    def add(code: int, words: list[Any], out: str, err: str, environment: dict[str, str]) -> None:
        cases.append({"words": [str(word) for word in words], "out": out, "err": err, "environment": environment})
        expected.append(code)

    for number, (out, err, environment, code) in enumerate(BROKEN):
        commands = [["compare", fitted, fitted], ["data", source, *COLUMNS], ["--help"]]
        for words in (["predict", fitted, source, "-o", tmp_path / f"{number}.csv"], commands[number % 3]):
            add(code, words, out, err, environment)
        if number in TRAINED:
            words = ["fit", source, *COLUMNS, *QUICK, "--verbose", 1, "--out", tmp_path / f"{number}"]
            add(code, words, out, err, environment)
    add(
        NOT_PRINTED,
        ["search", source, "--grid", grid, *COLUMNS, *QUICK, "--out", tmp_path / "search"],
        "full",
        "full",
        {},
    )
    flow = tmp_path / "flow"
    add(NOT_PRINTED, ["flow", fitted, "--out", flow], "full", "/dev/null", {})
    add(DONE, ["flow", fitted], "ascii", "ascii", {})
    found = tmp_path / "diagnosis"
    quick = ["--probes", "weight_decay up", "--repeats", 1]
    add(NOT_PRINTED, ["diagnose", fitted, *quick, "--out", found], "full", "/dev/null", {})
    add(DONE, ["diagnose", fitted, *quick], "terminal", "terminal", {"TERM": "xterm", "COLUMNS": "1"})
    told = [tmp_path / f"err{number}" for number in range(4)]
    add(NOT_PRINTED, ["data"], "full", str(told[0]), {})
    for out, err in zip(["full", "closed", "ascii"], told[1:], strict=True):
        add(2, ["data", tmp_path / "absent.csv"], out, str(err), {})

    for case, ended, code in zip(cases, exit_codes(cases), expected, strict=True):
        assert ended == code, case
    for number in range(len(BROKEN)):
        assert (tmp_path / f"{number}.csv").read_bytes() == (tmp_path / "0.csv").read_bytes()
    for number in TRAINED:
        for name in ("model.safetensors", "metrics.json"):
            assert read_run(tmp_path / f"{number}").bytes(name) == read_run(fitted).bytes(name)
    assert "search.csv" in read_run(tmp_path / "search").manifest.files
    assert "lag_curve.svg" in read_run(flow).manifest.files
    assert "effects.svg" in read_run(found).manifest.files
    assert told[0].read_text() == "error: all was done, but not all printed: No space left on device\n"
    for err in told[1:]:
        assert err.read_text().startswith("error: ")


def test_a_pipe_whose_reader_leaves_costs_no_run(source: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m throughtime fit '{source}' {' '.join(COLUMNS + QUICK)} --out '{tmp_path}/run'"
    found = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60
    )
    first, code = found.stdout.splitlines()
    assert first.endswith("ü.csv")
    assert int(code) == READER_LEFT
    assert "Traceback" not in found.stderr
    read_run(tmp_path / "run")


def test_files_opened_later_do_not_become_a_closed_standard_output() -> None:
    """Whatever a library prints must not go into a file of ours that took descriptor 1 or 2."""
    program = (
        "import os\n"
        "os.close(1); os.close(2)\n"
        "import sys\n"
        "sys.stdout = sys.stderr = None\n"
        "from throughtime.cli import main\n"
        "from throughtime.cli import app\n"
        "app.app = lambda: sys.exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 1)\n"
        "main()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_scores_are_printed_though_the_disk_refuses_the_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("run could not be written: No space left on device")

    monkeypatch.setattr(storage.UnfinishedRun, "finish", refuse)
    code, out, error = run("fit", source, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert "validation" in out
    assert "written to" not in out
    goes_on = f"throughtime resume {tmp_path / 'run'} goes on when that is put right"
    assert error.endswith(f"error: run could not be written: No space left on device; {goes_on}\n")


def test_a_run_is_written_before_its_scores_are_printed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "print_study", interrupted)
    code, _, error = run("fit", source, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 130
    assert error.endswith(f"stopped; {tmp_path / 'run'} is finished\n")
    read_run(tmp_path / "run")


LONG = "n" * 256


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (LONG, "File name too long"),
        (f"{LONG}/run", "File name too long"),
        ("/".join(["n" * 200] * 30), "File name too long"),
        ("file/run", "Not a directory"),
        ("file/", "exists"),
        ("dangling", "exists"),
        ("dangling/run", "No such file or directory"),
        ("a\0b", "embedded null byte"),
        ("\ud800", "surrogates not allowed"),
    ],
    ids=lambda value: value[:12].encode("ascii", "backslashreplace").decode().replace("\0", "NUL"),
)
def test_a_place_that_cannot_be_made_is_refused_before_the_work(
    command: str, place: str, reason: str, fitted: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = ".csv" if command == "predict" else ""
    (tmp_path / "file").write_text("")
    (tmp_path / f"file{ending}").write_text("")
    (tmp_path / f"dangling{ending}").symlink_to("nowhere")
    (tmp_path / "dangling").is_symlink() or (tmp_path / "dangling").symlink_to("nowhere")
    path = os.path.join(tmp_path, place.rstrip("/") + ending)

    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("no work is done")

    monkeypatch.setattr("throughtime.cli.plan.read", work)
    monkeypatch.setattr("throughtime.cli.predict.read", work)
    before = sorted(os.listdir(tmp_path))
    if command == "fit":
        code, _, error = run("fit", source, *COLUMNS, *QUICK, "--out", path)
    else:
        code, _, error = run("predict", fitted, source, "-o", path)
    assert code == 2
    assert reason in error
    assert sorted(os.listdir(tmp_path)) == before


class Broken(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_stream_that_fails_once_is_not_tried_again_and_says_why() -> None:
    stream = Lenient(Broken())
    stream.write("a")
    stream._stream = io.StringIO()
    stream.write("b")
    assert stream.failure is not None
    assert stream.failure.strerror == "Input/output error"
    assert stream._stream.getvalue() == ""


def test_a_closed_stream_and_one_that_is_not_there_lose_what_is_printed() -> None:
    closed = io.StringIO()
    closed.close()
    for inner in (closed, None):
        stream = Lenient(inner)
        assert not stream.isatty()
        stream.flush()
        print("text", file=stream)
        assert stream.failure is not None


def test_a_letter_that_the_encoding_lacks_is_escaped() -> None:
    inner = io.TextIOWrapper(io.BytesIO(), "ascii")
    stream = Lenient(inner)
    print("é─", file=stream, flush=True)
    assert inner.buffer.getvalue() == b"\\xe9\\u2500\n"  # type: ignore[attr-defined]
    assert stream.failure is None
