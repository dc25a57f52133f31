"""Products and sums whose bits for one member do not depend on how many members there are.

What was measured with torch 2.13 and MKL (``docs/decisions/0002-bits-in-company.md``): ``bmm`` gives a matrix other
bits when its sides are not multiples of four, when it lies elsewhere in memory, or when it runs on several threads;
with sides padded to a multiple of eight and one thread, none of it matters.  A tree sum gives other bits when zeros
are appended; a running sum does not.  None of it holds on CUDA, where cuBLAS picks another way for a batch of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from throughtime.kernels.transforms import refuse_tracing

#: Every side of a matrix in a product is padded to a multiple of this.
LANE = 8

_kernel_threads: ContextVar[int | None] = ContextVar("kernel_threads", default=None)


class _Entries:
    """How many threads are inside ``one_thread``, and how many threads torch had outside."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = 0
        self.threads = 1

    def enter(self) -> int:
        """Go in; gives the threads that torch has in the calling thread outside."""
        with self.lock:
            threads = torch.get_num_threads()
            if not self.count:
                self.threads = threads
            elif threads == 1:  # a thread that first used torch meanwhile took the one for its own
                threads = self.threads
            self.threads = max(self.threads, threads)
            self.count += 1
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)
            return threads

    def leave(self, threads: int) -> None:
        """Go out; who set another number meanwhile, in the same thread, is not overruled."""
        with self.lock:
            self.count -= 1
            # only what differs: the number set here is also the one that new threads start from
            if torch.get_num_threads() == 1 != threads:
                torch.set_num_threads(threads)


_entries = _Entries()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's own operations on one thread: how MKL splits a product depends on its company.

    torch's number is each thread's own, and what a new thread starts from is the number set last, by any of them. So
    threads that overlap are counted, and go out in any order with the number that torch had before the first came in.
    The C++ kernels, whose bits do not depend on threads, keep as many as torch had.
    """
    if _kernel_threads.get() is not None and torch.get_num_threads() == 1:  # inside already
        yield
        return
    threads = _entries.enter()
    token = _kernel_threads.set(threads)
    try:
        yield
    finally:
        _kernel_threads.reset(token)
        _entries.leave(threads)


def kernel_threads() -> int:
    """Threads the C++ kernels may take: torch's, or those it had outside ``one_thread``."""
    return _kernel_threads.get() or torch.get_num_threads()


def pad_to_lane(x: Tensor, *dims: int) -> Tensor:
    """Append zeros so that each of the ``dims`` (negative) becomes a multiple of the lane."""
    room = [0] * (2 * x.dim())
    for dim in dims:
        room[2 * (-dim - 1) + 1] = -x.shape[dim] % LANE
    return pad(x, room) if any(room) else x


def linear(
    x: Float[Tensor, "member row input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
) -> Float[Tensor, "member row output"]:
    """``x @ weight.T + bias``, each member with its own weights."""
    rows, outputs = x.shape[1], weight.shape[1]
    padded = torch.baddbmm(
        pad_to_lane(bias, -1)[:, None],
        pad_to_lane(x, -1, -2),
        pad_to_lane(weight, -1, -2).transpose(1, 2),
    )
    return padded[:, :rows, :outputs]


def ordered_sum(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Sum one element after the other, so that zeros appended change no bit."""
    return x.cumsum(dim).select(dim, -1)


def linear_over_time(
    x: Float[Tensor, "member time batch input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
    chunk: int,
) -> Float[Tensor, "member time batch output"]:
    """``linear`` at every step, ``chunk`` steps a product: one of all steps would depend on the longest series."""
    refuse_tracing("a product over time in chunks")
    time = x.shape[1]
    whole = pad(x, (0, 0, 0, 0, 0, -time % chunk))
    products = [linear(part.flatten(1, 2), weight, bias) for part in torch.split(whole, chunk, 1)]
    return torch.cat(products, 1).view(*whole.shape[:3], weight.shape[1])[:, :time]
