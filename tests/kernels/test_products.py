"""Products and sums whose bits for one member do not depend on how many members there are."""

import pytest
import torch

from throughtime.kernels import CHUNK, LANE, linear, linear_over_time, one_thread, ordered_sum
from throughtime.kernels.products import pad_to_lane

SIZES = [(1, 1, 1), (3, 5, 2), (8, 8, 8), (7, 9, 11), (33, 65, 13), (64, 128, 3), (32, 17, 96)]
DTYPES = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def operands(sizes, members, dtype):
    rows, inputs, outputs = sizes
    return (
        torch.randn(members, rows, inputs, dtype=dtype),
        torch.randn(members, outputs, inputs, dtype=dtype),
        torch.randn(members, outputs, dtype=dtype),
    )


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_linear_is_torchs_linear_for_each_member(sizes):
    x, weight, bias = operands(sizes, 3, torch.float64)
    for m, y in enumerate(linear(x, weight, bias)):
        # float64 keeps 16 digits; sums of at most 128 terms of order 1
        torch.testing.assert_close(y, torch.nn.functional.linear(x[m], weight[m], bias[m]), rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_product_has_the_same_bits_alone_or_in_company_forward_and_backward(sizes, dtype):
    def bits(*tensors):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        with one_thread():
            y = linear(*leaves)
            return [y, *torch.autograd.grad(y, leaves, y.detach())]

    whole = operands(sizes, 10, dtype)
    together = bits(*whole)
    for members in (1, 2):
        for begin in (0, 3, 8):
            own = slice(begin, begin + members)
            for one, other in zip(bits(*(tensor[own] for tensor in whole)), together, strict=True):
                assert torch.equal(one, other[own])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_row_of_a_product_has_the_same_bits_among_more_rows(sizes, dtype):
    x, weight, bias = operands(sizes, 2, dtype)
    more = torch.cat([x, torch.randn(2, 57, sizes[1], dtype=dtype)], 1)
    with one_thread():
        assert torch.equal(linear(x, weight, bias), linear(more, weight, bias)[:, : sizes[0]])


@pytest.mark.parametrize("more", [0, 1, CHUNK - 1, 3 * CHUNK + 2])
@pytest.mark.parametrize("time", [1, CHUNK, CHUNK + 3])
def test_a_product_over_time_is_linear_at_each_step_and_appended_time_changes_no_bit(time, more):
    batch, inputs, outputs = 37, 29, 3
    x = torch.randn(2, time + more, batch, inputs)
    weight, bias = torch.randn(2, outputs, inputs), torch.randn(2, outputs)

    def bits(x):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        with one_thread():
            y = linear_over_time(*leaves, CHUNK)
            # no loss beyond the series' own end
            direction = torch.cat([y.detach()[:, :time], torch.zeros_like(y[:, time:])], 1)
            of_x, *grads = torch.autograd.grad(y, leaves, direction)
        return [y[:, :time], of_x[:, :time], *grads]

    for one, other in zip(bits(x[:, :time]), bits(x), strict=True):
        assert torch.equal(one, other)
    exact = torch.einsum("mtbi,moi->mtbo", x.double(), weight.double()) + bias.double()[:, None, None]
    # float32's epsilon is 1.2e-7; sums of 29 terms of order 1
    torch.testing.assert_close(linear_over_time(x, weight, bias, CHUNK).double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 2, 7, 33, 1000])
@pytest.mark.parametrize("zeros", [1, 5, 64, 1001])
def test_an_ordered_sum_keeps_its_bits_when_zeros_are_appended(n, zeros, dtype):
    x = torch.randn(3, n, 2, dtype=dtype)
    longer = torch.cat([x, torch.zeros(3, zeros, 2, dtype=dtype)], 1)
    assert torch.equal(ordered_sum(x, 1), ordered_sum(longer, 1))
    for m in range(3):
        assert torch.equal(ordered_sum(x[m : m + 1], 1)[0], ordered_sum(x, 1)[m])
    # the float64 sum is the oracle; a running sum of 1000 terms of order 1
    bound = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(ordered_sum(x, 1).double(), x.double().sum(1), rtol=bound, atol=bound)


def test_padding_to_the_lane_appends_zeros_only():
    x = torch.randn(2, 3, LANE, 5)
    padded = pad_to_lane(x, -1, -3)
    assert padded.shape == (2, LANE, LANE, LANE)
    assert torch.equal(padded[:, :3, :, :5], x)
    assert padded.count_nonzero() == x.count_nonzero()
    assert pad_to_lane(x, -2) is x
