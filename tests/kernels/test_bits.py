"""The law of lockstep: a member's bits do not depend on its company, the threads or the padding."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from cases import DTYPES, KINDS, Case, assert_same_bits, make, needs_native, run
from torch import Tensor

from throughtime.kernels import native

pytestmark = needs_native

SHAPES = [(5, 6, 37, 3, 10), (3, 5, 19, 9, 33), (2, 4, 70, 40, 260)]  # the last one: large blocks


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_they_are_the_same_on_one_two_and_four_threads(
    kind: str, dtype: torch.dtype, shape: tuple[int, ...], threads: Callable[[int], None]
) -> None:
    case = make(kind, *shape).to(dtype)
    threads(1)
    expected = run(native.recurrent, case)
    for count in (2, 4):
        threads(count)
        got = run(native.recurrent, case)
        assert_same_bits(got[0] + got[1], expected[0] + expected[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_they_are_the_same_for_any_split_of_the_members(kind: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    case = make(kind, *shape).to(dtype)
    whole = run(native.recurrent, case)
    for cuts in ([1, shape[0] - 1], [1] * shape[0]):
        start = 0
        for count in cuts:
            chosen = slice(start, start + count)
            part = run(native.recurrent, case.members(chosen))
            assert_same_bits(part[0] + part[1], tuple(t[chosen] for t in whole[0] + whole[1]))
            start += count


def _longer(case: Case, steps: int) -> Case:
    x, *rest = case.arguments
    assert x is not None
    padding = torch.full((x.shape[0], steps, *x.shape[2:]), 7.0, dtype=x.dtype)
    return Case(case.kind, (torch.cat([x, padding], 1), *rest), case.reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_they_are_the_same_however_far_time_is_padded(kind: str, dtype: torch.dtype, reverse: bool) -> None:
    case = make(kind, 2, 6, 21, 3, 17, reverse=reverse).to(dtype)
    expected, expected_gradients = run(native.recurrent, case)
    for steps in (1, 5, 300):
        results, gradients = run(native.recurrent, _longer(case, steps))
        assert_same_bits((results[0][:, :6], *results[1:]), expected)
        assert (results[0][:, 6:] == 0).all()
        assert_same_bits((gradients[0][:, :6], *gradients[1:]), expected_gradients)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_a_series_has_the_same_bits_at_any_place_in_any_batch(kind: str, dtype: torch.dtype) -> None:
    case = make(kind, 1, 6, 41, 3, 17).to(dtype)
    (y, *ends), (dx, *_) = run(native.recurrent, case)

    def series(order: list[int]) -> Case:
        x, lengths, *weights, h0, c0 = case.arguments
        assert x is not None
        assert lengths is not None
        assert h0 is not None
        batch = (h0[:, order], None if c0 is None else c0[:, order])
        return Case(kind, (x[:, :, order], lengths[:, order], *weights, *batch), False)

    grads = [g.expand_as(r) for g, r in zip(_grads_by_series(y, ends), (y, *ends), strict=True)]
    (_, *_), (dx, *_) = run(native.recurrent, case, grads)
    for order in ([0], [40], [7, 3], list(reversed(range(41))), list(range(5, 30))):
        chosen = [grads[0][:, :, order], *(g[:, order] for g in grads[1:])]
        (y_part, *ends_part), (dx_part, *_) = run(native.recurrent, series(order), chosen)
        assert_same_bits((y_part, dx_part), (y[:, :, order], dx[:, :, order]))
        assert_same_bits(tuple(ends_part), tuple(end[:, order] for end in ends))


def _grads_by_series(y: Tensor, ends: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(t.shape, generator=generator).to(t.dtype) for t in (y, *ends)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_series_without_gradient_appended_to_the_batch_change_no_weight_gradient(kind: str) -> None:
    # How the training loop fills a last batch that is short.
    case = make(kind, 2, 6, 13, 3, 17, states=False).to(torch.float32)
    x, lengths, *weights = case.arguments
    assert x is not None
    assert lengths is not None
    (y, *ends), _ = run(native.recurrent, case)
    grads = _grads_by_series(y, ends)
    _, expected = run(native.recurrent, case, grads)
    fuller = Case(
        kind,
        (
            torch.cat([x, torch.zeros(2, 6, 9, 3)], 2),
            torch.cat([lengths, torch.ones(2, 9, dtype=torch.int64)], 1),
            *weights,
        ),
        False,
    )
    filled = [torch.cat([grads[0], torch.zeros(2, 6, 9, 17)], 2)]
    filled += [torch.cat([g, torch.zeros(2, 9, 17)], 1) for g in grads[1:]]
    _, got = run(native.recurrent, fuller, filled)
    assert_same_bits(got[1:], expected[1:])


def test_no_initial_state_is_a_state_of_zeros() -> None:
    case = make("lstm", 2, 6, 13, 3, 17, states=False).to(torch.float32)
    *arguments, _, _ = case.arguments
    zeros = torch.zeros(2, 13, 17)
    without, _ = run(native.recurrent, case)
    given, _ = run(native.recurrent, Case("lstm", (*arguments, zeros, zeros), False))
    assert_same_bits(given, without)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_a_run_that_keeps_nothing_for_a_gradient_has_the_same_bits(kind: str) -> None:
    case = make(kind, 2, 6, 13, 3, 17).to(torch.float32)
    expected, _ = run(native.recurrent, case)
    with torch.no_grad():
        assert_same_bits(native.recurrent(kind, *case.arguments), expected)


def test_python_threads_at_the_same_time_get_the_same_bits(threads: Callable[[int], None]) -> None:
    threads(2)
    case = make("gru", 4, 20, 33, 5, 24).to(torch.float32)
    expected, _ = run(native.recurrent, case)
    with ThreadPoolExecutor(4) as pool:
        for results, _ in pool.map(lambda _: run(native.recurrent, case), range(24)):
            assert_same_bits(results, expected)


def test_a_forked_child_computes_what_its_parent_does() -> None:
    # In a process of its own, with a time limit: a child that waits for its parent's threads would wait for ever.
    # The child compares bytes, because torch's own operations may hang on OpenMP after a fork.
    program = """
import os
import torch
from cases import make
from throughtime.kernels import native
torch.set_num_threads(2)
case = make("lstm", 4, 20, 33, 5, 24).to(torch.float32)
with torch.no_grad():
    expected = [r.numpy().tobytes() for r in native.recurrent("lstm", *case.arguments)]
    child = os.fork()
    got = [r.numpy().tobytes() for r in native.recurrent("lstm", *case.arguments)]
assert got == expected
if child == 0:
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(__file__).parent)


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is read and limited as on Linux")
def test_where_no_thread_can_be_started_a_call_does_the_work_itself() -> None:
    # In a process of its own, which is left less memory than the stack of a thread takes.
    program = """
import pathlib
import resource
import torch
from cases import make
from throughtime.kernels import native, one_thread
case = make("lstm", 2, 20, 33, 5, 24).to(torch.float32)
with torch.no_grad():
    expected = native.recurrent("lstm", *case.arguments)
    torch.set_num_threads(4)
    with one_thread():
        held = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + (4 << 20), -1))
        for _ in range(2):
            got = native.recurrent("lstm", *case.arguments)
assert all(torch.equal(one, other) for one, other in zip(got, expected))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(__file__).parent)
