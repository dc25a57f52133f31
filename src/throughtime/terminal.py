"""What is printed, and standard output and error that may break: a reader that has left, a full disk, none at all."""

import errno
import io
import os
from collections.abc import Callable
from typing import Any, TextIO

#: Every control character but tab and newline, as its escape: a terminal would obey it.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def escape_controls(text: str) -> str:
    """Text from outside, such as the name of a file, with nothing in it that a terminal would obey."""
    return text.translate(_ESCAPES)


class Lenient:
    """A text stream that loses what it cannot print, and remembers why, so that no work ends by a print.

    A letter that the stream's encoding lacks is printed as its escape.

    Attributes
    ----------
    failure
        The first refusal of the system; after it nothing more is tried.
    """

    def __init__(self, stream: TextIO | None) -> None:
        #: Python has ``None`` where the descriptor was closed before it started
        self._absent = stream is None
        self._stream: TextIO = io.TextIOWrapper(io.BytesIO()) if stream is None else stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Print, or lose, ``text``."""
        if not isinstance(text, str):  # click tells streams of bytes by what they take
            raise TypeError(f"a text stream needs text, got {type(text).__name__}")
        self._attempt(lambda: self._print(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, or lose it."""
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Whether a person may be watching."""
        try:
            return self._stream.isatty()
        except ValueError:  # closed
            return False

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # a way around this class, which click takes
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _print(self, text: str) -> None:
        if self._absent and text:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            code = self._stream.encoding
            self._stream.write(text.encode(code, "backslashreplace").decode(code))

    def _attempt(self, work: Callable[[], object]) -> None:
        if self.failure is not None:
            return
        try:
            work()
        except OSError as refusal:
            self.failure = refusal
        except ValueError:
            if not self._stream.closed:
                raise
            self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
