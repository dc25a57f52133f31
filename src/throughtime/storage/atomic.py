"""A file that is written whole or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from throughtime.errors import StorageError
from throughtime.storage.traces import refuse_inside_run


def write_file(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` at once, in place of what was there.

    A temporary file in the same directory is written, synced, read back and compared, then renamed, and the
    directory is synced.  Whoever looks sees the old file or the new one, also after a crash; a power cut on
    Windows, where a directory cannot be synced, may still bring the old one back.

    Raises
    ------
    StorageError
        If the system refuses (full disk, permission) or hands back other bytes.  No temporary file stays.
    """
    # The name may be as long as the file system allows, so the temporary one does not contain it.
    temporary = path.parent / f".{secrets.token_hex(8)}.partial"
    with refusals_named(path):
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if hashlib.sha256(temporary.read_bytes()).digest() != hashlib.sha256(content).digest():
                raise StorageError(f"{path} needs a disk that keeps what it is given, but other bytes were read back")
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def claim_file(path: Path) -> None:
    """Refuse, before the work, a place where `write_file` could not put a new file afterwards; leave no trace.

    Raises
    ------
    StorageError
        If something is there already, it is in a run, or no file can be made there.
    """
    if os.path.lexists(path):
        raise StorageError(f"{path} exists; choose another file or remove it")
    with refusals_named(path):
        refuse_inside_run(path)
        probe_file(path)


def probe_file(path: Path) -> None:
    """Make a small file of a name that is free, and remove it: name, permission and space are then all right."""
    file = open(path, "xb")  # noqa: SIM115
    try:
        with file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink()


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable; on Windows, which has no such call, do nothing."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Turn the system's refusals into a ``StorageError`` that says which path could not be written."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}") from error
    except ValueError as error:  # of a path with NUL, or with a letter that the system's encoding lacks
        raise StorageError(f"{str(path)!r} could not be written: {error}") from error
