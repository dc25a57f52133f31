"""Ctrl-C, kept back while threads and the state of other modules change hands.

Python raises ``KeyboardInterrupt`` in the main thread between any two bytecodes: also inside a ``finally``, and between
handing a turn to a thread and waiting for it.  Here the signal's handler says when it is raised instead.
"""

import signal
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupts:
    """From `__init__` to `end` Ctrl-C is kept, but for where `listen` or `hear` let it through.

    Each opening lets one through: what unwinds after it is not interrupted again.  Outside the main thread, where
    Python raises no ``KeyboardInterrupt``, and with a handler that is not Python's, nothing is done.

    Parameters
    ----------
    ending
        The code that calls `end`.  A signal that arrives in its first bytecode, before it can stop listening, is kept.
    """

    def __init__(self, ending: CodeType | None = None) -> None:
        self._ending = ending
        self._kept = False
        #: what was raised and may not have come out: Python drops it in a weak reference's callback or a ``__del__``
        self._raised: type[BaseException] | None = None
        self.listening = False
        handler: Any = signal.getsignal(signal.SIGINT)
        self._previous = handler if callable(handler) else None
        if self._previous is not None:
            try:
                signal.signal(signal.SIGINT, self._arrive)
            except ValueError:  # not the main thread
                self._previous = None

    def listen(self, on: bool) -> None:
        """Let Ctrl-C through from here on, also one that was kept; or keep it."""
        self.listening = on
        if on:
            self.check()

    def hear(self, work: Callable[..., T], *arguments: Any) -> T:
        """Give what ``work`` gives; Ctrl-C ends it at once."""
        try:
            self.listen(True)
            result = work(*arguments)
        except BaseException as error:
            self.listening = False
            self._came_out(type(error))
            raise
        finally:
            self.listening = False
        self.check()
        return result

    def check(self) -> None:
        """Raise what was kept, and what was raised before and dropped."""
        if (self._kept or self._raised is not None) and self._previous is not None:
            self._kept, self._raised = False, None
            self.listening = False
            self._previous(signal.SIGINT, None)

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Hand Ctrl-C back to who had it, with one that was kept or dropped; ``kind`` is raised already."""
        self.listening = False
        if kind is not None:
            self._came_out(kind)
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
        self.check()

    def _came_out(self, kind: type[BaseException]) -> None:
        if self._raised is not None and issubclass(kind, self._raised):
            self._raised = None

    def _arrive(self, signum: int, frame: FrameType | None) -> None:
        if not self.listening or (frame is not None and frame.f_code is self._ending):
            self._kept = True
            return
        assert self._previous is not None
        self.listening = False
        try:
            self._previous(signum, frame)
        except BaseException as error:
            self._raised = type(error)
            raise
        self.listening = True  # a handler that raises nothing
