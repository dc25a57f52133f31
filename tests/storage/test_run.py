"""A run directory is whole or absent, and no change to it goes unseen."""

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from durability import Unsynced

from throughtime.errors import StorageError
from throughtime.storage import (
    MANIFEST,
    arrays_to_bytes,
    claim,
    json_to_bytes,
    package_versions,
    read_run,
    write_file,
    write_run,
)
from throughtime.storage.manifest import manifest_bytes

FILES = {
    "config.json": json_to_bytes({"cell": "gru"}),
    "folds/0.safetensors": arrays_to_bytes({"w": np.arange(3.0)}),
    "empty": b"",
}
FACTS = {"device": "cpu", "isa": "AVX2", "threads": 2}


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    write_run(directory, FILES, FACTS)
    return directory


def test_a_run_comes_back_as_it_was_written(run_directory: Path) -> None:
    run = read_run(run_directory)
    assert {name: run.bytes(name) for name in run.manifest.files} == FILES
    assert run.json("config.json") == {"cell": "gru"}
    np.testing.assert_array_equal(run.arrays("folds/0.safetensors")["w"], np.arange(3.0))
    assert run.manifest.facts == FACTS
    assert run.manifest.created.endswith("+00:00")
    assert run.manifest.versions["numpy"] == np.__version__
    assert os.listdir(run_directory.parent) == ["run"]


def test_what_is_not_installed_has_no_version() -> None:
    assert (
        package_versions(["numpy", "no-such-package"]).items()
        >= {"numpy": np.__version__, "no-such-package": None}.items()
    )


@pytest.mark.skipif(os.name == "nt", reason="directories are synced by POSIX alone")
def test_all_names_are_durable_before_the_manifest_and_all_folders_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(path: Path) -> None:
        if path.name == MANIFEST:
            seen.append(unsynced.below(path.parent))

    unsynced = Unsynced(monkeypatch, look)
    write_run(tmp_path / "runs" / "today" / "run", {**FILES, "folds/deep/0": b"", "other/one/0": b""}, FACTS)
    assert seen == [set()]
    assert unsynced.directories == set()


def test_missing_parents_are_made(tmp_path: Path) -> None:
    directory = tmp_path / "runs" / "today" / "run"
    claim(directory)
    assert os.listdir(tmp_path) == []
    write_run(directory, FILES, FACTS)
    assert read_run(directory).manifest.files.keys() == FILES.keys()


def test_every_flipped_byte_is_seen(run_directory: Path) -> None:
    for name in [*FILES, MANIFEST]:
        path = run_directory / name
        content = path.read_bytes()
        for position in range(len(content)):
            for mask in (0x01, 0x20, 0xFF):  # 0x20 turns a letter's case
                flipped = bytearray(content)
                flipped[position] ^= mask
                path.write_bytes(flipped)
                with pytest.raises(StorageError, match=name):
                    read_run(run_directory)
        path.write_bytes(content)
    read_run(run_directory)


def test_every_cut_and_every_added_byte_is_seen(run_directory: Path) -> None:
    for name in [*FILES, MANIFEST]:
        path = run_directory / name
        content = path.read_bytes()
        for damaged in [*(content[:length] for length in range(len(content))), content + b"\n"]:
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=name):
                read_run(run_directory)
        path.write_bytes(content)
    read_run(run_directory)


def test_a_change_after_reading_is_seen_before_parsing(run_directory: Path) -> None:
    run = read_run(run_directory)
    path = run_directory / "config.json"
    path.write_bytes(path.read_bytes().replace(b"gru", b"rnn"))
    with pytest.raises(StorageError, match=r"config\.json is damaged: SHA-256 [0-9a-f]{12}\.\.\. expected, got "):
        run.json("config.json")


def remove(directory: Path) -> None:
    (directory / "empty").unlink()


def add(directory: Path) -> None:
    (directory / "folds" / "extra").write_bytes(b"")


def add_lock_below(directory: Path) -> None:
    (directory / "folds" / "lock").write_bytes(b"")  # of a run in progress only where that has it


def add_folder(directory: Path) -> None:
    (directory / "extra").mkdir()


def link(directory: Path) -> None:
    target = directory / "config.json"
    target.rename(directory.parent / "outside")
    target.symlink_to(directory.parent / "outside")


def link_folder(directory: Path) -> None:
    target = directory / "folds"
    target.rename(directory.parent / "outside")
    target.symlink_to(directory.parent / "outside")


def link_manifest(directory: Path) -> None:
    target = directory / MANIFEST
    target.rename(directory.parent / "outside")
    target.symlink_to(directory.parent / "outside")


def pipe(directory: Path) -> None:
    (directory / "empty").unlink()
    os.mkfifo(directory / "empty")


def drop_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove, r"empty is missing: manifest\.json lists it"),
        (add, r"folds/extra is not of this run"),
        (add_lock_below, r"folds/lock is not of this run"),
        (add_folder, r"extra is not of this run"),
        (link, r"config\.json needs to be a regular file, got a symbolic link"),
        (link_folder, r"folds needs to be a regular file, got a symbolic link"),
        (link_manifest, r"manifest\.json"),
        (pipe, r"empty needs to be a regular file, got a special file"),
        (drop_manifest, r"needs a manifest\.json to be a run, got none"),
        (shutil.rmtree, r"needs to be the directory of a run, got nothing"),
    ],
)
def test_what_is_missing_extra_or_no_file_is_named(
    harm: Callable[[Path], None], message: str, run_directory: Path
) -> None:
    harm(run_directory)
    with pytest.raises(StorageError, match=message):
        read_run(run_directory)


ESCAPES = [
    "/etc/passwd", "../up", "a/../../up", "a//b", "a/", "", ".", ".hidden", "a/.b", "C:\\x", "c:x", "a\\b", "a b",
    "a\n", "a\x00b", "é", "n" * 101, "dot.", MANIFEST, "Manifest.json", "CONFIG.JSON", "config.json/inner",
]  # fmt: skip


@pytest.mark.parametrize("size", [10**12, 2**63, 10**30], ids=str)
def test_a_size_beyond_any_file_is_refused_without_making_room_for_it(size: int, run_directory: Path) -> None:
    manifest = json.loads((run_directory / MANIFEST).read_bytes())
    name = next(iter(manifest["files"]))
    manifest["files"][name]["size"] = size
    rewrite_manifest(run_directory, json.dumps(manifest).encode())
    with pytest.raises(StorageError, match=f"{size} bytes expected, got "):
        read_run(run_directory).bytes(name)


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leaves_the_run_or_collides_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^a run's file needs a"):
        write_run(tmp_path / "run", {**FILES, name: b""}, FACTS)
    assert os.listdir(tmp_path) == []


def test_a_manifest_that_names_a_file_outside_is_refused(run_directory: Path) -> None:
    outside = run_directory.parent / "outside"
    outside.write_bytes(b"abc")
    honest = manifest_bytes({**FILES, "xxxoutside": b"abc"}, FACTS)
    rewrite_manifest(run_directory, honest.replace(b"xxxoutside", b"../outside"))
    with pytest.raises(StorageError, match=r"needs a relative name .* got '\.\./outside'"):
        read_run(run_directory)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"format_version": 1', b'"format_version": 2', "needs run format 1 or older, got 2: .*upgrade to read it"),
        (b'"throughtime run"', b'"another format"', "needs format 'throughtime run', got 'another format'"),
        (b'"created"', b'"erected"', r"manifest\.json is no valid manifest: "),
        (b'"created"', b'"more": 1, "created"', r"manifest\.json is no valid manifest: more: "),
        (b'"size": 0', b'"size": "0"', r"manifest\.json is no valid manifest: files\.empty\.size: "),
    ],
)
def test_a_manifest_of_another_format_is_refused_with_the_reason(
    old: bytes, new: bytes, message: str, run_directory: Path
) -> None:
    content = (run_directory / MANIFEST).read_bytes()
    assert old in content
    rewrite_manifest(run_directory, content.replace(old, new))
    with pytest.raises(StorageError, match=message):
        read_run(run_directory)


def rewrite_manifest(directory: Path, content: bytes) -> None:
    """Put a manifest in place whose own hash is right, whatever else it says."""
    import hashlib
    import re

    field = rb'"manifest_sha256": "[0-9a-f]{64}"'
    unsigned = re.sub(field, b'"manifest_sha256": "%s"' % (b"0" * 64), content)
    digest = hashlib.sha256(unsigned).hexdigest().encode()
    (directory / MANIFEST).write_bytes(unsigned.replace(b'"' + b"0" * 64, b'"' + digest))


def make_directory(path: Path) -> None:
    path.mkdir()


def make_file(path: Path) -> None:
    path.write_bytes(b"")


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_directory, make_file, make_dangling_link])
def test_an_existing_output_is_refused_at_the_start_and_at_the_end(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    make(directory)
    for refuse in (claim, lambda place: write_run(place, FILES, FACTS)):
        with pytest.raises(StorageError, match=f"^{directory} exists; choose another directory or remove it$"):
            refuse(directory)
    assert os.listdir(tmp_path) == ["run"]


def test_an_output_that_appears_while_the_run_is_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"

    def write_and_intrude(path: Path, content: bytes) -> None:
        write_file(path, content)
        directory.mkdir(exist_ok=True)

    monkeypatch.setattr("throughtime.storage.run.write_file", write_and_intrude)
    with pytest.raises(StorageError, match=r"exists; choose another directory"):
        write_run(directory, FILES, FACTS)
    assert os.listdir(tmp_path) == ["run"]
    assert os.listdir(directory) == []


def test_a_place_where_nothing_can_be_made_is_refused_up_front(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    places = [tmp_path / "file" / "run"]
    if sys.platform == "linux":
        places.append(Path("/proc/run"))  # refuses root, too
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        places.append(tmp_path / "locked" / "run")
    for place in places:
        for refuse in (claim, lambda place: write_run(place, FILES, FACTS)):
            with pytest.raises(StorageError, match=f"^{place} could not be written: "):
                refuse(place)


@pytest.mark.parametrize(("call", "times"), [("mkdir", 3), ("fsync", 12), ("replace", 4), ("rename", 1)])
def test_a_refusal_at_any_call_leaves_nothing_or_the_whole_run(
    call: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)
    directory = tmp_path / "runs" / "run"
    for last in range(1, times + 1):
        calls = itertools.count(1)

        def fail_once(*arguments: Any, calls: Iterator[int] = calls, last: int = last, **keywords: Any) -> Any:
            if next(calls) == last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail_once)
            with pytest.raises(StorageError, match=f"^{directory.parent}.* could not be written: No space left"):
                write_run(directory, FILES, FACTS)
        if (call, last) == ("fsync", times):  # of the parent, after the rename
            read_run(directory)
        else:
            assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    import resource

    directory = tmp_path / "runs" / "run"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in range(0, len(manifest_bytes(FILES, FACTS)), 37):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(StorageError, match=f"^{directory.parent}.* could not be written: File too large$"):
                write_run(directory, FILES, FACTS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert os.listdir(tmp_path) == []
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageError, match=f"^{directory} could not be written: File too large$"):
            claim(directory)  # before the work
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert os.listdir(tmp_path) == []


WRITER = textwrap.dedent(
    """
    import os, random, signal, sys, time
    from pathlib import Path
    import numpy as np
    from throughtime.storage import arrays_to_bytes, write_run

    place = Path(sys.argv[1])
    files = {f"folds/{i}.safetensors": arrays_to_bytes({"w": np.full(5000, float(i))}) for i in range(6)}
    random.seed(0)
    for attempt in range(20):
        # A fork of this one process each: starting Python 20 times would take most of the test's time.
        if (writer := os.fork()) == 0:
            for number in range(1000):
                write_run(place / f"{attempt}-{number}", files, {})
            os._exit(1)
        # Every other writer gets to finish a run first, however slow the machine is.
        while attempt % 2 and not (place / f"{attempt}-0").exists():
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        os.kill(writer, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGKILL
    """
)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_writer_killed_at_any_instant_leaves_no_run_or_a_whole_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True, timeout=60)
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    hidden = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    for directory in visible:
        run = read_run(directory)
        assert len(run.manifest.files) == 6
    assert visible
    # Kills that struck mid-way: their hidden directories must never pass for a run in the making.
    assert hidden
    assert all(path.name.endswith(".partial") for path in hidden)
    assert len(hidden) <= 20
