"""The exit code that a command ends with, whatever it meets: an error, Ctrl-C, a screen that breaks."""

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TextIO, cast

import typer

from throughtime.errors import ThroughtimeError
from throughtime.terminal import Lenient, escape_controls

REFUSED, STOPPED, TERMINATED = 2, 130, 143
#: Of BSD's sysexits.h, and of a program that SIGPIPE ended.
NOT_PRINTED, READER_LEFT = 74, 141


class StoppedError(Exception):
    """A command that a signal has ended; the message says what is left, ``code`` how the process ends."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run_to_exit(program: Callable[[], Any]) -> NoReturn:
    """Run a program and end the process.

    Printing never ends a command.  If it did its work and standard output was lost, the exit code is 141 when whoever
    read it has left, as in ``| head``, and else 74.
    """
    for descriptor in range(3):  # or the next file that is opened becomes one of them, and is printed into
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out, err = Lenient(sys.stdout), Lenient(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    code: Any = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    out.flush()
    if out.failure is not None and not code:
        code = READER_LEFT if out.failure.errno == errno.EPIPE else NOT_PRINTED
        if code == NOT_PRINTED:
            print(f"error: all was done, but not all printed: {out.failure.strerror}", file=sys.stderr)
    sys.exit(code)


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors we raise into a message and an exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ThroughtimeError as error:
            print(f"error: {escape_controls(str(error))}", file=sys.stderr)
            raise typer.Exit(REFUSED) from None
        except (MemoryError, RuntimeError) as error:
            message = str(error)
            if isinstance(error, RuntimeError) and "allocate memory" not in message and "out of memory" not in message:
                raise
            print("error: there is not enough memory for this; fewer or smaller networks need less", file=sys.stderr)
            raise typer.Exit(REFUSED) from None
        except StoppedError as stopped:
            print(escape_controls(str(stopped)), file=sys.stderr)
            raise typer.Exit(stopped.code) from None
        except KeyboardInterrupt:
            print("stopped; no file was left half-written", file=sys.stderr)
            raise typer.Exit(STOPPED) from None

    return run
