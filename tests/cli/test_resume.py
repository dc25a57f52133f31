"""Runs that are stopped, killed, moved or damaged on the way: gone on with to the same bytes, or refused by name."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vowels import run

from diagnosed import DIAGNOSIS
from throughtime import storage
from throughtime.cli import resume, run_in_progress
from throughtime.errors import DataError
from throughtime.study import Run, assessment, diagnosing, files, read_diagnosis
from throughtime.study.kept_baselines import KeptBaselines
from throughtime.training import Checkpoints, checkpoints
from throughtime.training.checkpoints import Keeper

FLAGS = ["--hidden-size", "3", "--max-epochs", "4", "--cv", "2", "--verbose", "0", "--no-report"]
GRID = ["--grid", "grid.toml"]
COMMANDS = {"fit": ["fit", "data.npz", *FLAGS], "search": ["search", "data.npz", *GRID, *FLAGS]}
#: Of the loop that a command is stopped in: epochs behind it; a search begins with one of 4 networks.
STANDS = {"fit": "0 of 3 networks trained, 3 after epoch 2", "search": "0 of 7 networks trained, 4 after epoch 2"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with data and a grid, where commands are typed; without what takes long."""
    y = np.arange(12) % 2
    X = np.random.default_rng(0).normal(size=(12, 4, 2)) + 0.5 * y[:, None, None]
    np.savez(tmp_path / "data.npz", X=X, y=y)
    (tmp_path / "grid.toml").write_text("lr = [0.001, 0.05]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_drawn", lambda *_: b"PNG")
    baselines_for = assessment.baselines_for
    monkeypatch.setattr(assessment, "baselines_for", lambda *data, **more: baselines_for(*data, **more)[:2])
    return tmp_path


@pytest.fixture
def each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each epoch."""
    monkeypatch.setattr(run_in_progress, "CHECKPOINT_EVERY", 0.0)


def contents(directory: Path) -> dict[str, Any]:
    """A finished run without what says how long it took, or when."""
    opened = storage.read_run(directory)
    assert set(os.listdir(directory)) == {*opened.manifest.files, storage.MANIFEST}
    found: dict[str, Any] = {name: opened.bytes(name) for name in opened.manifest.files}
    settings = json.loads(found["config.json"])
    del settings["seconds"]
    if "search.csv" in found:
        del settings["search"]["seconds"]
        table = Run.open(directory).search
        assert table is not None
        found["search.csv"] = {name: list(map(str, column)) for name, column in table.items() if "time" not in name}
    logs = {name: re.sub(rb', "time": [^}]*', b"", found[name]) for name in found if name.endswith(".jsonl")}
    return found | logs | {"config.json": settings}


def unbroken(command: str, out: Path) -> dict[str, Any]:
    assert run(*COMMANDS[command], "--out", out)[0] == 0
    return contents(out)


@pytest.fixture
def after_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Have something done once, after so many epochs of all loops together and before they are kept."""
    real = Keeper.on_epoch

    def set_up(epochs: int, act: Callable[[], object]) -> None:
        left = epochs

        def on_epoch(self: Keeper, state: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                act()
            real(self, state)

        monkeypatch.setattr(Keeper, "on_epoch", on_epoch)

    yield set_up
    monkeypatch.setattr(Keeper, "on_epoch", real)


def stopped(command: str, out: Path, after_epoch: Callable[..., None], number: int = signal.SIGINT) -> str:
    """What a command says that a signal stops after its second epoch."""
    after_epoch(2, lambda: signal.raise_signal(number))
    code, _, error = run(*COMMANDS[command], "--out", out)
    assert code == 128 + number, error
    after_epoch(0, lambda: None)
    return error


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_with_its_epoch_and_resume_makes_the_unbroken_run(
    command: str, number: int, place: Path, after_epoch: Callable[..., None]
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    error = stopped(command, place / "run", after_epoch, number)
    last = f"stopped, {STANDS[command]}; throughtime resume {place / 'run'} goes on"
    assert error.splitlines()[-1] == last
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    for name in ("data.npz", "grid.toml"):  # neither the folder nor the grid is needed, nor is the data's place
        (place / name).rename(place / f"moved-{name}")
    moved = Path(shutil.move(place / "run", place / "elsewhere"))
    code, _, error = run("resume", moved)
    assert code == 2
    assert "the data are no longer at data.npz, nor at " in error
    assert error.endswith("; --source says where they are\n")
    code, out, error = run("resume", moved, "--source", "moved-data.npz")
    assert code == 0, error
    assert f"goes on: {STANDS[command]}\n" in out
    for name in ("data.npz", "grid.toml"):
        (place / f"moved-{name}").rename(place / name)
    found, expected = contents(moved), unbroken(command, place / "whole")
    assert found["config.json"].pop("source") == "moved-data.npz"
    del expected["config.json"]["source"]
    assert json.loads(found.pop("data.json"))["fingerprint"] == json.loads(expected.pop("data.json"))["fingerprint"]
    assert found == expected


def test_a_second_signal_stops_at_once_and_the_run_goes_on_all_the_same(
    place: Path, after_epoch: Callable[..., None], each_epoch: None
) -> None:
    del each_epoch
    later = []

    def twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        later.append(1)
        signal.raise_signal(signal.SIGINT)
        later.append(2)

    after_epoch(3, twice)
    code, _, error = run(*COMMANDS["fit"], "--out", place / "run")
    assert code == 143
    assert later == [1]
    assert "stopped, 0 of 3 networks trained, 3 after epoch 2; " in error
    assert run("resume", place / "run")[0] == 0
    assert contents(place / "run") == unbroken("fit", place / "whole")


def test_outside_of_training_a_signal_stops_at_once_and_baselines_are_scored_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, scored = KeptBaselines.keep, []

    def keep(self: KeptBaselines, scores: Any) -> None:
        real(self, scores)
        scored.append(scores.name)
        if len(scored) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(KeptBaselines, "keep", keep)
    code, _, error = run(*COMMANDS["fit"], "--out", place / "run")
    assert code == 130
    assert error == f"stopped, 0 of 3 networks trained; throughtime resume {place / 'run'} goes on\n"
    assert run("resume", place / "run")[0] == 0
    assert len(scored) == len(set(scored)) == 2
    assert contents(place / "run") == unbroken("fit", place / "whole")


def test_ctrl_c_before_there_is_anything_to_keep_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("throughtime.study.planning.leakage_report", press)
    code, _, error = run(*COMMANDS["fit"], "--out", place / "runs" / "run")
    assert code == 130
    assert error == "stopped; no file was left half-written\n"
    assert sorted(os.listdir(place)) == ["data.npz", "grid.toml"]


def test_a_finished_run_has_nothing_to_resume(place: Path) -> None:
    before = unbroken("fit", place / "run")
    (place / "run" / "lock").write_bytes(b"")  # of a process that was killed as it cleaned up
    code, out, _ = run("resume", place / "run")
    assert code == 0
    assert out == f"{place / 'run'} is finished; there is nothing to resume\n"
    assert contents(place / "run") == before


def test_other_data_are_refused_and_the_run_stays_as_it_is(place: Path, after_epoch: Callable[..., None]) -> None:
    stopped("fit", place / "run", after_epoch)
    held = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    data = dict(np.load(place / "data.npz"))
    other = {"values": data | {"X": data["X"] + 1e-7}, "targets, names, lengths or groups": data | {"y": 1 - data["y"]}}
    for what, arrays in other.items():
        np.savez(place / "other.npz", **arrays)
        code, _, error = run("resume", place / "run", "--source", "other.npz")
        assert code == 2
        assert f"needs the training series that it was begun with, got other {what}; --source says where" in error
    assert held == {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    (place / "data.npz").unlink()
    code, _, error = run("resume", place / "run")
    assert code == 2
    assert "data.npz" in error
    assert storage.is_unfinished(place / "run")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("settings", "parameters", "lr"), 0.5, "was begun with parameters.lr 0.5, got 0.01; begin another run"),
        (("settings", "scoring"), ["f1"], r"was begun with scoring \['f1'\], got \['accuracy'"),
        (("folds",), "", "was begun with other folds than these settings give now"),
        (("test",), {"inputs": "x"}, "needs the test series that it was begun with, got other values; --test says"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_another_plan_is_refused_with_what_differs(
    path: tuple[str, ...], value: Any, message: str, place: Path, after_epoch: Callable[..., None]
) -> None:
    from throughtime.storage.request import request_bytes

    stopped("fit", place / "run", after_epoch)
    request = storage.read_request(place / "run")
    asked = json.loads(json.dumps(request.asked))
    within = asked["marks"]
    for name in path[:-1]:
        within = within[name]
    within[path[-1]] = value
    (place / "run" / "request.json").write_bytes(request_bytes(asked, request.facts))
    code, _, error = run("resume", place / "run")
    assert code == 2
    assert re.search(message, error)
    assert storage.is_unfinished(place / "run")


@pytest.mark.parametrize(
    ("name", "value"),
    [("command", "compare"), ("task", "sorting"), ("tables", []), ("tables", {"model": {"lr": -1}}), ("source", 1)],
)
def test_a_request_that_no_command_makes_is_refused(
    name: str, value: Any, place: Path, after_epoch: Callable[..., None]
) -> None:
    from throughtime.storage.request import request_bytes

    stopped("fit", place / "run", after_epoch)
    request = storage.read_request(place / "run")
    (place / "run" / "request.json").write_bytes(request_bytes({**request.asked, name: value}, request.facts))
    code, _, error = run("resume", place / "run")
    assert code == 2
    assert "request.json" in error


def test_one_process_at_a_time_writes_a_run(place: Path, after_epoch: Callable[..., None]) -> None:
    stopped("fit", place / "run", after_epoch)
    with storage.resume_run(place / "run"):  # type: ignore[union-attr]
        code, _, error = run("resume", place / "run")
        assert code == 2
        assert "needs to be written by one process at a time, got another that writes it now" in error
    assert run("resume", place / "run")[0] == 0


@pytest.mark.parametrize(
    "words",
    [["predict", "RUN", "data.npz", "-o", "p.csv"], ["compare", "RUN", "RUN"], ["flow", "RUN"], ["diagnose", "RUN"]],
)
def test_an_unfinished_run_is_not_used(words: list[str], place: Path, after_epoch: Callable[..., None]) -> None:
    stopped("fit", place / "run", after_epoch)
    code, _, error = run(*(place / "run" if word == "RUN" else word for word in words))
    assert code == 2
    assert f"got one that was stopped; throughtime resume {place / 'run'} goes on" in error


def test_whatever_is_damaged_in_a_run_is_refused_by_name_or_does_no_harm(
    place: Path, after_epoch: Callable[..., None], each_epoch: None
) -> None:
    del each_epoch
    stopped("fit", place / "run", after_epoch)
    expected = unbroken("fit", place / "whole")
    lines = sorted(expected.pop("metrics.jsonl").splitlines())
    draw = random.Random(0)
    names = [path.relative_to(place / "run") for path in sorted((place / "run").rglob("*")) if path.is_file()]
    assert {"request.json", "metrics.jsonl", "checkpoints/baselines.json"} < {name.as_posix() for name in names}
    assert sum(name.suffix == ".checkpoint" for name in names) == 2
    harmless = 0
    for name in names:
        content = (place / "run" / name).read_bytes()
        at = draw.randrange(max(len(content), 1))
        flipped = content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :] if content else b"x"
        for kind, damaged in (("flipped", flipped), ("cut", content[:at])):
            copy = Path(shutil.copytree(place / "run", place / f"{kind} {name.name}"))
            (copy / name).write_bytes(damaged)
            code, _, error = run("resume", copy)
            if code:
                assert code == 2, error
                assert str(name) in error
                assert storage.is_unfinished(copy)
            else:
                harmless += 1
                found = contents(copy)  # where lines of the log are missing, they are made again after the others
                assert sorted(found.pop("metrics.jsonl").splitlines()) == lines
                assert found == expected
    assert harmless >= 2 * (len(names) - 1)  # all but the request


@pytest.mark.parametrize("at", [3, 6, 9, 14, 24])
def test_a_full_disk_leaves_a_run_that_goes_on_when_there_is_room(
    at: int, place: Path, monkeypatch: pytest.MonkeyPatch, each_epoch: None
) -> None:
    del each_epoch
    real, left = os.fsync, at

    def sync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        code, out, error = run(*COMMANDS["fit"], "--out", place / "run")
    assert code == 2
    assert error.startswith(f"error: {place}")
    assert "could not be written: No space left on device" in error
    if not (place / "run").exists():  # before there was anything to keep
        assert sorted(os.listdir(place)) == ["data.npz", "grid.toml"]
        return
    assert f"throughtime resume {place / 'run'} goes on when that is put right" in error
    code, out, error = run("resume", place / "run")
    assert code == 0, error
    assert "on unseen series" in out
    assert contents(place / "run") == unbroken("fit", place / "whole")


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system in memory of 1 MiB."""
    disk = place / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("room", [0, 4096, 20_000])
def test_a_disk_that_is_really_full_keeps_the_last_checkpoint_and_nothing_half_written(
    room: int, small_disk: Path, place: Path, each_epoch: None, after_epoch: Callable[..., None]
) -> None:
    del each_epoch
    out, filler = small_disk / "run", small_disk / "filler"

    def fill() -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - room)

    after_epoch(3, fill)
    code, _, error = run(*COMMANDS["fit"], "--out", out)
    assert code == 2
    assert re.match(rf"error: {out}\S* could not be written: No space left on device; throughtime resume ", error)
    assert 2 <= Checkpoints(out / "checkpoints").latest()[0].epoch <= 4
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".") or "partial" in path.name]
    filler.unlink()
    code, _, error = run("resume", out)
    assert code == 0, error
    assert contents(out) == unbroken("fit", place / "whole")


def test_another_version_of_what_bits_depend_on_is_pointed_out(
    place: Path, after_epoch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped("fit", place / "run", after_epoch)
    versions = checkpoints._versions()
    monkeypatch.setattr(checkpoints, "_versions", lambda: {**versions, "torch": "3.0"})
    code, out, error = run("resume", place / "run")
    assert code == 0, error
    words = " ".join(out.split())
    assert f"has checkpoints of torch {versions['torch']} (now 3.0): training goes on, perhaps with other bits" in words


def test_both_sources_may_be_elsewhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"command": "fit", "source": "a.csv", "tables": {"data": {"test": "b.csv"}, "model": {}, "validation": {}}}
    storage.begin_run(place / "run", asked | {"options": {}, "folder": str(place), "task": None}, {}).release()
    found = []

    def go_on(_: storage.UnfinishedRun, request: Any) -> None:
        found.append((request.source, request.tables["data"]["test"]))

    monkeypatch.setitem(resume._COMMANDS, "fit", go_on)
    assert run("resume", place / "run", "--source", "c.csv", "--test", "d.csv")[0] == 0
    code, _, error = run("resume", place / "run", "--source", "c.csv")
    assert code == 2
    assert f"the data are no longer at b.csv, nor at {place / 'b.csv'}; --test says where they are" in error
    for name in ("a.csv", "b.csv"):
        (place / name).write_text("x\n1\n")
    assert run("resume", place / "run")[0] == 0
    assert found == [("c.csv", "d.csv"), ("a.csv", "b.csv")]


class Interrupted:
    """Answers as ``diagnose`` would once it was interrupted."""

    def __init__(self) -> None:
        self.options: list[dict[str, Any]] = []

    def __call__(self, estimator: Any, X: Any, y: Any, **options: Any) -> Any:
        kept = options.pop("checkpoints")
        assert kept.directory.name == "checkpoints"
        self.options.append({"estimator": repr(estimator.get_params()), "X": X.values.tobytes(), "y": y.tobytes()})
        self.options[-1] |= {name: repr(value) for name, value in options.items()}
        if len(self.options) == 1:
            raise KeyboardInterrupt
        return DIAGNOSIS


@pytest.mark.parametrize("what", ["data", "run"])
def test_a_diagnosis_with_a_directory_goes_on_as_it_was_asked_for(
    what: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Interrupted()
    monkeypatch.setattr(diagnosing, "diagnose", asked)
    words = ["data.npz", *FLAGS[:-1]]
    if what == "run":
        unbroken("fit", place / "fitted")
        words = [str(place / "fitted")]
    typed = ["--repeats", "3", "--probes", "dropout=0.3", "--memory-budget", "1", "--apply", "it.toml"]
    code, _, error = run("diagnose", *words, *typed, "--out", place / "it")
    assert code == 130
    assert error == f"stopped, 0 networks trained; throughtime resume {place / 'it'} goes on\n"
    shutil.rmtree(place / "fitted", ignore_errors=True)
    code, out, error = run("resume", place / "it")
    assert code == 0, error
    assert asked.options[0] == asked.options[1]
    assert read_diagnosis(place / "it") == DIAGNOSIS
    assert "does not hold what" not in out
    assert "weight_decay" in (place / "it.toml").read_text()


def test_a_diagnosis_that_is_refused_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        assert storage.is_unfinished(place / "new" / "it")
        raise DataError("too few series")

    monkeypatch.setattr(diagnosing, "diagnose", refuse)
    code, _, error = run("diagnose", "data.npz", "--out", place / "new" / "it")
    assert code == 2
    assert error == "error: too few series\n"
    assert not (place / "new").exists()
