"""The recurrent op in plain torch is torch's layer, member by member."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.kernels import CELLS, CHUNK, one_thread
from throughtime.kernels.reference import recurrent

KINDS = [cell.native for cell in CELLS.values() if cell.native]
#: time, batch, channels, units: one of everything, whole lanes, odd sizes, more steps than a chunk
SIZES = [(1, 1, 1, 1), (5, 3, 2, 4), (8, 8, 8, 8), (2 * CHUNK + 3, 9, 11, 13), (CHUNK + 1, 2, 1, 17)]
#: float64 keeps 16 digits; up to 19 steps of sums of at most 28 terms of order 1 lose three of them
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def torch_layer(kind: str, channels: int, units: int, dtype: torch.dtype = torch.float64) -> nn.RNNBase:
    """torch's own layer, in both directions, so that either can be looked at."""
    options = {"bidirectional": True, "dtype": dtype}
    if kind.startswith("rnn"):
        return nn.RNN(channels, units, nonlinearity=kind.removeprefix("rnn_"), **options)
    return {"gru": nn.GRU, "lstm": nn.LSTM}[kind](channels, units, **options)


def weights_of(layer: nn.RNNBase, reverse: bool) -> list[Tensor]:
    end = "_l0_reverse" if reverse else "_l0"
    return [getattr(layer, name + end) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def random_lengths(time: int, batch: int) -> Tensor:
    lengths = torch.randint(1, time + 1, (batch,))
    lengths[0] = time
    return lengths


def torch_run(layer: nn.RNNBase, x: Tensor, lengths: Tensor, starts: list[Tensor], reverse: bool) -> tuple[Tensor, ...]:
    """torch's outputs and final states of one direction, series packed so that padding cannot matter."""
    both = tuple(torch.stack([start, start]) for start in starts)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, end = layer(packed, both if len(both) == 2 else both[0])
    y = pad_packed_sequence(y, total_length=len(x))[0]
    units = layer.hidden_size
    half = slice(units, None) if reverse else slice(units)
    ends = end if isinstance(end, tuple) else (end,)
    return y[..., half], *(state[int(reverse)] for state in ends)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_each_member_is_torchs_layer_forward_and_backward(kind, sizes, reverse):
    time, batch, channels, units = sizes
    members = 3
    layers = [torch_layer(kind, channels, units) for _ in range(members)]
    x = torch.randn(members, time, batch, channels, dtype=torch.float64, requires_grad=True)
    n_states = 2 if kind == "lstm" else 1
    starts = [torch.randn(members, batch, units, dtype=torch.float64, requires_grad=True) for _ in range(n_states)]
    lengths = torch.stack([random_lengths(time, batch) for _ in range(members)])
    stacked = [torch.stack(same) for same in zip(*(weights_of(layer, reverse) for layer in layers), strict=True)]

    found = recurrent(kind, x, lengths, *stacked, *starts, reverse=reverse)
    expected = [
        torch.stack(same)
        for same in zip(
            *(
                torch_run(layer, x[m], lengths[m], [start[m] for start in starts], reverse)
                for m, layer in enumerate(layers)
            ),
            strict=True,
        )
    ]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)

    leaves = [x, *starts, *(weight for layer in layers for weight in weights_of(layer, reverse))]
    directions = [torch.randn_like(each) for each in expected]
    ours = torch.autograd.grad(found, leaves, directions)
    theirs = torch.autograd.grad(expected, leaves, directions)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_without_states_and_biases_it_starts_from_zero(kind):
    layer = torch_layer(kind, 3, 5)
    w_ih, w_hh, b_ih, b_hh = weights_of(layer, False)
    for bias in (b_ih, b_hh):
        nn.init.zeros_(bias)
    x, lengths = torch.randn(1, 6, 4, 3, dtype=torch.float64), torch.full((1, 4), 6)
    zero = torch.zeros(1, 4, 5, dtype=torch.float64)
    found = recurrent(kind, x, lengths, w_ih[None], w_hh[None])
    expected = torch_run(layer, x[0], lengths[0], [zero[0]] * (2 if kind == "lstm" else 1), False)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs, **EXACT)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_close_to_the_float64_reference(kind, reverse):
    layer = torch_layer(kind, 11, 13)
    x, lengths = torch.randn(1, 19, 9, 11, dtype=torch.float64), random_lengths(19, 9)[None]
    weights = [weight.detach()[None] for weight in weights_of(layer, reverse)]
    exact = recurrent(kind, x, lengths, *weights, reverse=reverse)
    single = recurrent(kind, x.float(), lengths, *(weight.float() for weight in weights), reverse=reverse)
    for ours, theirs in zip(single, exact, strict=True):
        # float32's epsilon is 1.2e-7; 19 steps of sums of 24 terms of order 1
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["rnn_tanh", "gru", "lstm"])  # relu has a corner, where no difference quotient holds
def test_gradients_and_their_gradients_agree_with_difference_quotients(kind, reverse):
    members, time, batch, channels, units = 2, 3, 2, 2, 2
    gates = len(CELLS[kind].gates)
    shapes = [
        (members, time, batch, channels),
        (members, gates * units, channels),
        (members, gates * units, units),
        (members, gates * units),
        (members, gates * units),
        *((2 if kind == "lstm" else 1) * [(members, batch, units)]),
    ]
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    lengths = torch.tensor([[3, 1], [2, 3]])

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return recurrent(kind, x, lengths, *rest, reverse=reverse)

    assert torch.autograd.gradcheck(run, leaves)
    assert torch.autograd.gradgradcheck(
        run, leaves, fast_mode=True
    )  # along random directions: all of them take minutes


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_zero_beyond_a_series_own_end_and_its_state_is_taken_there(kind, reverse):
    layer = torch_layer(kind, 2, 3)
    lengths = torch.tensor([[1, 4, 7]])
    weights = [weight.detach()[None] for weight in weights_of(layer, reverse)]
    y, h_n, *_ = recurrent(kind, torch.randn(1, 7, 3, 2, dtype=torch.float64), lengths, *weights, reverse=reverse)
    for series, length in enumerate(lengths[0].tolist()):
        assert (y[0, length:, series] == 0).all()
        assert y[0, :length, series].any(-1).all() or kind == "rnn_relu"
        assert torch.equal(h_n[0, series], y[0, 0 if reverse else length - 1, series])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [1e30, float("nan"), float("inf")])
def test_what_lies_beyond_a_series_end_is_not_read_nor_does_it_touch_a_gradient(kind, reverse, garbage):
    layer = torch_layer(kind, 2, 3)
    lengths = torch.tensor([[2, 5, 3]])
    x = torch.randn(1, 5, 3, 2, dtype=torch.float64)
    beyond = torch.arange(5)[:, None] >= lengths[0]
    results = []
    for fill in (0.0, garbage):
        filled = x.masked_fill(beyond[None, ..., None], fill).requires_grad_()
        weights = [weight.detach()[None].requires_grad_() for weight in weights_of(layer, reverse)]
        outputs = recurrent(kind, filled, lengths, *weights, reverse=reverse)
        grads = torch.autograd.grad(sum(output.square().sum() for output in outputs), [filled, *weights])
        assert (grads[0][0][beyond] == 0).all()
        results.append([*outputs, *grads])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_goes_through_time_as_in_torch_and_stays_in_its_series(kind, reverse):
    layer = torch_layer(kind, 2, 3)
    lengths = torch.tensor([[6, 4, 6]])
    x = torch.randn(1, 6, 3, 2, dtype=torch.float64)
    x[0, 2, 1, 0] = torch.nan
    weights = [weight.detach()[None] for weight in weights_of(layer, reverse)]
    found = recurrent(kind, x, lengths, *weights, reverse=reverse)
    zero = torch.zeros(3, 3, dtype=torch.float64)
    expected = torch_run(layer, x[0], lengths[0], [zero] * (2 if kind == "lstm" else 1), reverse)
    assert found[0].isnan().any()
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs, equal_nan=True, **EXACT)


def bits(
    kind: str, x: Tensor, lengths: Tensor, weights: list[Tensor], directions: tuple[Tensor, Tensor], reverse: bool
) -> list[Tensor]:
    """Outputs and gradients of every leaf, as the training loop computes them."""
    with one_thread():
        leaves = [tensor.detach().requires_grad_() for tensor in (x, *weights)]
        y, h_n, *_ = recurrent(kind, leaves[0], lengths, *leaves[1:], reverse=reverse)
        return [y, h_n, *torch.autograd.grad([y, h_n], leaves, directions)]


def law_case(kind: str, sizes: tuple[int, ...], members: int, dtype: torch.dtype):
    time, batch, channels, units = sizes
    rows = len(CELLS[kind].gates) * units
    x = torch.randn(members, time, batch, channels, dtype=dtype)
    lengths = torch.stack([random_lengths(time, batch) for _ in range(members)])
    shapes = [(rows, channels), (rows, units), (rows,), (rows,)]
    weights = [torch.randn(members, *shape, dtype=dtype) / units**0.5 for shape in shapes]
    inside = torch.arange(time)[:, None] < lengths[:, None]
    directions = (
        torch.randn(members, time, batch, units, dtype=dtype) * inside[..., None],
        torch.randn(members, batch, units, dtype=dtype),
    )
    return x, lengths, weights, directions


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_members_bits_do_not_depend_on_its_company(kind, sizes, reverse, dtype):
    members = 5
    x, lengths, weights, directions = law_case(kind, sizes, members, dtype)
    together = bits(kind, x, lengths, weights, directions, reverse)
    for m in range(members):
        own = slice(m, m + 1)
        alone = bits(
            kind, x[own], lengths[own], [w[own] for w in weights], (directions[0][own], directions[1][own]), reverse
        )
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one[0], other[m])


@pytest.mark.parametrize("more", [1, 5, CHUNK, 3 * CHUNK + 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_time_appended_by_longer_company_changes_no_bit(kind, reverse, more):
    sizes = time, batch, channels, units = 11, 5, 3, 7
    x, lengths, weights, (of_y, of_h) = law_case(kind, sizes, 1, torch.float32)
    short = bits(kind, x, lengths, weights, (of_y, of_h), reverse)
    longer = torch.cat([x, torch.randn(1, more, batch, channels)], 1)
    of_longer = torch.cat([of_y, torch.zeros(1, more, batch, units)], 1)
    y, h_n, of_x, *grads = bits(kind, longer, lengths, weights, (of_longer, of_h), reverse)
    for one, other in zip(short, [y[:, :time], h_n, of_x[:, :time], *grads], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_outputs_do_not_depend_on_the_rows_beside_it(kind):
    x, lengths, weights, directions = law_case(kind, (11, 40, 5, 7), 1, torch.float32)
    whole = bits(kind, x, lengths, weights, directions, False)
    for batch in (1, 3, 8, 9, 33):
        part = (directions[0][:, :, :batch], directions[1][:, :batch])
        y, h_n, of_x, *_ = bits(kind, x[:, :, :batch], lengths[:, :batch], weights, part, False)
        assert torch.equal(y, whole[0][:, :, :batch])
        assert torch.equal(h_n, whole[1][:, :batch])
        assert torch.equal(of_x, whole[2][:, :, :batch])
