"""Noise inside the recurrence is what the papers say: the equations, written out and run with the layer's own masks."""

import pytest
import torch
from pairs import EXACT, assert_same, start_of, tensors
from torch import Tensor

from throughtime.nn import GRU, LSTM, RNN

LAYERS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
each_layer = pytest.mark.parametrize("cls", LAYERS.values(), ids=LAYERS)
RATES = {
    "variational": {"variational_dropout": 0.4},
    "recurrent": {"recurrent_dropout": 0.4},
    "candidate": {"candidate_dropout": 0.4},
    "zoneout": {"zoneout": 0.4},
    "cell zoneout": {"cell_zoneout": 0.3},
    "all": {
        "variational_dropout": 0.2,
        "recurrent_dropout": 0.3,
        "candidate_dropout": 0.4,
        "zoneout": 0.1,
        "cell_zoneout": 0.3,
    },
}


def fitting(cls: type, rates: dict[str, float]) -> dict[str, float]:
    """The rates that a cell has a place for."""
    absent = {RNN: ("candidate_dropout", "cell_zoneout"), GRU: ("cell_zoneout",), LSTM: ()}[cls]
    return {name: rate for name, rate in rates.items() if name not in absent}


class Masks:
    """Draws as a layer does, and keeps what was drawn."""

    def __init__(self) -> None:
        self.drawn: list[Tensor] = []

    def __call__(self, like: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
        assert shape[0] == 1
        self.drawn.append((torch.rand(shape) >= rate).to(like.dtype) / (1 - rate))
        return self.drawn[-1]


def written_out(layer, x: Tensor, rates: dict[str, float], masks: list[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
    """One layer in one direction on one batch, from the papers' equations; masks in the order they are drawn."""
    masks = [mask[0] for mask in masks]
    time, batch, _ = x.shape
    h, c = (torch.zeros(batch, layer.hidden_size, dtype=x.dtype) for _ in range(2))
    if "variational_dropout" in rates:
        x = x * masks.pop(0)  # one mask for all steps
    recurrent = masks.pop(0) if "recurrent_dropout" in rates else torch.ones_like(h)
    candidate = masks.pop(0) if "candidate_dropout" in rates else torch.ones(time, 1, 1, dtype=x.dtype)
    keep_h = masks.pop(0) == 0 if "zoneout" in rates else torch.zeros(time, 1, 1, dtype=torch.bool)
    keep_c = masks.pop(0) == 0 if "cell_zoneout" in rates else torch.zeros(time, 1, 1, dtype=torch.bool)
    assert not masks
    outputs = []
    for t in range(time):
        gates_x = x[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0
        gates_h = (h * recurrent) @ layer.weight_hh_l0.T + layer.bias_hh_l0
        if isinstance(layer, LSTM):
            i, f, g, o = (gates_x + gates_h).chunk(4, -1)
            new_c = f.sigmoid() * c + i.sigmoid() * candidate[t] * g.tanh()
            new_h = o.sigmoid() * new_c.tanh()  # Krueger et al., eq. 3: of the c that no zoneout touched
            c = torch.where(keep_c[t], c, new_c)
        elif isinstance(layer, GRU):
            (r, z, n), (hr, hz, hn) = gates_x.chunk(3, -1), gates_h.chunk(3, -1)
            z = (z + hz).sigmoid()
            new_h = (1 - z) * candidate[t] * (n + (r + hr).sigmoid() * hn).tanh() + z * h
        else:
            new_h = (gates_x + gates_h).tanh()
        h = torch.where(keep_h[t], h, new_h)
        outputs.append(h)
    return outputs, h, c


@each_layer
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_each_noise_acts_where_its_paper_says(cls, rates):
    torch.manual_seed(0)
    rates = fitting(cls, rates)
    layer = cls(3, 5, dtype=torch.float64, **rates)
    layer.draw = masks = Masks()
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    y, end = layer(x)
    outputs, h, c = written_out(layer, x, rates, masks.drawn)
    torch.testing.assert_close(y, torch.stack(outputs), **EXACT)
    assert_same(end, (h[None], c[None]) if cls is LSTM else h[None], **EXACT)
    ours = torch.autograd.grad(y.sin().sum(), list(layer.parameters()))
    theirs = torch.autograd.grad(torch.stack(outputs).sin().sum(), list(layer.parameters()))
    assert_same(ours, theirs, **EXACT)


@each_layer
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_in_evaluation_dropout_is_silent_and_zoneout_its_expectation(cls, rates):
    torch.manual_seed(0)
    rates = fitting(cls, rates)
    layer = cls(3, 5, dtype=torch.float64, **rates).eval()
    plain = cls(3, 5, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    assert_same(layer(x), layer(x), rtol=0, atol=0)
    # the oracle: a plain layer one step at a time, its states blended with those before
    state = [torch.zeros(1, 4, 5, dtype=torch.float64) for _ in range(1 + (cls is LSTM))]
    shares = [rates.get("zoneout", 0.0), rates.get("cell_zoneout", 0.0)]
    for t in range(7):
        _, new = plain(x[t : t + 1], tuple(state) if cls is LSTM else state[0])
        state = [p * old + (1 - p) * fresh for p, old, fresh in zip(shares, state, tensors(new), strict=False)]
    assert_same(layer(x)[1], state, **EXACT)


@each_layer
@pytest.mark.parametrize("bidirectional", [False, True])
def test_without_noise_every_path_is_the_op(cls, bidirectional):
    torch.manual_seed(0)
    layer = cls(3, 5, 3, bidirectional=bidirectional, dtype=torch.float64, zoneout=1e-300).eval()
    plain = cls(3, 5, 3, bidirectional=bidirectional, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x, lengths = torch.randn(7, 4, 3, dtype=torch.float64), torch.tensor([7, 2, 1, 5])
    hx = start_of(layer, (4,), dtype=torch.float64)
    assert_same(layer(x, hx, lengths), plain(x, hx, lengths), **EXACT)


def test_masks_are_drawn_anew_each_call_for_each_layer_and_direction_and_one_mask_holds_through_time():
    layer = LSTM(3, 5, 2, dropout=0.5, bidirectional=True, **RATES["all"])
    layer.draw = masks = Masks()
    layer(torch.randn(7, 4, 3))
    shapes = [tuple(mask.shape) for mask in masks.drawn]
    inside = [(1, 4, 5), (1, 7, 4, 5), (1, 7, 4, 5), (1, 7, 4, 5)]  # recurrent, candidate, h, c
    # torch's dropout between the layers; the inputs of the first, of the second; four runs
    assert shapes == [(1, 7, 4, 10), (1, 4, 3), (1, 1, 4, 10), *4 * inside]
    first = [mask.clone() for mask in masks.drawn]
    masks.drawn.clear()
    layer(torch.randn(7, 4, 3))
    assert not any(torch.equal(one, other) for one, other in zip(first, masks.drawn, strict=True) if one.numel() > 20)


def test_a_zoneout_of_one_keeps_the_initial_state_and_of_all_dropped_only_biases_are_left():
    x = torch.randn(7, 4, 3)
    h0, c0 = torch.randn(1, 4, 5), torch.randn(1, 4, 5)
    y, (h_n, c_n) = LSTM(3, 5, zoneout=1.0, cell_zoneout=1.0)(x, (h0, c0))
    assert torch.equal(y, h0.expand(7, -1, -1))
    assert torch.equal(h_n, h0)
    assert torch.equal(c_n, c0)
    deaf = GRU(3, 5, variational_dropout=1.0)
    assert torch.equal(deaf(x)[0], deaf(torch.zeros_like(x))[0])


def test_noise_stands_in_the_representation():
    assert repr(GRU(3, 5, zoneout=0.1, recurrent_dropout=0.2)) == "GRU(3, 5, recurrent_dropout=0.2, zoneout=0.1)"
