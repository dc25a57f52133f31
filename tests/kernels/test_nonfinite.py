"""NaN and infinities go through the kernels as they go through torch."""

import oracle
import pytest
import torch
from cases import DTYPES, KINDS, Case, make, needs_native, run

from throughtime.kernels import native

pytestmark = needs_native

# A result that is finite in both must agree; the tolerance is that of two roundings of one precision.
CLOSE = {torch.float32: 1e-4, torch.float64: 1e-10}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e38])
@pytest.mark.parametrize("where", ["x", "w_ih", "w_hh", "b_ih", "h0"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_they_propagate_as_in_torch(kind: str, dtype: torch.dtype, where: str, value: float) -> None:
    if kind == "rnn_relu" and value == 1e38:
        value = 1e10  # an unbounded cell: from 1e38 on, whether a sum overflows depends on its order
    case = make(kind, 1, 4, 5, 3, 7, ragged=False).to(dtype)
    place = {"x": 0, "w_ih": 2, "w_hh": 3, "b_ih": 4, "h0": 6}[where]
    arguments = list(case.arguments)
    planted = arguments[place]
    assert planted is not None
    arguments[place] = planted = planted.clone()
    planted[(0,) * planted.dim()] = value
    if where == "x":
        planted[0, 0, 0, 0] = 0.5
        planted[0, 1, 2, 1] = value  # in the middle of the run and of the tile
    case = Case(kind, tuple(arguments), False)
    results, gradients = run(native.recurrent, case)
    expected, expected_gradients = run(oracle.recurrent, case)
    for got, want in zip(results + gradients, expected + expected_gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=CLOSE[dtype], atol=CLOSE[dtype], equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_a_series_that_diverges_leaves_the_others_alone(kind: str) -> None:
    case = make(kind, 2, 6, 9, 3, 7).to(torch.float32)
    results, _ = run(native.recurrent, case)
    x, *rest = case.arguments
    assert x is not None
    poisoned = x.clone()
    poisoned[0, :, 4] = torch.nan
    after, _ = run(native.recurrent, Case(kind, (poisoned, *rest), False))
    y = results[0]
    assert after[0][0, 0, 4].isnan().all()
    kept = [s for s in range(9) if s != 4]
    assert torch.equal(after[0][0][:, kept], y[0][:, kept])
    assert torch.equal(after[0][1], y[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_diverges_leaves_the_others_alone(kind: str) -> None:
    case = make(kind, 3, 6, 9, 3, 7).to(torch.float32)
    _, gradients = run(native.recurrent, case)
    x, lengths, w_ih, *rest = case.arguments
    assert w_ih is not None
    poisoned = w_ih.clone()
    poisoned[1] = torch.inf
    _, after = run(native.recurrent, Case(kind, (x, lengths, poisoned, *rest), False))
    for got, want in zip(after, gradients, strict=True):
        assert torch.equal(got[[0, 2]], want[[0, 2]])
