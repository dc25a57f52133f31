"""A file is written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from throughtime.errors import StorageError
from throughtime.storage import write_file


def test_what_is_written_is_read_back_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for content in (b"", b"old", bytes(range(256)) * 999):
        write_file(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["f"]


def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("n" * 255), b"content")
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_refusal_at_any_call_names_the_path_and_keeps_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_file(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match=f"^{path} could not be written: No space left on device$"):
            write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_fills_at_any_byte_leaves_the_old_file_alone(tmp_path: Path) -> None:
    import resource

    path, content = tmp_path / "f", bytes(20_000)
    write_file(path, b"old")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 4095, 4096, 8192, 8193, len(content) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(StorageError, match=f"^{path} could not be written: File too large$"):
                write_file(path, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["f"]


def test_a_disk_that_hands_back_other_bytes_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda _: b"contenT")
        with pytest.raises(StorageError, match="other bytes were read back"):
            write_file(tmp_path / "f", b"content")
    assert os.listdir(tmp_path) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "f"
    with pytest.raises(StorageError, match=f"^{path} could not be written: No such file or directory$"):
        write_file(path, b"")
