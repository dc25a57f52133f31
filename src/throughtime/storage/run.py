"""The run directory: every file of a training run, and the manifest that vouches for them.

What is whole when it is written is written beside its place, under a hidden name, and renamed into it.  A process
killed on the way leaves at most that hidden ``.<name>-<digits>.partial`` directory, which may be deleted.  A run that
takes long is made in its place (`throughtime.storage.unfinished`).
"""

import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy.typing as npt

from throughtime.errors import StorageError
from throughtime.storage.atomic import probe_file, refusals_named, sync_directory, write_file
from throughtime.storage.locking import is_locked
from throughtime.storage.manifest import (
    CHECKPOINTS,
    LOCK,
    MANIFEST,
    REQUEST,
    Manifest,
    check_content,
    manifest_bytes,
    parse_manifest,
)
from throughtime.storage.serialize import arrays_from_bytes, json_from_bytes
from throughtime.storage.traces import refuse_inside_run

_LARGEST_MANIFEST = 64 * 2**20  # bytes; about 400,000 files
#: What a process that was killed after it had written the manifest may leave in a run; the lock is the last to go.
LEFTOVERS = (CHECKPOINTS, REQUEST, LOCK)
_LONGEST_NAME = 64  # letters that `claim` expects of a run's files, their folders included


@dataclass(frozen=True)
class Run:
    """A run on disk whose files were all as its manifest says when ``read_run`` looked.

    Each file is read on request and checked once more, so that what is parsed is what was hashed.
    """

    directory: Path
    manifest: Manifest

    def bytes(self, name: str) -> bytes:
        """Read a file of the run as it is."""
        path = self.directory / name
        if name not in self.manifest.files:
            raise StorageError(f"{self.directory} has no file {name!r}; it has {sorted(self.manifest.files)}")
        entry = self.manifest.files[name]
        content = read_regular(path, largest=entry.size)
        check_content(content, entry, str(path))
        return content

    def json(self, name: str) -> Any:
        """Read a JSON file of the run."""
        return json_from_bytes(self.bytes(name), str(self.directory / name))

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Read a safetensors file of the run."""
        return arrays_from_bytes(self.bytes(name), str(self.directory / name))


def claim(directory: Path) -> None:
    """Refuse, before hours of training, a place where a run could not be put afterwards; leave no trace.

    Raises
    ------
    StorageError
        If something is there already, it is in another run, or the directory and a file in it cannot be made.
    """
    _refuse_existing(directory)
    made: list[Path] = []
    with refusals_named(directory):
        with suppress(FileNotFoundError):
            directory.lstat()  # of a name that is too long, or none, says so
        try:
            # Not the directory itself: a process killed here would leave something there that is no run.
            for absent in [*_absent_parents(directory)[:-1], _partial(directory)]:
                absent.mkdir()
                made.append(absent)
            probe_file(made[-1] / ("n" * _LONGEST_NAME))
        finally:
            remove_empty(made)


def write_run(directory: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
    """Write a run's files and manifest, and put them in place by one rename.

    Parameters
    ----------
    directory
        Where the run shall be; it must not exist.  Missing parents are made.
    files
        Content by relative name, ``/`` between folders.
    facts
        Plain values for the manifest: device, instruction set, threads and what else explains the run.

    Raises
    ------
    StorageError
        If ``directory`` exists or is in another run, a name would leave it, or the system refuses.  Nothing is left
        then; only when syncing the parent fails after the rename does the run, complete, stay.
    """
    place_files(directory, {**files, MANIFEST: manifest_bytes(files, facts)})


def place_files(directory: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Make a new directory with these files, the last vouching for the others, and put it in place by one rename.

    Returns
    -------
    The parents that were made for it.

    Raises
    ------
    StorageError
        As `write_run` does.
    """
    _refuse_existing(directory)
    parents = _absent_parents(directory)[:-1]
    partial = _partial(directory)
    made: list[Path] = []
    with refusals_named(directory):
        try:
            for parent in parents:
                parent.mkdir(exist_ok=True)
                made.append(parent)
                sync_directory(parent.parent)
            os.mkdir(partial)
            for folder in sorted({PurePosixPath(name).parent for name in files} - {PurePosixPath(".")}):
                (partial / folder).mkdir(parents=True, exist_ok=True)
            *others, last = files
            for name in others:
                write_file(partial / name, files[name])
            sync_folders(partial)
            write_file(partial / last, files[last])
            # A rename replaces an empty directory without a word, so look again; one with files is refused.
            _refuse_existing(directory)
            os.rename(partial, directory)
            sync_directory(directory.parent)
        except BaseException:  # after the rename neither finds anything to remove
            shutil.rmtree(partial, ignore_errors=True)
            remove_empty(made)
            raise
    return made


def read_run(directory: Path) -> Run:
    """Open a run and check every file of it.

    Raises
    ------
    StorageError
        If there is no run, or a file is missing, unlisted, changed, no regular file, or the manifest is damaged
        or of a newer format.  The message names the file.
    """
    if not directory.is_dir():
        raise StorageError(f"{directory} needs to be the directory of a run, got {_what_is_there(directory)}")
    manifest_path = directory / MANIFEST
    if not os.path.lexists(manifest_path):
        if os.path.lexists(directory / REQUEST):
            raise StorageError(_unfinished(directory))
        raise StorageError(f"{directory} needs a {MANIFEST} to be a run, got none")
    manifest = parse_manifest(read_regular(manifest_path, _LARGEST_MANIFEST), str(manifest_path))
    present = set(names_below(directory, directory))
    for name in sorted(manifest.files.keys() - present):
        raise StorageError(f"{directory / name} is missing: {MANIFEST} lists it")
    for name in sorted(present - manifest.files.keys() - {MANIFEST}):
        raise StorageError(f"{directory / name} is not of this run: {MANIFEST} does not list it")
    run = Run(directory, manifest)
    for name in manifest.files:
        run.bytes(name)
    return run


def _unfinished(directory: Path) -> str:
    """Why a run without a manifest cannot be read."""
    if is_locked(directory / LOCK):
        return f"{directory} needs to be a finished run, got one that a process is writing now"
    command = shlex.join(["throughtime", "resume", str(directory)])
    return f"{directory} needs to be a finished run, got one that was stopped; {command} goes on"


def _partial(directory: Path) -> Path:
    """Where a run is written before it is put in place; its name is no longer than file systems allow."""
    return directory.parent / f".{directory.name[:40]}-{secrets.token_hex(8)}.partial"


def remove_empty(made: Sequence[Path]) -> None:
    """Remove directories, the outermost of which comes first; one that somebody has put something into stays."""
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()


def _refuse_existing(directory: Path) -> None:
    if os.path.lexists(directory):
        raise StorageError(f"{directory} exists; choose another directory or remove it")
    with refusals_named(directory):
        refuse_inside_run(directory)


def _absent_parents(directory: Path) -> list[Path]:
    """Return ``directory`` and those of its parents that do not exist, outermost first."""
    absent = [directory]
    while not os.path.lexists(absent[0].parent) and absent[0].parent != absent[0]:  # a drive that is not there
        absent.insert(0, absent[0].parent)
    return absent


def sync_folders(directory: Path) -> None:
    """Make the names in a directory, and in those below it, durable."""
    for folder, _, _ in os.walk(directory, topdown=False):
        sync_directory(Path(folder))


def names_below(directory: Path, root: Path) -> Iterator[str]:
    """Yield the names of all files below ``root`` but leftovers; refuse links, pipes and empty folders."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise StorageError(f"{directory} could not be read: {error.strerror or error}") from error
    if not entries and directory != root:
        raise StorageError(f"{directory} is not of this run: {MANIFEST} lists no file in it")
    if directory == root:
        entries = [entry for entry in entries if entry.name not in LEFTOVERS]
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) and not entry.is_symlink():
            yield from names_below(path, root)
        elif entry.is_file(follow_symlinks=False):
            yield path.relative_to(root).as_posix()
        else:
            raise StorageError(f"{path} needs to be a regular file, got {_what_is_there(path)}")


def read_regular(path: Path, largest: int) -> bytes:
    """Read a file that is no link and no longer than ``largest`` bytes."""
    # Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                if status.st_size > largest:
                    raise StorageError(f"{path} is damaged: {largest} bytes expected at most, got {status.st_size}")
                # Python makes room for all that is asked for; one more than there was shows that a file has grown.
                return file.read(min(largest, status.st_size + 1))
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror or error}") from error
    raise StorageError(f"{path} needs to be a regular file, got {_what_is_there(path)}")


def _what_is_there(path: Path) -> str:
    if not os.path.lexists(path):
        return "nothing"
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a directory" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a special file"
