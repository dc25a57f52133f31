"""A file is written whole or not at all."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from throughtime.errors import StorageError
from throughtime.storage import claim_file, write_file


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


@pytest.mark.skipif(os.name == "nt", reason="directories are synced by POSIX alone")
@pytest.mark.parametrize("content", [b"content", bytes(100_000)], ids=["few bytes", "many"])
def test_all_bytes_are_durable_before_the_name_and_the_name_before_the_end(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append("directory" if stat.S_ISDIR(status.st_mode) else status.st_size)

    def replace(source: Path, target: Path) -> None:
        done.append("replace")
        os.rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_file(tmp_path / "f", content)
    assert done == [len(content), "replace", "directory"]


def test_ctrl_c_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    write_file(tmp_path / "f", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", press)
        with pytest.raises(KeyboardInterrupt):
            write_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_place_for_a_file_is_claimed_without_a_trace(tmp_path: Path) -> None:
    claim_file(tmp_path / "f")
    assert os.listdir(tmp_path) == []
    write_file(tmp_path / "f", b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for taken in (tmp_path, tmp_path / "f", tmp_path / "link"):
        with pytest.raises(StorageError, match=f"^{taken} exists; choose another file or remove it$"):
            claim_file(taken)
    assert (tmp_path / "f").read_bytes() == b"mine"
    for name, reason in (("absent/f", "No such file"), ("n" * 300, "File name too long"), ("f/f", "Not a directory")):
        with pytest.raises(StorageError, match=f"{name} could not be written: {reason}"):
            claim_file(tmp_path / name)


def test_a_name_that_no_file_can_have_is_a_typed_error(tmp_path: Path) -> None:
    for refuse in (claim_file, lambda path: write_file(path, b"")):
        with pytest.raises(StorageError, match=r"a\\x00b/f' could not be written: "):
            refuse(tmp_path / "a\0b" / "f")


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_is_met_by_the_claim_and_not_after_the_work(tmp_path: Path) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageError, match=r"f could not be written: File too large$"):
            claim_file(tmp_path / "f")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert os.listdir(tmp_path) == []
