"""A lock on a file that the system holds for a process, and frees when it ends, however it ends."""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

#: Seconds that a taker waits for one who only looks (`is_locked`), and between tries.
_PATIENCE, _PAUSE = 0.2, 0.02
#: What systems say where another holds the lock, and where the file system has no locks.
_HELD, _WITHOUT = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK), (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def take_lock(path: Path) -> int | None:
    """Lock a file, which is made where it is missing; ``None`` where another process has it.

    On a file system without locks it passes for taken.

    Returns
    -------
    The descriptor that holds the lock until it is closed. A process that is forked holds it too.

    Raises
    ------
    OSError
        If the file cannot be opened, as a symbolic link never can, or the system refuses to lock it.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    until = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            ours = _locked_by_us(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if ours:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            os.close(descriptor)  # whoever held it before has removed the file
            continue
        os.close(descriptor)
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE)


def is_locked(path: Path) -> bool:
    """Whether a process that lives has locked the file."""
    flags = os.O_RDWR if os.name == "nt" else os.O_RDONLY
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return not _locked_by_us(descriptor, shared=True)
    finally:
        os.close(descriptor)


def _locked_by_us(descriptor: int, *, shared: bool = False) -> bool:
    """Whether the lock was free, and now is ours; ``shared`` with others who only look, where the system has that."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            # over NFS an exclusive lock asks for a file that is open for writing
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _WITHOUT:
            return True
        raise
    return True
