"""Checkpoints that were damaged, or that no disk takes: what was kept before is gone on with, and it is said.

A sample of places by default; ``THROUGHTIME_SOAK=1`` takes every byte.
"""

import errno
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_checkpoints import Epochs, run_on, sha
from test_lockstep import NET, RECIPE, Data

from throughtime.errors import DataError, StorageError, StorageWarning
from throughtime.storage import seal, unseal
from throughtime.training import Checkpoints, FlowMonitor, GroupState, Observer, train

pytestmark = pytest.mark.usefixtures("types_unchecked")

SOAK = "THROUGHTIME_SOAK" in os.environ
MEMBERS = [Data().member(np.arange(5), max_epochs=3)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Names and contents of the checkpoints of a small run, the older one first."""
    place = tmp_path_factory.mktemp("two")
    run_on(place, members=MEMBERS)
    return [(path.name, path.read_bytes()) for path in sorted(place.iterdir())]


def put(place: Path, two: list[tuple[str, bytes]], last: bytes) -> None:
    for path in place.iterdir():
        path.unlink()
    (place / two[0][0]).write_bytes(two[0][1])
    (place / two[1][0]).write_bytes(last)


def test_any_other_byte_and_any_cut_sets_the_file_aside_and_the_one_before_is_taken(two, tmp_path):
    (name, whole), key = two[1], two[1][0].partition("-")[0]
    stride = 1 if SOAK else 61
    places = range(0, len(whole), stride)
    damaged = [whole[:at] for at in places] + [b"", whole + b"\0"]
    damaged += [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in places]
    checkpoints = Checkpoints(tmp_path)
    for content in damaged:
        put(tmp_path, two, content)
        with pytest.warns(StorageWarning, match=rf"set aside as {name}\.damaged, and training goes on from the check"):
            state, memories = checkpoints.load(key) or (None, None)
        assert state is not None
        assert (state.epoch, memories) == (2, [])
        assert (tmp_path / f"{name}.damaged").read_bytes() == content
        assert sorted(os.listdir(tmp_path)) == [two[0][0], f"{name}.damaged"]


def test_a_run_goes_on_from_the_one_before_and_ends_as_it_would_have(two, tmp_path):
    put(tmp_path, two, two[1][1][:-1])
    found = Epochs()
    with pytest.warns(StorageWarning, match=r"is damaged: SHA-256"):
        results = run_on(tmp_path, found, members=MEMBERS)
    assert (found.resumed, found.trained) == ([(2, 1)], [3])
    assert sha(results) == sha(train(NET, RECIPE, Data().inputs, MEMBERS))
    (last,) = Checkpoints(tmp_path).latest()
    assert last.running == 0


def test_with_both_damaged_a_run_begins_anew(two, tmp_path):
    put(tmp_path, two, b"x")
    (tmp_path / two[0][0]).write_bytes(b"")
    found = Epochs()
    with pytest.warns(StorageWarning):
        results = run_on(tmp_path, found, members=MEMBERS)
    assert (found.resumed, found.trained) == ([], [1, 2, 3])
    assert sha(results) == sha(train(NET, RECIPE, Data().inputs, MEMBERS))


def test_a_checkpoint_under_anothers_name_is_not_taken(two, tmp_path):
    other = f"{'0' * 32}-3.checkpoint"
    (tmp_path / other).write_bytes(two[1][1])
    with pytest.warns(StorageWarning, match="needs to be a checkpoint of its name, got one of"):
        assert Checkpoints(tmp_path).load("0" * 32) is None


def test_what_a_newer_throughtime_wrote_is_refused_and_left(two, tmp_path):
    (name, whole), key = two[1], two[1][0].partition("-")[0]
    facts, content = unseal(whole, "f")
    put(tmp_path, two, seal(facts | {"format": 2}, bytes(content)))
    with pytest.raises(StorageError, match=f"{name} needs checkpoint format 1, got 2: written by a newer throughtime"):
        Checkpoints(tmp_path).load(key)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("facts", [{"format": 0}, {"epoch": "3"}, {"members": None}, {"versions": []}])
def test_a_whole_file_with_other_facts_is_set_aside(facts, two, tmp_path):
    whole, key = two[1][1], two[1][0].partition("-")[0]
    own, content = unseal(whole, "f")
    put(tmp_path, two, seal(own | facts, bytes(content)))
    with pytest.warns(StorageWarning, match="needs to"):
        found = Checkpoints(tmp_path).load(key)
    assert found is not None
    assert found[0].epoch == 2


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"json": np.frombuffer(b"{", np.uint8)},
        {"json": np.frombuffer(b'{"members": [0], "steps": [1]}', np.uint8)},
        {"json": np.frombuffer(b'{"members": [7], "steps": [1], "warned": [["vanishes", 7]]}', np.uint8)},
    ],
)
def test_a_monitor_refuses_arrays_that_are_none_of_its(arrays):
    with pytest.raises(DataError, match=r"^a flow monitor needs the arrays of FlowMonitor\.to_arrays, got others"):
        FlowMonitor().from_arrays([0], arrays)


class Full(Observer):
    """A disk that is full from an epoch on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
        self.patch, self.epoch = monkeypatch, epoch

    def on_epoch(self, state: GroupState) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        if state.epoch == self.epoch:
            self.patch.setattr(os, "fsync", refuse)


def test_a_full_disk_is_named_and_what_was_kept_before_is_gone_on_with(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        text = f"^{re.escape(str(tmp_path))}/[0-9a-f]{{32}}-2.checkpoint could not be written: No space left on device$"
        with pytest.raises(StorageError, match=text):
            run_on(tmp_path, Full(patch, 2), members=MEMBERS)
    assert len(os.listdir(tmp_path)) == 1  # nothing of the second
    found = Epochs()
    assert sha(run_on(tmp_path, found, members=MEMBERS)) == sha(train(NET, RECIPE, Data().inputs, MEMBERS))
    assert found.resumed == [(1, 1)]


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_fills_at_any_byte_keeps_what_was_there(two, tmp_path):
    import resource

    run_on(tmp_path, members=[Data().member(np.arange(5), max_epochs=1)])
    (before,) = tmp_path.iterdir()
    content = before.read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 100, len(two[0][1]) // 2, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(StorageError, match=r"checkpoint could not be written: File too large$"):
                run_on(tmp_path, members=MEMBERS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [content]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_place_that_is_no_directory_is_refused_before_training(name, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    found = Epochs()
    with pytest.raises(StorageError, match=re.escape(str(tmp_path / name))):
        run_on(tmp_path / name, found, members=MEMBERS)
    assert found.trained == []


def test_a_place_where_nothing_can_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    found = Epochs()
    with pytest.raises(StorageError, match=f"^{re.escape(str(tmp_path))} needs to be a directory that can be written"):
        run_on(tmp_path, found, members=MEMBERS)
    assert found.trained == []


def test_nothing_is_said_of_files_that_are_none_of_its(tmp_path):
    for name in ("notes.txt", "x-1.checkpoint", "0" * 32 + "-0.checkpoint", ".partial"):
        (tmp_path / name).write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_on(tmp_path, members=MEMBERS)
    assert {"notes.txt", "x-1.checkpoint", "0" * 32 + "-0.checkpoint", ".partial"} < set(os.listdir(tmp_path))
