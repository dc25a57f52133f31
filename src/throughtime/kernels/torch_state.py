"""What of torch's state is changed for a while, and how it comes back whatever is raised at whatever instant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from threading import Lock, get_ident, local
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(eq=False)
class _Block:
    """A block of ``one_thread`` that a thread is in."""

    #: torch's threads in the calling thread outside of it
    outside: int = 1


class _Own(local):
    """What is known of the calling thread."""

    def __init__(self) -> None:
        #: the blocks it is in, the outermost first
        self.blocks: list[_Block] = []
        #: whether it came out of a block before, so that torch's number in it is its own
        self.known = False


class _Threads:
    """Who is inside ``one_thread``.

    An interrupt may come between any two calls. So nothing is counted: blocks are listed, leaving one leaves those
    that were entered in it, and leaving it again does nothing.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.own = _Own()
        #: of each thread inside, torch's number in it outside
        self.inside: dict[int, int] = {}

    def outside(self) -> int:
        """Threads that torch has in the calling thread, or would have if no other were inside."""
        number = torch.get_num_threads()
        if self.own.blocks or self.own.known or number != 1:
            return number
        others = [other for ident, other in self.inside.items() if ident != get_ident()]
        return max(others, default=1)  # it met torch while they were inside, and took the one for its own

    def enter(self, block: _Block) -> None:
        """Go in."""
        with self.lock:
            block.outside = self.outside()
            self.own.blocks.append(block)
            self.inside[get_ident()] = max(own.outside for own in self.own.blocks)
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)

    def leave(self, block: _Block) -> None:
        """Go out; who set another number meanwhile, in the same thread, is not overruled."""
        with self.lock:
            blocks = self.own.blocks
            if block not in blocks:
                return
            # only what differs: the number set here is also the one that new threads start from
            if torch.get_num_threads() == 1 != block.outside:
                torch.set_num_threads(block.outside)
            self.own.known = True
            # last, so that a second call ends what an interrupt left
            if blocks[0] is block:
                self.inside.pop(get_ident(), None)
            del blocks[blocks.index(block) :]


_threads = _Threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's own operations on one thread: how MKL splits a product depends on its company.

    torch's number is each thread's own, and what a new thread starts from is the number set last, by any of them. So
    threads that overlap are listed, and go out in any order with the number that torch had before the first came in.
    The C++ kernels, whose bits do not depend on threads, keep as many as torch had.

    torch does not tell a thread that started from another's one from a thread that called ``set_num_threads(1)``. A
    thread that has been in a block before is believed. One that has not, and enters its first block with one thread
    while others are inside, comes out with their number: set it again afterwards, or where no other is inside.
    """
    if _threads.own.blocks and torch.get_num_threads() == 1:  # inside already
        yield
        return
    block = _Block()
    try:
        try:
            _threads.enter(block)
            yield
        finally:
            _threads.leave(block)
    finally:  # again: an interrupt may have ended the first
        _threads.leave(block)


def kernel_threads() -> int:
    """Threads the C++ kernels may take: torch's, or those it had outside ``one_thread``."""
    blocks = _threads.own.blocks
    return blocks[-1].outside if blocks else torch.get_num_threads()


class TorchState:
    """Whether the calling thread takes gradients, and torch's threads in it, to be put back after an interrupt.

    An interrupt inside the ``__exit__`` of ``torch.no_grad`` or ``one_thread`` ends what should have put them back.
    """

    def __init__(self) -> None:
        with _threads.lock:
            self._threads = _threads.outside()
            self._depth = len(_threads.own.blocks)
        self._grad = torch.is_grad_enabled()

    def restore(self) -> None:
        """Put back what it was when this was made."""
        torch.set_grad_enabled(self._grad)
        for block in _threads.own.blocks[self._depth :][:1]:  # with all in it
            _threads.leave(block)
        with _threads.lock:
            if torch.get_num_threads() == 1 != self._threads:
                torch.set_num_threads(self._threads)


def keeps_torch_state(work: Callable[P, R]) -> Callable[P, R]:
    """Let ``work`` end with torch's state as it began, whatever is raised in it and at whatever instant."""

    @wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        state = TorchState()
        try:
            return work(*args, **kwargs)
        except BaseException:
            state.restore()
            raise

    return call
