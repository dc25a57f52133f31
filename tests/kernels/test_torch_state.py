"""Torch's threads and gradients, given back as they were."""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import permutations

import pytest
import torch

from throughtime.kernels import linear, one_thread, torch_state
from throughtime.kernels.torch_state import keeps_torch_state, kernel_threads


class Worker:
    """A thread that does one thing after the other, so that a test says in which order threads come and go."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(1)
        self._entered = ExitStack()

    def knows(self, count):
        """Use torch for the first time, which reads the number that new threads start from, and set another."""
        self(torch.get_num_threads)
        self(torch.set_num_threads, count)

    def __call__(self, call, *arguments):
        return self._pool.submit(call, *arguments).result()

    def enter(self):
        self(self._entered.enter_context, one_thread())
        return self(torch.get_num_threads), self(kernel_threads)

    def leave(self, error=None):
        self(self._entered.__exit__, type(error) if error else None, error, None)
        return self(torch.get_num_threads)

    def stop(self):
        self(self._entered.close)
        self._pool.shutdown()


@pytest.fixture
def workers():
    """Makes them, and ends them."""
    with ExitStack() as ends:

        def start(count):
            made = [Worker() for _ in range(count)]
            for worker in made:
                ends.callback(worker.stop)
            return made

        yield start


@pytest.mark.parametrize("count", [1, 3])
def test_one_thread_is_one_thread_and_gives_the_others_back_even_after_an_error(threads, count):
    seen = []

    def fail():
        with one_thread():
            seen.append((torch.get_num_threads(), kernel_threads()))
            raise RuntimeError("inside")

    threads(count)
    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert seen == [(1, count)]
    assert torch.get_num_threads() == kernel_threads() == count


def test_one_thread_inside_itself_ends_with_the_outer_one(threads):
    threads(3)
    with one_thread():
        with one_thread():
            assert (torch.get_num_threads(), kernel_threads()) == (1, 3)
        assert (torch.get_num_threads(), kernel_threads()) == (1, 3)
    assert torch.get_num_threads() == kernel_threads() == 3


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize(
    "fresh", [True, False], ids=["threads that meet torch inside", "threads that knew torch before"]
)
@pytest.mark.parametrize("error", [None, RuntimeError("inside")], ids=["done", "failed"])
def test_overlapping_threads_go_out_in_any_order_and_leave_the_process_as_it_was(threads, workers, order, fresh, error):
    threads(3)
    team = workers(3)
    if not fresh:
        assert [worker(torch.get_num_threads) for worker in team] == [3, 3, 3]
    assert [worker.enter() for worker in team] == [(1, 3)] * 3  # torch's own threads, the kernels'
    for at, place in enumerate(order):
        assert team[place].leave(error) == 3
        # who is still inside, is so
        assert [team[other](torch.get_num_threads) for other in order[at + 1 :]] == [1] * (2 - at)
    (newcomer,) = workers(1)
    assert newcomer(torch.get_num_threads) == torch.get_num_threads() == 3
    assert newcomer.enter() == (1, 3)
    assert newcomer.leave() == 3


def test_threads_that_knew_torch_before_get_their_own_numbers_back(threads, workers):
    threads(3)
    first, second = workers(2)
    for worker, own in ((first, 2), (second, 4)):
        worker.knows(own)
    assert (first.enter(), second.enter()) == ((1, 2), (1, 4))
    assert (first.leave(), second.leave()) == (2, 4)
    assert torch.get_num_threads() == 3


def test_a_number_set_inside_by_the_same_thread_is_not_overruled(threads, workers):
    threads(3)
    with one_thread():
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == kernel_threads() == 2
    # and by another thread: it keeps its number
    (other,) = workers(1)
    with one_thread():
        other.knows(4)
    assert (other(torch.get_num_threads), torch.get_num_threads()) == (4, 2)


def test_a_thread_whose_torch_has_one_thread_keeps_it(threads, workers):
    threads(1)
    (worker,) = workers(1)
    assert worker.enter() == (1, 1)
    assert worker.leave() == torch.get_num_threads() == 1


def test_a_number_set_before_a_block_is_kept_while_others_are_inside(threads, workers):
    threads(4)
    first, second = workers(2)
    second.enter()  # a thread that torch's number is known of
    second.leave()
    first.enter()
    second(torch.set_num_threads, 1)
    assert second.enter() == (1, 1)
    assert second.leave() == second(kernel_threads) == 1
    assert first.leave() == torch.get_num_threads() == 4


class Strike:
    """Raises at the n-th instant inside one module or contextlib at which Python looks for signals.

    These are the calls of functions and the returns of those in C: a profile's events.
    """

    FILES = frozenset({torch_state.__file__, contextlib.__file__})

    def __init__(self, at=None):
        self.at, self.seen = at, 0

    def of(self, work):
        sys.setprofile(self.profile)
        try:
            work()
        finally:
            sys.setprofile(None)

    def profile(self, frame, event, _):
        if event in ("call", "c_return") and frame.f_code.co_filename in self.FILES:
            self.seen += 1
            if self.seen == self.at:
                raise KeyboardInterrupt


def inside():
    with one_thread():
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)


@pytest.mark.parametrize("work", [inside, keeps_torch_state(inside)], ids=["the block", "a function that keeps state"])
def test_an_interrupt_at_any_instant_of_a_block_leaves_nobody_inside(threads, work):
    threads(3)
    count = Strike()
    count.of(work)
    assert count.seen > 20
    for at in range(1, count.seen + 1):
        torch.set_num_threads(3)
        try:
            Strike(at).of(work)
        except KeyboardInterrupt as interrupt:
            if work is not inside:  # even while the traceback holds on to the block
                assert torch.get_num_threads() in (2, 3), at
                assert not torch_state._threads.own.blocks, at
            del interrupt
        assert torch.get_num_threads() in (2, 3), at
        assert not torch_state._threads.inside, at
        # so that what is set later is not overruled
        torch.set_num_threads(1)
        with one_thread():
            pass
        assert torch.get_num_threads() == 1, at


@pytest.mark.parametrize("grad", [True, False])
def test_what_is_raised_ends_with_gradients_as_they_began(grad):
    @keeps_torch_state
    def fail():
        torch.set_grad_enabled(not grad)
        raise KeyboardInterrupt

    with torch.set_grad_enabled(grad):
        with pytest.raises(KeyboardInterrupt):
            fail()
        assert torch.is_grad_enabled() is grad


def test_matrix_products_of_overlapping_threads_keep_their_bits(threads, workers):
    threads(2)
    x, weight, bias = torch.randn(3, 37, 29), torch.randn(3, 5, 29), torch.randn(3, 5)
    first, second = workers(2)
    first.enter()
    alone = first(linear, x, weight, bias)
    second.enter()
    together = second(linear, x, weight, bias)
    first.leave()
    after = second(linear, x, weight, bias)  # the first, outside again, has its two threads
    second.leave()
    assert torch.equal(alone, together)
    assert torch.equal(alone, after)
