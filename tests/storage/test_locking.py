"""A lock is one process's, freed by its end, and of a regular file alone."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from throughtime.storage import locking
from throughtime.storage.locking import is_locked, take_lock

fcntl = pytest.importorskip("fcntl", reason="POSIX locks")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a lock is; the test leaves no descriptor open."""
    before = os.listdir("/dev/fd")
    yield tmp_path / "lock"
    assert len(os.listdir("/dev/fd")) == len(before)


def test_a_lock_is_held_until_it_is_closed(path: Path) -> None:
    assert not is_locked(path)
    held = take_lock(path)
    assert held is not None
    assert is_locked(path)
    assert take_lock(path) is None
    os.close(held)
    assert not is_locked(path)
    assert path.read_bytes() == b""


def test_who_only_looks_is_no_writer_and_keeps_none_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking: int | None = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not is_locked(path)  # two who look see each other not

    def look_away(_: float) -> None:
        nonlocal looking
        if looking is not None:
            os.close(looking)
        looking = None

    monkeypatch.setattr(locking.time, "sleep", look_away)
    held = take_lock(path)
    assert held is not None
    os.close(held)


def test_a_file_that_its_last_holder_removed_is_not_what_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = fcntl.flock, []

    def removed_first(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        if not taken:  # between opening and locking, the first time
            path.unlink()
        taken.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    held = take_lock(path)
    assert held is not None
    assert len(taken) == 2
    assert os.path.samestat(os.fstat(held), path.stat())
    assert is_locked(path)
    os.close(held)


def test_a_link_is_not_followed_and_a_pipe_not_waited_for(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic link"):
        take_lock(path)
    path.with_name("elsewhere").touch()
    held = take_lock(path.with_name("elsewhere"))
    assert held is not None
    assert not is_locked(path)
    os.close(held)
    path.unlink()
    os.mkfifo(path)
    assert not is_locked(path)  # without a writer at its other end, opening it would never end


def test_where_there_are_no_locks_one_passes_for_taken_and_another_refusal_is_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = errno.ENOLCK

    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    held = take_lock(path)
    assert held is not None
    assert not is_locked(path)
    os.close(held)
    code = errno.EIO
    for ask in (take_lock, is_locked):
        with pytest.raises(OSError, match="Input/output error"):
            ask(path)
