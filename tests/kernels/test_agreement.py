"""The kernels against the float64 oracle: at every size around the vector and the tile, however the inputs lie."""

import random
from dataclasses import replace

import oracle
import pytest
import torch
from cases import (
    BACKWARD,
    DTYPES,
    FORWARD,
    KINDS,
    SOAK,
    Case,
    assert_agrees,
    error,
    make,
    needs_native,
    run,
    upstream,
)

from throughtime.kernels import NO_NOISE, native

pytestmark = needs_native

# Vectors hold 2 to 16 lanes; tiles 3, 4, 6 or 8 rows; blocks 16 or 32 series. A sweep passes twice each of them.
SWEEP = {
    "batch": list(range(1, 36)),
    "hidden": list(range(1, 36)),
    "channels": list(range(1, 36)),
    "time": list(range(1, 20)),
}
OTHERS = (
    {"batch": 3, "hidden": 5, "channels": 2, "time": 4},
    {"batch": 17, "hidden": 19, "channels": 9, "time": 6},
)


def sizes(axis: str, others: int) -> list[int]:
    """All of them in a soak, else one in five."""
    every = SWEEP[axis]
    if SOAK:
        return every
    return random.Random(f"{axis} {others}").sample(every, len(every) // 5)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("axis", SWEEP)
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_around_the_vector_and_the_tile_agrees(kind: str, axis: str, others: int) -> None:
    for size in sizes(axis, others):
        shape = {**OTHERS[others], axis: size}
        assert_agrees(make(kind, 1 + size % 2, **shape, reverse=size % 3 == 0, seed=size))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_acts_inside_the_steps(kind: str, reverse: bool) -> None:
    whole = make(kind, 3, 9, 19, 4, 11, reverse=reverse, noise=True)
    assert_agrees(whole)
    for name, mask in whole.noise._asdict().items():  # each one alone
        if mask is not None:
            assert_agrees(replace(whole, noise=NO_NOISE._replace(**{name: mask})))


@pytest.mark.parametrize("kind", KINDS)
def test_random_sizes_agree(kind: str) -> None:
    draw = random.Random(kind)
    for seed in range(500 if SOAK else 8):  # four kinds: 2,000
        case = make(
            kind,
            draw.randint(1, 4),
            draw.randint(1, 24),
            draw.randint(1, 70),
            draw.randint(1, 80),
            draw.randint(1, 90),
            reverse=draw.random() < 0.5,
            bias=draw.random() < 0.7,
            states=draw.random() < 0.5,
            ragged=draw.random() < 0.7,
            noise=draw.random() < 0.3,
            seed=seed,
        )
        assert_agrees(case)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_beyond_the_second_cache_take_larger_blocks_and_agree(kind: str) -> None:
    assert native.compiled().block_rows(kind, 30, 300, 8) == 32
    assert native.compiled().block_rows(kind, 8, 32, 4) == 16
    assert_agrees(make(kind, 1, 13, 40, 30, 300))


def _module(kind: str, channels: int, hidden: int, **options: bool) -> torch.nn.RNNBase:
    if kind in ("lstm", "gru"):
        return (torch.nn.LSTM if kind == "lstm" else torch.nn.GRU)(channels, hidden, **options)
    return torch.nn.RNN(channels, hidden, nonlinearity=kind.removeprefix("rnn_"), **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_results_and_gradients_are_those_of_torch_nn(kind: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    module = _module(kind, 5, 11, bidirectional=bidirectional).double()
    x = torch.randn(9, 7, 5, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([9, 3, 1, 7, 9, 2, 5])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    out, state = module(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
    h_n = state[0] if kind == "lstm" else state
    weight_y, weight_h = torch.randn_like(expected), torch.randn_like(h_n)
    loss = (expected * weight_y).sum() + (h_n * weight_h).sum()
    want = torch.autograd.grad(loss, [x, *module.parameters()])

    ys, hs = [], []
    for suffix in ["", "_reverse"] if bidirectional else [""]:
        weights = [
            getattr(module, f"{name}_l0{suffix}")[None] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        y, h, *_ = native.recurrent(kind, x[None], lengths[None], *weights, reverse=bool(suffix))
        ys.append(y[0])
        hs.append(h[0])
    y, h = torch.cat(ys, -1), torch.stack(hs)
    got = torch.autograd.grad((y * weight_y).sum() + (h * weight_h).sum(), [x, *module.parameters()])
    assert error(y.detach(), expected.detach()) <= FORWARD[torch.float64]
    assert error(h.detach(), h_n.detach()) <= FORWARD[torch.float64]
    for one, other in zip(got, want, strict=True):
        assert error(one, other) <= BACKWARD[torch.float64]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("isa")
def test_inputs_at_every_misalignment_agree(kind: str, dtype: torch.dtype) -> None:
    case = make(kind, 2, 5, 7, 9, 11)
    expected, _ = run(oracle.recurrent, case)
    for offset in range(1, 17 if SOAK else 4):

        def shifted(tensor: torch.Tensor, offset: int = offset) -> torch.Tensor:
            room = tensor.new_empty(tensor.numel() + offset)
            room[offset:] = tensor.flatten()
            return room[offset:].view(tensor.shape)

        moved = tuple(
            None if t is None else shifted(t.to(dtype)) if t.is_floating_point() else shifted(t) for t in case.arguments
        )
        results, _ = run(native.recurrent, Case(kind, moved, False))
        for got, want in zip(results, expected, strict=True):
            assert error(got, want) <= FORWARD[dtype]


def _strided(x: torch.Tensor) -> list[torch.Tensor]:
    wide = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    wide[..., ::2] = x
    return [
        x.transpose(1, 2).contiguous().transpose(1, 2),  # batch first in memory
        x.transpose(1, 3).contiguous().transpose(1, 3),  # time varies fastest
        wide[..., ::2],
        x.flip(1).contiguous().flip(1),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_strided_inputs_and_gradients_give_the_same_bits(kind: str) -> None:
    case = make(kind, 2, 5, 7, 9, 11).to(torch.float32)
    results, gradients = run(native.recurrent, case)
    x, *rest = case.arguments
    assert x is not None
    for strided in _strided(x):
        again, again_gradients = run(native.recurrent, Case(kind, (strided, *rest), False))
        assert all(map(torch.equal, again, results))
        assert all(map(torch.equal, again_gradients, gradients))
    grads = [torch.ones_like(r) for r in results]
    _, plain = run(native.recurrent, case, grads)
    _, expanded = run(native.recurrent, case, [r.new_ones(()).expand(r.shape) for r in results])
    assert all(map(torch.equal, plain, expanded))


@pytest.mark.parametrize("kind", KINDS)
def test_x_may_be_shared_by_all_members(kind: str) -> None:
    case = make(kind, 3, 5, 7, 9, 11)
    x, *rest = case.arguments
    assert x is not None
    shared = x[:1].expand(3, -1, -1, -1)
    assert shared.stride(0) == 0
    assert_agrees(Case(kind, (shared, *rest), False))


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beyond_a_series_end_is_not_read(kind: str) -> None:
    case = make(kind, 2, 8, 7, 3, 5).to(torch.float32)
    x, lengths, *rest = case.arguments
    assert x is not None
    assert lengths is not None
    beyond = torch.arange(8)[:, None] >= lengths[:, None]
    poisoned = torch.where(beyond[..., None], torch.nan, x)
    results, gradients = run(native.recurrent, case)
    again, again_gradients = run(native.recurrent, Case(kind, (poisoned, lengths, *rest), False))
    assert all(map(torch.equal, again, results))
    assert all(map(torch.equal, again_gradients, gradients))
    assert (results[0][beyond] == 0).all()
    assert (gradients[0][beyond] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_single_step_agrees(kind: str, reverse: bool) -> None:
    assert_agrees(make(kind, 2, 1, 19, 2, 5, reverse=reverse))


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_steps_agree_with_torch_nn(kind: str) -> None:
    torch.manual_seed(0)
    module = _module(kind, 2, 3).double()
    # A contracting layer: rounding does not grow with the number of steps.
    weights = [p.detach()[None] * 0.5 for p in module.parameters()]
    for p, w in zip(module.parameters(), weights, strict=True):
        p.data.copy_(w[0])
    x = torch.randn(10_000, 2, 2, dtype=torch.float64)
    out, _ = module(x)
    want = torch.autograd.grad(out.sum(), list(module.parameters()))
    lengths = torch.full((1, 2), 10_000)
    for dtype in DTYPES:
        leaves = [w.to(dtype).requires_grad_() for w in weights]
        y, *_ = native.recurrent(kind, x[None].to(dtype), lengths, *leaves)
        got = torch.autograd.grad(y.sum(), leaves)
        assert error(y.detach()[0], out.detach()) <= FORWARD[dtype]
        for one, other in zip(got, want, strict=True):
            assert error(one[0], other) <= BACKWARD[dtype]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_not_asked_for_change_no_other(kind: str) -> None:
    case = make(kind, 2, 5, 7, 9, 11).to(torch.float32)
    _, gradients = run(native.recurrent, case)
    x, lengths, *weights = case.arguments
    leaves = [None if w is None else w.detach().requires_grad_() for w in weights[:4]]
    results = native.recurrent(kind, x, lengths, *leaves, *weights[4:])
    some = torch.autograd.grad(results, leaves, upstream(results))
    assert all(map(torch.equal, some, gradients[1:5]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_last_state_alone_can_be_differentiated(kind: str) -> None:
    case = make(kind, 2, 5, 7, 9, 11)

    def gradients(function: object, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        leaves = [
            t.detach().requires_grad_() if t is not None and t.is_floating_point() else t
            for t in case.to(dtype).arguments
        ]
        h_n = function(kind, *leaves)[1]  # type: ignore[operator]
        return torch.autograd.grad(h_n.sum(), [t for t in leaves if t is not None and t.requires_grad])

    for got, want in zip(
        gradients(native.recurrent, torch.float64), gradients(oracle.recurrent, torch.float64), strict=True
    ):
        assert error(got, want) <= BACKWARD[torch.float64]


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_kept_is_differentiated_twice_alike(kind: str) -> None:
    case = make(kind, 1, 5, 7, 9, 11).to(torch.float32)
    leaves = [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments]
    inputs = [t for t in leaves if t is not None and t.requires_grad]
    loss = native.recurrent(kind, *leaves)[0].square().sum()
    first = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(loss, inputs, allow_unused=True)
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(first, second, strict=True))
