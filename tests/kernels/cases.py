"""Problems for the kernel tests, and the float64 oracle's answer to them."""

import os
from dataclasses import dataclass, replace

import oracle
import pytest
import torch
from torch import Tensor

from throughtime.kernels import CELLS, ISA_VARIABLE, NO_NOISE, StepNoise, native

KINDS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
DTYPES = (torch.float32, torch.float64)

#: ``make soak`` sets it: every size instead of a sample.
SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""

needs_native = pytest.mark.skipif(not native.native_available(), reason="installed without the C++ kernels")

# Relative to the largest value of a tensor. float32: what the issue demands (rounding of some hundred terms at
# 6e-8 stays a factor of ten below). float64: the same margin at 1.1e-16.
FORWARD = {torch.float32: 1e-5, torch.float64: 1e-13}
BACKWARD = {torch.float32: 1e-4, torch.float64: 1e-12}


@dataclass(frozen=True)
class Case:
    """The arguments of a call, the gradients of its results, the names of what is differentiated."""

    kind: str
    arguments: tuple[Tensor | None, ...]
    reverse: bool
    noise: StepNoise = NO_NOISE

    def to(self, dtype: torch.dtype) -> "Case":
        moved = tuple(t.to(dtype) if t is not None and t.is_floating_point() else t for t in self.arguments)
        noise = StepNoise(*(None if t is None else t.to(dtype) for t in self.noise))
        return Case(self.kind, moved, self.reverse, noise)

    def members(self, chosen: slice) -> "Case":
        arguments, noise = (
            [None if t is None else t[chosen] for t in tensors] for tensors in (self.arguments, self.noise)
        )
        return Case(self.kind, tuple(arguments), self.reverse, StepNoise(*noise))


def make(
    kind: str,
    members: int,
    time: int,
    batch: int,
    channels: int,
    hidden: int,
    *,
    reverse: bool = False,
    bias: bool = True,
    states: bool = True,
    ragged: bool = True,
    noise: bool = False,
    seed: int = 0,
) -> Case:
    generator = torch.Generator().manual_seed(seed)
    gates = len(CELLS[kind].gates) * hidden

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scale = (hidden + channels) ** -0.5
    lengths = torch.randint(1, time + 1, (members, batch), generator=generator)
    arguments = (
        normal(members, time, batch, channels),
        lengths if ragged else torch.full_like(lengths, time),
        normal(members, gates, channels) * scale,
        normal(members, gates, hidden) * scale,
        normal(members, gates) * scale if bias else None,
        normal(members, gates) * scale if bias else None,
        normal(members, batch, hidden) if states else None,
        normal(members, batch, hidden) if states and kind == "lstm" else None,
    )
    silent = Case(kind, arguments, reverse)
    drawn = make_noise(kind, members, time, batch, hidden, generator) if noise else NO_NOISE
    # Rounded to float32 so that both precisions see one problem.
    return replace(silent, noise=drawn).to(torch.float32).to(torch.float64)


def make_noise(kind: str, members: int, time: int, batch: int, hidden: int, generator: torch.Generator) -> StepNoise:
    """Masks of zeros and 1.25; shares kept that are 0, 1 or between."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    steps = (members, time, batch, hidden)
    zoneout_h, zoneout_c = ((1.5 * draw(*steps) - 0.25).clamp(0, 1) for _ in range(2))
    return StepNoise(
        recurrent=(draw(members, batch, hidden) > 0.2) * 1.25,
        candidate=(draw(*steps) > 0.2) * 1.25 if kind in ("gru", "lstm") else None,
        zoneout_h=zoneout_h,
        zoneout_c=zoneout_c if kind == "lstm" else None,
    )


def upstream(results: tuple[Tensor, ...], seed: int = 1) -> list[Tensor]:
    """Gradients of the results: at each place of the batch the same ones for any number of members or steps."""
    out = []
    for index, result in enumerate(results):
        generator = torch.Generator().manual_seed(seed + index)
        shape = result.shape[2:] if index == 0 else result.shape[1:]
        steps = [torch.randn(shape, generator=generator) for _ in range(result.shape[1] if index == 0 else 1)]
        one = torch.stack(steps) if index == 0 else steps[0]
        out.append(one.to(result.dtype).expand(result.shape))
    return out


def run(
    function: "object", case: Case, grads: list[Tensor] | None = None
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Results, and the gradients of everything that has one."""
    threads = torch.get_num_threads()
    if function is oracle.recurrent:
        torch.set_num_threads(1)  # at these sizes torch's threads only wait for each other
    leaves = tuple(
        t.detach().requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments
    )
    results = function(case.kind, *leaves, case.reverse, case.noise)  # type: ignore[operator]
    inputs = [t for t in leaves if t is not None and t.requires_grad]
    gradients = torch.autograd.grad(results, inputs, upstream(results) if grads is None else grads)
    torch.set_num_threads(threads)
    return tuple(r.detach() for r in results), gradients


def error(got: Tensor, expected: Tensor) -> float:
    """The largest deviation relative to the largest expected value."""
    largest = expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    return float((got.double() - expected).abs().max() / largest)


def assert_agrees(case: Case, dtypes: tuple[torch.dtype, ...] = DTYPES) -> None:
    """The kernels' results and gradients are those of the float64 oracle, on every instruction set of the machine."""
    expected, expected_gradients = run(oracle.recurrent, case)
    for isa in native.isa_names():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ISA_VARIABLE, isa)
            for dtype in dtypes:
                results, gradients = run(native.recurrent, case.to(dtype))
                for index, (got, want) in enumerate(zip(results, expected, strict=True)):
                    assert error(got, want) <= FORWARD[dtype], (isa, dtype, "result", index)
                for index, (got, want) in enumerate(zip(gradients, expected_gradients, strict=True)):
                    assert error(got, want) <= BACKWARD[dtype], (isa, dtype, "gradient", index)


def assert_same_bits(got: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for index, (one, other) in enumerate(zip(got, expected, strict=True)):
        ints = torch.int32 if one.dtype == torch.float32 else torch.int64
        same = torch.equal(one.contiguous().view(ints), other.contiguous().view(ints))
        assert same, f"tensor {index}: largest difference {float((one - other).abs().max())}"
