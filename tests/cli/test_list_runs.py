"""``throughtime runs``: how every run in a directory stands, whatever its files have become."""

import io
import random
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vowels import run

from throughtime import SequenceClassifier, storage
from throughtime.cli import list_runs as listing
from throughtime.cli import screen
from throughtime.cli.list_runs import Listed, list_runs
from throughtime.cli.screen import Screen
from throughtime.study import files
from throughtime.training import CheckpointFacts, Checkpoints
from throughtime.training.checkpoints import Keeper

FLAGS = ["--hidden-size", "3", "--max-epochs", "3", "--cv", "2", "--verbose", "0", "--no-report"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, one that was stopped, an estimator, a directory of pictures, and what is no run."""
    place = tmp_path_factory.mktemp("runs")
    rng, y = np.random.default_rng(0), np.arange(12) % 2
    X = rng.normal(size=(12, 4, 2))
    source = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(source, X=X, y=y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_drawn", lambda *_: b"PNG")
        typed = ["fit", source, "--split", ".25", *FLAGS]
        assert run(*typed, "--cell", "lstm", "--num-layers", "2", "--out", place / "finished")[0] == 0
        real = Keeper.on_epoch

        def stop(self: Keeper, state: Any) -> None:
            if state.epoch == 2:
                signal.raise_signal(signal.SIGINT)
            real(self, state)

        patch.setattr(Keeper, "on_epoch", stop)
        assert run(*typed, "--out", place / "stopped")[0] == 130
    SequenceClassifier(hidden_size=2, max_epochs=1, random_state=0).fit(X, y).save(place / "saved")
    storage.write_run(place / "pictures", {"a.svg": b"<svg/>"}, {"kind": "flow"})
    (place / "other").mkdir()
    (place / "other" / "notes.txt").write_text("mine")
    (place / "page").mkdir()
    (place / "page" / "manifest.json").write_text('{"name": "web page"}')
    (place / ".finished-0123.partial").mkdir()
    return place


def test_runs_are_listed_with_their_state_and_scores(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {one.name: one for one in list_runs(made)}
    out = capsys.readouterr().out
    assert found.keys() == {"finished", "stopped", "saved", "pictures"}
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d", one.when) for one in found.values())
    states = {name: (one.state, one.what) for name, one in found.items()}
    assert states == {
        "finished": ("finished", "fit lstm 3x2"),
        "stopped": ("stopped, epoch 2", "fit gru 3"),
        "saved": ("finished", "estimator"),
        "pictures": ("finished", "pictures that flow wrote"),
    }
    metrics = storage.read_run(made / "finished").json("metrics.json")["models"][-1]
    assert found["finished"].validation == pytest.approx(np.mean(metrics["validation"]["accuracy"]))
    assert found["finished"].test == pytest.approx(np.mean(metrics["test"]["accuracy"]))
    assert f"accuracy {found['finished'].validation:.3f}" in out
    on = f"stopped: 0 of 3 networks trained, 3 after epoch 2; throughtime resume {made / 'stopped'} goes on"
    assert on in " ".join(out.split())
    with storage.resume_run(made / "stopped"):  # type: ignore[union-attr]
        running = next(one for one in list_runs(made) if one.name == "stopped")
    assert (running.state, running.why) == ("running, epoch 2", "0 of 3 networks trained, 3 after epoch 2")
    assert [one.name for one in list_runs(made / "finished")] == ["finished"]


def test_a_program_that_reads_the_list_finds_names_whole(made: Path, tmp_path: Path) -> None:
    name = "of-patients-" * 8 + "20261127-203851"
    shutil.copytree(made / "finished", tmp_path / name)
    _, out, _ = run("runs", tmp_path)
    assert any(line.split()[:1] == [name] for line in out.splitlines())


def test_a_stopped_run_stands_where_the_group_does_that_is_least_far(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [CheckpointFacts("a", 3, 2, 1, {}), CheckpointFacts("b", 12, 1, 1, {}), CheckpointFacts("c", 1, 1, 0, {})]
    monkeypatch.setattr(Checkpoints, "latest", lambda _: groups)
    (found,) = list_runs(made / "stopped")
    assert found.state == "stopped, epoch 3"


def test_a_run_has_its_name_from_within(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made / "finished")
    (found,) = list_runs(Path("."))
    assert found.name == "finished"
    monkeypatch.chdir(made / "stopped")
    (found,) = list_runs(Path("."))
    assert found.name == "stopped"
    assert found.why.endswith(f"throughtime resume {made / 'stopped'} goes on")


def test_a_line_has_each_value_in_its_column_and_the_oldest_run_is_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = {
        "b": Listed("b", "finished", "2026-02-01 10:00", "fit gru 3", "b.csv", "R2", 0.25, 0.125, ""),
        "a": Listed("a", "finished", "2026-02-02 10:00", "search lstm 8x2", "a.csv", "accuracy", 0.5),
        "c": Listed("c", "damaged", why="c/config.json is damaged"),
        "d": Listed("d", "running, epoch 3", "2026-01-01 10:00", "fit gru 3", "b.csv"),
    }
    wide = Screen(width=140, highlight=False, file=io.StringIO(), force_terminal=True, color_system="standard")
    for module in (listing, screen):
        monkeypatch.setattr(module, "console", lambda: wide)
    monkeypatch.setattr(listing, "_places", lambda _: [Path(name) for name in sorted(runs)])
    monkeypatch.setattr(listing, "_listed", lambda path: runs[path.name])
    assert [one.name for one in list_runs(tmp_path)] == ["d", "b", "a", "c"]
    printed = wide.file.getvalue()  # type: ignore[attr-defined]
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in printed.splitlines()]
    cells = [re.split(r" {2,}", line.strip()) for line in plain]
    assert cells[:5] == [
        ["run", "state", "when (UTC)", "what", "source", "validation", "test"],
        ["d", "running, epoch 3", "2026-01-01 10:00", "fit gru 3", "b.csv"],
        ["b", "finished", "2026-02-01 10:00", "fit gru 3", "b.csv", "R2 0.250", "0.125"],
        ["a", "finished", "2026-02-02 10:00", "search lstm 8x2", "a.csv", "accuracy 0.500"],
        ["c", "damaged"],
    ]
    assert plain[-1] == "c: c/config.json is damaged"
    colors = {"d": "32", "c": "31"}  # green, red
    for name, color in colors.items():
        line = next(line for line in printed.splitlines() if re.sub(r"\x1b\[[\d;]*m", "", line).startswith(f"{name} "))
        assert f"\x1b[{color}m" in line


def test_a_network_is_known_by_cell_size_and_layers_and_one_of_your_own_as_a_module() -> None:
    named = {"cell": "gru", "hidden_size": 32, "num_layers": 1, "module": None}
    assert listing._network(named) == "gru 32"
    assert listing._network(named | {"num_layers": 2}) == "gru 32x2"
    assert listing._network(named | {"module": "Net"}) == "module 32"
    assert listing._network({}) == ""


def test_a_directory_without_runs_is_no_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "runs"):
        code, out, _ = run("runs", place)
        assert code == 0
        assert out == f"there are no runs in {place}\n"
    (tmp_path / "file").write_text("")
    code, _, error = run("runs", tmp_path / "file")
    assert code == 2
    assert "file could not be read: Not a directory" in error


@pytest.mark.parametrize("name", ["finished", "stopped"])
def test_a_damaged_run_is_listed_with_the_reason_and_the_others_stay(name: str, made: Path, tmp_path: Path) -> None:
    draw = random.Random(name)
    for path in sorted((made / name).rglob("*")):
        if not path.is_file() or not (content := path.read_bytes()):
            continue
        copy = Path(shutil.copytree(made / name, tmp_path / "damaged"))
        damaged = copy / path.relative_to(made / name)
        at = draw.randrange(len(content))
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
        (found,) = list_runs(tmp_path)
        if name == "finished" or path.name == "request.json":
            assert found.state == "damaged"
            assert path.name in found.why
        else:  # a checkpoint, which is passed over
            assert found.state.startswith("stopped")
        shutil.rmtree(copy)


def test_a_narrow_terminal_and_odd_names_hide_nothing_of_a_name(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a[red]b", "n" * 70, "esc\x1b[31m", "line\nbreak", "[bold]"]
    for name in names:
        shutil.copytree(made / "finished", tmp_path / name)
    (tmp_path / names[0] / "config.json").write_bytes(b"")
    narrow = Screen(width=40, highlight=False, file=io.StringIO(), force_terminal=True, color_system=None)
    for module in (listing, screen):
        monkeypatch.setattr(module, "console", lambda: narrow)
    found = list_runs(tmp_path)
    assert [one.name for one in found][-1] == "a[red]b"
    out = narrow.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in out
    assert "source" not in out.splitlines()[0]
    first = "".join(line[: line.find(" ")] if " " in line else line for line in out.splitlines())
    for name in ("a[red]b", "n" * 70, "\\x1b[31m", "\\nbreak", "[bold]"):
        assert name in first or name in out
    assert "accuracy" in out
