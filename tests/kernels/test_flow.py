"""The squared norms of the deltas that the backward pass hands out."""

import oracle
import pytest
import torch
from cases import KINDS, Case, make, needs_native
from torch import Tensor

from throughtime.kernels import delta_norms

pytestmark = needs_native


def _one_series(kind: str, arguments: list[Tensor | None], dy: Tensor, ends: list[Tensor]) -> list[Tensor]:
    """dL/dh_t and dL/dc_t by autograd: a call of the oracle per step, each state per node of the graph."""
    x, _, w_ih, w_hh, b_ih, b_hh, h, c = arguments
    assert x is not None
    assert h is not None
    states: list[list[Tensor]] = []
    loss = torch.zeros((), dtype=x.dtype)
    for t in range(x.shape[1]):
        one = torch.ones(1, 1, dtype=torch.int64)
        _, *state = oracle.recurrent(kind, x[:, t : t + 1], one, w_ih, w_hh, b_ih, b_hh, h, c)
        for s in state:
            s.retain_grad()
        states.append(state)
        h, c = state[0], state[1] if kind == "lstm" else None
        loss = loss + (h * dy[:, t]).sum()
    loss = loss + sum((s * e).sum() for s, e in zip(states[-1], ends, strict=True))
    loss.backward()
    of_h = [s[0].grad for s in states]
    deltas = [of_h]
    if kind == "lstm":
        # Autograd sees what reaches c_t from c_{t+1}; through h_t = o tanh(c_t) come o (1 - tanh^2) of h's.
        deltas.append(
            [s[1].grad + d * s[0] / s[1].tanh() * (1 - s[1].tanh() ** 2) for s, d in zip(states, of_h, strict=True)]
        )
    return [torch.stack([d.detach().square().sum() for d in of_state]) for of_state in deltas]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_they_are_those_of_the_total_gradient_at_every_state(kind: str) -> None:
    case = make(kind, 2, 6, 19, 3, 10)
    x, lengths, *weights, h0, c0 = case.arguments
    assert x is not None
    assert lengths is not None
    assert h0 is not None
    dy = torch.randn(2, 6, 19, 10, dtype=torch.float64)
    ends = [torch.randn(2, 19, 10, dtype=torch.float64) for _ in range(2 if kind == "lstm" else 1)]
    grads = dict(zip(("dh_n", "dc_n"), ends, strict=False))
    norms = delta_norms(kind, *case.arguments, dy=dy, **grads)
    assert len(norms) == len(ends)
    for member, series in ((0, 0), (0, 18), (1, 7)):
        steps = int(lengths[member, series])
        arguments = [x[member : member + 1, :steps, series : series + 1].requires_grad_(), None]
        arguments += [None if w is None else w[member : member + 1] for w in weights]
        arguments += [None if s is None else s[member : member + 1, series : series + 1] for s in (h0, c0)]
        expected = _one_series(
            kind,
            arguments,
            dy[member : member + 1, :steps, series : series + 1],
            [e[member : member + 1, series : series + 1] for e in ends],
        )
        for got, want in zip(norms, expected, strict=True):
            torch.testing.assert_close(got[member, :steps, series], want)
            assert (got[member, steps:, series] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_in_float32_they_are_those_of_float64_where_the_squares_are_no_float32(kind: str) -> None:
    # The gradient of the last state alone, 1e-3, fades to some 1e-30 over a hundred and fifty steps.
    last, lag = 160, 150
    case = make(kind, 1, last + 1, 4, 3, 10, ragged=False)
    x, lengths, w_ih, w_hh, b_ih, *rest = case.arguments
    assert w_hh is not None
    if kind == "rnn_relu":  # of whose units none must be off for long
        w_hh, b_ih = 0.65 * torch.eye(10, dtype=w_hh.dtype)[None], torch.full_like(w_hh[:, 0], 10)
    else:
        w_hh = 1.1 * w_hh
    case = Case(kind, (x, lengths, w_ih, w_hh, b_ih, *rest), False).to(torch.float32)
    end = torch.full((1, 4, 10), 1e-3)
    norms = delta_norms(kind, *case.arguments, dh_n=end)
    x, _, *weights, h0, c0 = case.to(torch.float64).arguments
    assert x is not None
    series = [x[:, :, 1:2].requires_grad_(), None, *weights, *(None if s is None else s[:, 1:2] for s in (h0, c0))]
    ends = [end[:, 1:2].double(), torch.zeros(1, 1, 10, dtype=torch.float64)][: len(norms)]
    expected = _one_series(kind, series, torch.zeros(1, last + 1, 1, 10, dtype=torch.float64), ends)
    for got, want in zip(norms, expected, strict=True):
        assert 0 < float(want[last - lag]) < 1e-46  # float32 ends at 1.4e-45
        # 1e-4 found: float32's rounding over so many steps
        torch.testing.assert_close(got[0, last - lag :, 1], want[last - lag :], rtol=1e-3, atol=0)
