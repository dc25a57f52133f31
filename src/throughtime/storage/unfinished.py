"""The directory of a run while it is made: what was asked, a lock, checkpoints; in the end its files and the manifest.

A run without a manifest is unfinished, and `resume_run` goes on with it, whatever ended the process before: it holds
``request.json`` and what the work keeps there. The manifest is written last; what only an unfinished run needs is
removed after it, and `read_run` lets pass what a killed process left of that.
"""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from throughtime.errors import StorageError
from throughtime.storage.atomic import refusals_named, sync_directory, write_file
from throughtime.storage.locking import is_locked, take_lock
from throughtime.storage.manifest import CHECKPOINTS, LOCK, MANIFEST, REQUEST, manifest_bytes
from throughtime.storage.request import Request, parse_request, request_bytes
from throughtime.storage.run import (
    LEFTOVERS,
    Run,
    names_below,
    place_files,
    read_regular,
    read_run,
    remove_empty,
    sync_folders,
)

_LARGEST_REQUEST = 64 * 2**20  # bytes
#: What `write_file` calls a file that it has not put in place.
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.partial")


class UnfinishedRun:
    """A run that this process makes, and no other meanwhile; leaving its ``with`` block frees the lock.

    Attributes
    ----------
    directory
        Where it is, and will be.
    request
        What was asked for.
    """

    def __init__(self, directory: Path, request: Request, lock: int, made: Sequence[Path] = ()) -> None:
        self.directory, self.request = directory, request
        self._lock: int | None = lock
        #: parents that were made for it
        self._made = made

    @property
    def checkpoints(self) -> Path:
        """The folder of what the work goes on from; nothing of it is left in the finished run."""
        return self.directory / CHECKPOINTS

    def finish(self, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
        """Write the run's files, its manifest last, and remove what only the unfinished run needs.

        Parameters
        ----------
        files, facts
            As `write_run` takes them.

        Raises
        ------
        StorageError
            If the system refuses, or the directory holds a file that is not of the run: it is still unfinished then.
        """
        manifest = manifest_bytes(files, facts)
        with refusals_named(self.directory):
            for folder in {PurePosixPath(name).parent for name in files}:
                (self.directory / folder).mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                write_file(self.directory / name, content)
            for name in names_below(self.directory, self.directory):
                if name not in files:
                    raise StorageError(f"{self.directory / name} is not of this run; move it elsewhere")
            sync_folders(self.directory)
            write_file(self.directory / MANIFEST, manifest)
        lock, self._lock = self._lock, None
        assert lock is not None
        _clean(self.directory, lock)

    def discard(self) -> None:
        """Remove the run: what was asked for cannot be done."""
        hidden = self.directory.parent / f".{self.directory.name[:40]}-{secrets.token_hex(8)}.partial"
        if os.name == "nt":  # which renames nothing that is open
            self.release()
        with refusals_named(self.directory):
            os.rename(self.directory, hidden)  # at once, so that a process killed here leaves no half of a run
        self.release()
        shutil.rmtree(hidden, ignore_errors=True)
        remove_empty(self._made)

    def release(self) -> None:
        """Free the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def begin_run(directory: Path, asked: Mapping[str, Any], facts: Mapping[str, Any]) -> UnfinishedRun:
    """Make the directory of a run whose work begins now; missing parents are made.

    Parameters
    ----------
    asked
        Plain values from which the work can be done again, with nothing but the data from elsewhere.
    facts
        What the bits of the run depend on.

    Raises
    ------
    StorageError
        If something is there already, or the system refuses; nothing is left then.
    """
    content = request_bytes(asked, facts)
    made = place_files(directory, {REQUEST: content})
    return UnfinishedRun(directory, parse_request(content, str(directory / REQUEST)), _lock_of(directory), made)


def resume_run(directory: Path) -> UnfinishedRun | Run:
    """Take up a run that another process began, wherever it was moved to; one that is finished is cleaned up and read.

    Raises
    ------
    StorageError
        If there is none, it is damaged or no regular file is in it, or a process is writing it now.
    """
    if is_unfinished(directory):
        if directory.is_symlink():
            raise StorageError(f"{directory} needs to be the directory of a run, got a symbolic link")
        lock = _lock_of(directory)
        try:
            if is_unfinished(directory):  # whoever had the lock may have finished it meanwhile
                request = read_request(directory)
                _refuse_links(directory)
                _remove_temporary(directory)
                return UnfinishedRun(directory, request, lock)
        except BaseException:
            os.close(lock)
            raise
        _clean(directory, lock)
    run = read_run(directory)
    with suppress(OSError):  # what is left does no harm
        left = any(os.path.lexists(directory / name) for name in LEFTOVERS)
        if left and (free := take_lock(directory / LOCK)) is not None:
            _clean(directory, free)
    return run


def read_request(directory: Path) -> Request:
    """What an unfinished run was asked for.

    Raises
    ------
    StorageError
        If there is no such run, or the file is damaged.
    """
    path = directory / REQUEST
    return parse_request(read_regular(path, _LARGEST_REQUEST), str(path))


def is_unfinished(directory: Path) -> bool:
    """Whether a run was begun in this directory and has no manifest yet."""
    return os.path.lexists(directory / REQUEST) and not os.path.lexists(directory / MANIFEST)


def is_written_now(directory: Path) -> bool:
    """Whether a process that lives is making the run in this directory."""
    return is_locked(directory / LOCK)


def _lock_of(directory: Path) -> int:
    with refusals_named(directory):
        lock = take_lock(directory / LOCK)
    if lock is None:
        raise StorageError(f"{directory} needs to be written by one process at a time, got another that writes it now")
    return lock


def _clean(directory: Path, lock: int) -> None:
    """Remove what only an unfinished run needs, after its manifest is there, and free the lock."""
    for name in LEFTOVERS:
        with suppress(OSError):  # what is left does no harm
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    os.close(lock)
    if os.name == "nt":  # which removes no file that is open
        (directory / LOCK).unlink(missing_ok=True)
    sync_directory(directory)


def _refuse_links(directory: Path) -> None:
    """Refuse to write where a name leads elsewhere."""
    for folder, folders, names in os.walk(directory):
        for path in (Path(folder) / name for name in (*folders, *names)):
            if not stat.S_ISDIR(mode := path.lstat().st_mode) and not stat.S_ISREG(mode):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
                raise StorageError(f"{path} needs to be a regular file, got {kind}")


def _remove_temporary(directory: Path) -> None:
    """Remove files that a killed process did not put in place."""
    for folder, _, names in os.walk(directory):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with suppress(FileNotFoundError):
                    os.unlink(Path(folder) / name)
