"""A run while it is made: found again whatever ended the process, written by one at a time, whole in the end."""

import errno
import itertools
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import run_writer
from durability import Unsynced

from throughtime.errors import StorageError
from throughtime.storage import (
    MANIFEST,
    Run,
    UnfinishedRun,
    begin_run,
    is_unfinished,
    is_written_now,
    read_request,
    read_run,
    resume_run,
    unfinished,
    write_file,
    write_run,
)
from throughtime.storage.locking import take_lock

ASKED = {"command": "fit", "tables": {"model": {"lr": 0.1, "clip_norm": None}}, "place": "é\udc80"}
FACTS = {"device": "cpu"}
FILES = {"config.json": b"{}\n", "folds/0.bin": bytes(range(256)), "empty": b""}


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[UnfinishedRun]:
    with begin_run(tmp_path / "run", ASKED, FACTS) as run:
        yield run


def resumed(directory: Path) -> UnfinishedRun:
    run = resume_run(directory)
    assert isinstance(run, UnfinishedRun)
    return run


def test_what_was_asked_comes_back_wherever_the_run_is_moved_to(begun: UnfinishedRun, tmp_path: Path) -> None:
    assert (begun.request.asked, begun.request.facts) == (ASKED, FACTS)
    begun.release()
    for move in (shutil.copytree, shutil.move):
        with resumed(Path(move(begun.directory, tmp_path / move.__name__))) as again:
            assert again.request == begun.request == read_request(again.directory)


def test_a_finished_run_is_what_would_be_written_at_once(begun: UnfinishedRun, tmp_path: Path) -> None:
    begun.checkpoints.mkdir()
    write_file(begun.checkpoints / "0.checkpoint", b"weights")
    assert is_unfinished(begun.directory)
    begun.finish(FILES, FACTS)
    assert not is_unfinished(begun.directory)
    write_run(tmp_path / "at once", FILES, FACTS)
    assert read_run(begun.directory).manifest.files == read_run(tmp_path / "at once").manifest.files
    assert read_run(begun.directory).manifest.facts == FACTS
    assert sorted(os.listdir(begun.directory)) == sorted([MANIFEST, "config.json", "folds", "empty"])


@pytest.mark.skipif(os.name == "nt", reason="directories are synced by POSIX alone")
def test_all_names_are_durable_before_the_manifest_and_all_folders_before_the_end(
    begun: UnfinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(path: Path) -> None:
        if path.name == MANIFEST:
            seen.append(unsynced.below(path.parent))

    begun.checkpoints.mkdir()
    with monkeypatch.context() as patch:
        unsynced = Unsynced(patch, look)
        begun.finish({**FILES, "folds/deep/0": b"", "other/one/0": b""}, FACTS)
    assert seen == [set()]
    assert unsynced.directories == set()


def test_what_cannot_be_done_is_removed_with_the_parents_that_were_made(tmp_path: Path) -> None:
    begin_run(tmp_path / "runs" / "today" / "run", ASKED, FACTS).discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_run_killed_as_it_is_discarded_is_absent_or_goes_on(tmp_path: Path) -> None:
    instants, states = 1, set()
    for instant in itertools.count(-1):  # the first counts them
        if instant == instants:
            break
        out = tmp_path / f"{instant}"
        with begin_run(out, ASKED, FACTS) as begun:
            begun.checkpoints.mkdir()
            for name in ("0", "1"):
                (begun.checkpoints / name).write_bytes(b"weights")
            found = run_writer.attempt(lambda _, begun=begun: begun.discard(), out, instant)
        instants = found if instant < 0 else instants
        states.add(out.exists())
        if out.exists():
            with resumed(out) as again:
                assert sorted(os.listdir(again.checkpoints)) == ["0", "1"]
    assert states == {False, True}


def test_the_end_of_its_block_frees_the_lock_and_so_does_a_refusal(begun: UnfinishedRun) -> None:
    begun.release()
    with resumed(begun.directory):
        assert is_written_now(begun.directory)
    assert not is_written_now(begun.directory)
    path = begun.directory / "request.json"
    content = path.read_bytes()
    path.write_bytes(b"damaged")
    with pytest.raises(StorageError, match=r"request\.json"):
        resume_run(begun.directory)
    assert not is_written_now(begun.directory)
    path.write_bytes(content)
    resumed(begun.directory).release()


def test_what_a_killed_process_did_not_put_in_place_is_removed_and_hidden_files_of_others_stay(
    begun: UnfinishedRun,
) -> None:
    begun.release()
    begun.checkpoints.mkdir()
    (begun.checkpoints / ".0123456789abcdef.partial").write_bytes(b"half")
    (begun.directory / ".notes").write_text("mine")
    with resumed(begun.directory) as again:
        assert os.listdir(again.checkpoints) == []
        assert (again.directory / ".notes").read_text() == "mine"
        with pytest.raises(StorageError, match=r"\.notes is not of this run"):
            again.finish(FILES, FACTS)


def test_leftovers_are_left_to_the_process_that_removes_them(begun: UnfinishedRun) -> None:
    begun.finish(FILES, FACTS)
    (begun.directory / "request.json").write_bytes(b"")
    lock = take_lock(begun.directory / "lock")
    assert lock is not None
    assert isinstance(resume_run(begun.directory), Run)
    assert (begun.directory / "request.json").exists()
    os.close(lock)
    resume_run(begun.directory)
    assert not {"lock", "request.json"} & set(os.listdir(begun.directory))


def test_the_command_that_goes_on_is_as_a_shell_takes_it(tmp_path: Path) -> None:
    begin_run(tmp_path / "a run", ASKED, FACTS).release()
    with pytest.raises(StorageError, match=re.escape(f"throughtime resume '{tmp_path / 'a run'}' goes on")):
        read_run(tmp_path / "a run")


def test_an_unfinished_run_is_not_read_and_what_goes_on_is_named(begun: UnfinishedRun) -> None:
    with pytest.raises(StorageError, match="needs to be a finished run, got one that a process is writing now"):
        read_run(begun.directory)
    begun.release()
    words = f"got one that was stopped; throughtime resume {begun.directory} goes on"
    with pytest.raises(StorageError, match=re.escape(words)):
        read_run(begun.directory)


def test_a_place_that_is_taken_is_refused(begun: UnfinishedRun) -> None:
    with pytest.raises(StorageError, match="exists; choose another directory or remove it"):
        begin_run(begun.directory, ASKED, FACTS)
    assert read_request(begun.directory) == begun.request


@pytest.mark.skipif(os.name == "nt", reason="POSIX processes")
def test_a_second_writer_is_refused_while_the_first_lives_and_not_after_its_death(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    if not (child := os.fork()):
        held = begin_run(tmp_path / "run", ASKED, FACTS)
        os.write(writer, b"!")
        signal.pause()
        os._exit(held is None)
    assert os.read(reader, 1) == b"!"
    try:
        assert is_written_now(tmp_path / "run")
        with pytest.raises(StorageError, match="needs to be written by one process at a time, got another"):
            resume_run(tmp_path / "run")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert not is_written_now(tmp_path / "run")
    with resumed(tmp_path / "run"):
        assert is_written_now(tmp_path / "run")


def test_who_waits_for_the_lock_of_a_run_that_ends_reads_it_finished(
    begun: UnfinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(path: Path) -> int | None:
        if not (begun.directory / MANIFEST).exists():
            begun.finish(FILES, FACTS)
        return take_lock(path)

    monkeypatch.setattr(unfinished, "take_lock", taken)
    run = resume_run(begun.directory)
    assert isinstance(run, Run)
    assert {path.name for path in begun.directory.iterdir()} == {MANIFEST, "config.json", "folds", "empty"}


def test_leftovers_beside_a_manifest_are_no_damage_and_removed(begun: UnfinishedRun) -> None:
    begun.finish(FILES, FACTS)
    left = begun.directory / "checkpoints"
    left.mkdir()
    assert read_run(begun.directory).manifest.files.keys() == FILES.keys()  # an empty folder too
    (left / ".0123456789abcdef.partial").write_bytes(b"")
    (begun.directory / "lock").write_bytes(b"")
    (begun.directory / "request.json").write_bytes(b"damaged")
    assert read_run(begun.directory).manifest.files.keys() == FILES.keys()
    assert not isinstance(resume_run(begun.directory), UnfinishedRun)
    assert not {"checkpoints", "lock", "request.json"} & set(os.listdir(begun.directory))
    (begun.directory / "other").write_bytes(b"")
    with pytest.raises(StorageError, match="other is not of this run"):
        read_run(begun.directory)


@pytest.mark.parametrize("name", ["lock", "Lock", "request.json", "checkpoints", "checkpoints/0"])
def test_a_finished_run_has_no_file_of_an_unfinished_one(name: str, begun: UnfinishedRun) -> None:
    with pytest.raises(StorageError, match="a run's file needs another name than those of a run in progress"):
        begun.finish({name: b""}, FACTS)


def test_a_file_of_somebody_elses_is_left_and_named(begun: UnfinishedRun) -> None:
    (begun.directory / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"notes\.txt is not of this run; move it elsewhere"):
        begun.finish(FILES, FACTS)
    (begun.directory / "notes.txt").rename(begun.directory.parent / "notes.txt")
    begun.finish(FILES, FACTS)
    read_run(begun.directory)


@pytest.mark.parametrize("name", ["request.json", "lock", "checkpoints", "checkpoints/0", "metrics.jsonl", "."])
def test_no_name_in_a_run_leads_elsewhere(name: str, begun: UnfinishedRun, tmp_path: Path) -> None:
    begun.checkpoints.mkdir()
    (begun.checkpoints / "0").write_bytes(b"")
    begun.release()
    path, elsewhere = begun.directory / name, tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(StorageError):
        resume_run(begun.directory)


def test_a_pipe_in_a_run_is_refused(begun: UnfinishedRun) -> None:
    begun.release()
    os.mkfifo(begun.directory / "metrics.jsonl")
    with pytest.raises(StorageError, match="needs to be a regular file, got a special file"):
        resume_run(begun.directory)


def test_every_flipped_byte_and_every_cut_of_a_request_is_seen(begun: UnfinishedRun) -> None:
    begun.release()
    path = begun.directory / "request.json"
    content = path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 0x20  # turns a letter's case
        for damaged in (flipped, content[:position]):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=r"request\.json"):
                resume_run(begun.directory)
    path.write_bytes(content)
    resumed(begun.directory).release()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"format_version": 1', b'"format_version": 2', "needs request format 1 or older, got 2: .*upgrade to read"),
        (b'"throughtime request"', b'"throughtime run"', "needs format 'throughtime request', got 'throughtime run'"),
        (b'"asked"', b'"taken"', "is no valid request: "),
        (b'"facts"', b'"facts": 1, "other"', "is no valid request: facts = 1"),
        (b'"facts"', b'"more": 1, "facts"', "is no valid request: more is not known"),
    ],
)
def test_a_request_of_another_format_is_refused_with_the_reason(
    old: bytes, new: bytes, message: str, begun: UnfinishedRun
) -> None:
    from throughtime.storage.hashed_json import hashed_bytes
    from throughtime.storage.serialize import json_from_bytes

    begun.release()
    path = begun.directory / "request.json"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(hashed_bytes(json_from_bytes(content.replace(old, new)), "request_sha256"))
    with pytest.raises(StorageError, match=message):
        resume_run(begun.directory)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_as_a_run_is_finished_leaves_it_to_go_on_with(
    call: str, begun: UnfinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)
    for last in itertools.count(1):
        calls = itertools.count(1)

        def fail_once(*arguments: Any, calls: Iterator[int] = calls, last: int = last, **keywords: Any) -> Any:
            if next(calls) == last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail_once)
            try:
                begun.finish(FILES, FACTS)
            except StorageError as error:
                assert re.match(f"{begun.directory}.* could not be written: No space left on device", str(error))  # noqa: PT017
            else:
                break
        if not is_unfinished(begun.directory):  # the manifest's own directory, after it was put in place
            break
        begun.release()
        begun = resumed(begun.directory)
    assert last > len(FILES)
    assert read_run(begun.directory).manifest.files.keys() == FILES.keys()
    begun.release()


def made(out: Path) -> None:
    """A run from its beginning to its end, or whatever of it is left to do."""
    run: Any = resume_run(out) if out.exists() else begin_run(out, ASKED, FACTS)
    if isinstance(run, UnfinishedRun):
        run.checkpoints.mkdir(exist_ok=True)
        write_file(run.checkpoints / "0.checkpoint", b"weights")
        run.finish(FILES, FACTS)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_run_killed_at_any_change_of_the_disk_is_absent_unfinished_or_whole(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()  # or the first attempt would have more instants than the others
    instants = run_writer.attempt(made, tmp_path / "runs" / "whole", -1)
    whole = read_run(tmp_path / "runs" / "whole").manifest.files
    states = set()
    for instant in range(instants):
        out = tmp_path / "runs" / f"{instant}"
        assert run_writer.attempt(made, out, instant) == -1
        assert not is_written_now(out)
        state = "absent" if not out.exists() else "unfinished" if is_unfinished(out) else "whole"
        states.add(state)
        if state == "whole":
            read_run(out)
        made(out)
        assert read_run(out).manifest.files == whole
        assert sorted(os.listdir(out)) == sorted(os.listdir(tmp_path / "runs" / "whole"))
    assert states == {"absent", "unfinished", "whole"}
    hidden = [name for name in os.listdir(tmp_path / "runs") if name.startswith(".")]
    assert all(name.endswith(".partial") for name in hidden)
