"""Checkpointed BPTT: segments that run forward again in the backward pass change no bit, and keep little."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from cases import DTYPES, KINDS, SOAK, Case, assert_same_bits, make, needs_native, run
from torch import Tensor

from throughtime.kernels import CELLS, NO_NOISE, SEGMENT, CellSpec, DeltaNorms, StepNoise, TorchBackend, recurrent

TIME = 43
SEGMENTS = (1, 7, 16, TIME - 1, TIME, 10**30)


def _forms() -> Iterator[tuple[bool, bool, bool]]:
    """Reverse, ragged, noise."""
    return product((False, True), repeat=3)


def _results(case: Case, segment: int | None, outputs: bool = True) -> tuple[Tensor, ...]:
    """Results, gradients and norms of deltas."""
    deltas = DeltaNorms()

    def op(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
        y, *ends = recurrent(kind, *arguments, (), deltas, segment, outputs)
        return (y, *ends) if outputs else tuple(ends)

    grads = None if outputs else [torch.ones_like(state) for state in _states(case)]
    results, gradients = run(op, case, grads)
    return (*results, *gradients, *(norms for norms in (deltas.h, deltas.c) if norms is not None))


def _states(case: Case) -> list[Tensor]:
    return [state for state in case.arguments[6:] if state is not None]


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_segments_change_no_bit_of_results_gradients_and_deltas(kind: str, dtype: torch.dtype) -> None:
    for place, (reverse, ragged, noise) in enumerate(_forms()):
        # a batch of more than one block, units beyond a whole vector
        case = make(kind, 2, TIME, 19, 3, 10, reverse=reverse, ragged=ragged, noise=noise).to(dtype)
        expected = _results(case, None)
        for segment in SEGMENTS if SOAK else (SEGMENTS[place % len(SEGMENTS)],):
            assert_same_bits(_results(case, segment), expected)


@needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_segments_change_no_bit_where_the_last_states_alone_are_wanted(kind: str) -> None:
    for reverse, bias in product((False, True), repeat=2):
        case = make(kind, 2, TIME, 37, 3, 24, reverse=reverse, bias=bias).to(torch.float32)
        expected = _results(case, None)
        assert_same_bits(
            _results(case, None, outputs=False)[: len(_states(case))], expected[1 : 1 + len(_states(case))]
        )
        assert_same_bits(_results(case, 7, outputs=False), _results(case, None, outputs=False))


@needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_segments_have_the_same_bits_on_any_number_of_threads_and_of_members(
    kind: str, threads: Callable[[int], None]
) -> None:
    case = make(kind, 3, TIME, 70, 9, 64).to(torch.float32)
    expected = _results(case, None)
    for count in (1, 2, 4):
        threads(count)
        assert_same_bits(_results(case, 7), expected)
    alone = _results(case.members(slice(1, 2)), 7)
    assert_same_bits(alone, tuple(t[1:2] for t in expected))


def _torch_call(
    name: str, dtype: torch.dtype, reverse: bool, ragged: bool, noise: bool
) -> Callable[[int | None, bool], list[Tensor]]:
    """A call on plain torch; gives results, gradients and norms of deltas."""
    cell, (members, time, batch, channels, units) = CELLS[name], (2, 19, 3, 2, 5)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(dtype)

    rows = len(cell.gates) * units
    x = draw(members, time, batch, channels) - 0.5
    lengths = torch.randint(1, time + 1, (members, batch), generator=generator)
    weights = [draw(members, rows, n) - 0.5 for n in (channels, units)] + [draw(members, rows) - 0.5 for _ in "ih"]
    states = [draw(members, batch, units) for _ in cell.states]
    per_unit = [draw(members, units) - 0.5 for _ in cell.unit_weights]
    shapes = {"recurrent": (members, batch, units)}
    inside = StepNoise(
        *(
            draw(*shapes.get(field, (members, time, batch, units))) if noise and field in cell.noise else None
            for field in StepNoise._fields
        )
    )

    def call(segment: int | None, outputs: bool = True) -> list[Tensor]:
        deltas = DeltaNorms()
        leaves = [t.clone().requires_grad_() for t in (x, *weights, *states, *per_unit)]
        h0, c0 = (*leaves[5 : 5 + len(states)], None)[:2]
        y, *ends = TorchBackend().recurrent(
            cell,
            leaves[0],
            lengths if ragged else torch.full_like(lengths, time),
            *leaves[1:5],
            h0,
            c0,
            reverse,
            inside,
            leaves[5 + len(states) :],
            deltas,
            segment,
            outputs,
        )
        results = [y, *ends] if outputs else ends
        grads = [torch.linspace(-1, 1, r.numel(), dtype=dtype).view(r.shape) for r in results]
        gradients = torch.autograd.grad(results, leaves, grads)
        return [*results, *gradients, *(norms for norms in (deltas.h, deltas.c) if norms is not None)]

    return call


@pytest.mark.parametrize("name", CELLS)
def test_segments_in_plain_torch_change_no_value_of_results_gradients_and_deltas(
    name: str, threads: Callable[[int], None]
) -> None:
    threads(1)
    for place, (reverse, ragged, noise) in enumerate(_forms()):
        dtype, outputs = DTYPES[place % 2], place % 3 > 0
        call = _torch_call(name, dtype, reverse, ragged, noise)
        expected = call(None, outputs)
        for segment in (1, 8, 16, 10**30) if SOAK else (8, 10**30)[place % 3 > 1 :]:
            for index, (got, want) in enumerate(zip(call(segment, outputs), expected, strict=True)):
                # autograd adds zeros to the gradient of x, which make +0 of -0
                assert torch.equal(got, want), (reverse, ragged, noise, segment, index)


@pytest.mark.parametrize("kind", [pytest.param("lstm", marks=needs_native), "peephole_lstm"])
def test_first_and_second_derivatives_in_segments_are_those_of_finite_differences(kind: str) -> None:
    x, lengths, *others = make("lstm", 1, 4, 2, 1, 2).arguments
    per_unit = [torch.full((1, 2), 0.5, dtype=torch.float64)] * len(CELLS[kind].unit_weights)
    inputs = [t.clone().requires_grad_() for t in (x, *others, *per_unit) if t is not None]

    def op(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        return recurrent(kind, x, lengths, *others[:6], False, NO_NOISE, others[6:], None, 2)

    assert torch.autograd.gradcheck(op, inputs)
    assert torch.autograd.gradgradcheck(op, inputs, fast_mode=True)


def _kept_bytes(call: Callable[[], object]) -> int:
    """Of all tensors kept for the backward pass, each counted once."""
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = call()
    del held
    return sum(found.values())


@pytest.mark.parametrize("kind", [*(pytest.param(kind, marks=needs_native) for kind in KINDS), "peephole_lstm"])
def test_what_a_long_series_keeps_in_segments_is_less_than_a_tenth(kind: str) -> None:
    steps = 1000
    cell = CELLS[kind]
    x, lengths, *weights, _, _ = make(KINDS[len(cell.states) + 1], 1, steps, 2, 1, 64).to(torch.float32).arguments
    rows = len(cell.gates) * 64
    weights = [torch.zeros(1, rows, *w.shape[2:]).requires_grad_() for w in weights if w is not None]
    per_unit = [torch.zeros(1, 64)] * len(cell.unit_weights)

    def call(segment: int | None) -> tuple[Tensor, ...]:
        assert x is not None
        assert lengths is not None
        return recurrent(cell, x, lengths, *weights, unit_weights=per_unit, segment=segment, outputs=False)

    fixed = _kept_bytes(lambda: call(steps))  # the arguments, and where it all begins
    kept, whole = (_kept_bytes(lambda segment=segment: call(segment)) - fixed for segment in (SEGMENT, None))
    assert 0 < 10 * kept < whole
    assert call(SEGMENT)[0].shape == (1, 0, 2, 64)


@needs_native
@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, at its first dual tensor
def test_segments_under_a_transform_give_what_they_give_without(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "reference":
        monkeypatch.setenv("THROUGHTIME_ISA", "reference")
    x, lengths, *others = make("gru", 2, 9, 5, 3, 6, ragged=True, states=False).arguments
    w_ih = others[0]
    assert x is not None
    assert w_ih is not None

    def loss(w_ih: Tensor, segment: int | None) -> Tensor:
        y, h_n = recurrent("gru", x, lengths, w_ih, *others[1:], segment=segment)
        return y.sin().sum() + h_n.square().sum()

    leaf = w_ih.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf, None), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(w_ih, 4), expected)
    torch.testing.assert_close(torch.func.vmap(lambda w: loss(w, 4))(w_ih[None])[0], loss(w_ih, None))
    torch.testing.assert_close(torch.func.jvp(lambda w: loss(w, 4), (w_ih,), (w_ih,))[1], (expected * w_ih).sum())
    many = torch.autograd.grad(loss(leaf, 4), leaf, torch.tensor([1.0, 2.0], dtype=x.dtype), is_grads_batched=True)[0]
    torch.testing.assert_close(many, torch.stack([expected, 2 * expected]))
    value = loss(leaf, 4)
    mapped = torch.func.vmap(lambda g: torch.autograd.grad(value, leaf, g, retain_graph=True)[0])
    torch.testing.assert_close(mapped(torch.tensor([1.0, 2.0], dtype=x.dtype)), many)


@pytest.mark.parametrize("backend", [pytest.param("native", marks=needs_native), "reference"])
def test_a_second_backward_pass_gives_the_same_again(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "reference":
        monkeypatch.setenv("THROUGHTIME_ISA", "reference")
    x, *others = make("lstm", 1, 20, 3, 2, 5).to(torch.float32).arguments
    assert x is not None
    x.requires_grad_()
    y, *ends = recurrent("lstm", x, *others, segment=8)
    loss = y.sum() + ends[1].sum()
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@needs_native
def test_what_was_changed_before_its_segment_runs_again_is_refused() -> None:
    x, lengths, w_ih, *others = make("gru", 1, 20, 3, 2, 5, states=False).arguments
    assert w_ih is not None
    noise = torch.ones(1, 20, 3, 5, dtype=torch.float64)
    _, h_n = recurrent("gru", x, lengths, w_ih.requires_grad_(), *others, noise=StepNoise(zoneout_h=noise), segment=8)
    noise.zero_()
    with pytest.raises(RuntimeError, match="inplace operation"):
        h_n.sum().backward()


@pytest.mark.parametrize("segment", [0, -1, True])
@pytest.mark.parametrize("name", [pytest.param("gru", marks=needs_native), "peephole_lstm"])
def test_a_segment_that_is_no_number_of_steps_is_refused(name: str, segment: Any) -> None:
    call = _torch_call(name, torch.float64, False, False, False)
    with pytest.raises(ValueError, match=r"segment needs a whole number of steps, at least 1, .* got"):
        call(segment)


def test_a_cell_that_takes_gradients_of_weights_of_its_own_is_refused_in_segments() -> None:
    rate = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def step(from_x: Tensor, from_h: Tensor, *_: Any) -> tuple[Tensor, ...]:
        return (rate.to(from_x.dtype) * torch.tanh(from_x + from_h),)

    cell = CellSpec("hidden_weight", gates=("n",), step=step)
    x, lengths, *weights, _, _ = make("rnn_tanh", 1, 9, 3, 2, 4).arguments
    assert x is not None
    with pytest.raises(ValueError, match="unit_weights alone"):
        recurrent(cell, x.requires_grad_(), lengths, *weights, segment=4)
