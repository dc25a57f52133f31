"""The parts of a gradient by lag: against a graph per loss, against the linear closed form, and their sum."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.errors import DataError, ParameterError
from throughtime.nn import GRU, LSTM, RNN, LinearRNN, PeepholeLSTM
from throughtime.stability import lag_decomposition, linear_rnn_gradients

CELLS = [RNN, GRU, LSTM, LinearRNN, PeepholeLSTM]
TIME, BATCH = 9, 4
LENGTHS = torch.tensor([9, 3, 7, 1])


class Model(nn.Module):
    """A projection, recurrent layers, and an output at each step."""

    def __init__(self, cls: type, layers: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(2, 3)
        self.recurrent = cls(3, 4, layers, batch_first=True)
        self.last = nn.Linear(4, 1)
        self.double()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y, end = self.recurrent(self.first(x), lengths=lengths)
        c = end[1].sum() if isinstance(end, tuple) else 0  # the loss may read any state
        return self.last(y), c


def inputs() -> Tensor:
    return torch.randn(BATCH, TIME, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def at_each_step(output: tuple[Tensor, Tensor]) -> Tensor:
    y, c = output
    inside = torch.arange(TIME) < LENGTHS[:, None]
    return (torch.where(inside, y[..., 0], 0) ** 2).sum() + c


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cls", CELLS)
def test_the_parts_of_all_lags_add_up_to_the_gradient_of_ragged_series(cls: type, layers: int) -> None:
    model = Model(cls, layers)
    found = lag_decomposition(model, inputs(), at_each_step, lengths=LENGTHS)
    weights = dict(model.recurrent.named_parameters())
    expected = torch.autograd.grad(at_each_step(model(inputs(), LENGTHS)), list(weights.values()))
    for name, grad in zip(weights, expected, strict=True):
        scale = float(grad.abs().max())
        np.testing.assert_allclose(found.terms[name].sum(0), grad, rtol=1e-12, atol=1e-12 * scale)
        np.testing.assert_allclose(found.full[name], grad, rtol=1e-12, atol=1e-12 * scale)
        assert found.terms[name].shape == (TIME, *grad.shape)
        np.testing.assert_allclose(found.norms[name], [np.linalg.norm(term) for term in found.terms[name]])


@pytest.mark.parametrize("cls", [nn.RNN, nn.GRU, nn.LSTM])
def test_the_parts_up_to_a_lag_are_the_gradient_of_a_loop_that_detaches(cls: type) -> None:
    torch.manual_seed(0)
    layer = cls(2, 3, num_layers=2).double()  # torch's own, converted in a copy
    x = inputs().transpose(0, 1)
    found = lag_decomposition(layer, x, lambda output: output[0].square().sum())
    for k in (1, 2, 5):
        layer.zero_grad()
        for t in range(TIME):
            state = None
            for s in range(t + 1):
                if state is not None and s == t - k + 1:
                    state = tuple(h.detach() for h in state) if isinstance(state, tuple) else state.detach()
                y, state = layer(x[s : s + 1], state)
            y.square().sum().backward()
        for name, weight in layer.named_parameters():
            scale = float(weight.grad.abs().max())
            parts = found.terms[name][:k].sum(0)
            np.testing.assert_allclose(parts, weight.grad, rtol=1e-11, atol=1e-12 * scale, err_msg=name)


def test_the_part_of_lag_0_is_the_one_step_gradient_of_the_closed_form() -> None:
    torch.manual_seed(0)
    layer, last = LinearRNN(2, 3, bias=False, batch_first=True).double(), nn.Linear(3, 1, bias=False).double()
    x, y = inputs(), torch.randn(BATCH, TIME, 1, dtype=torch.float64)
    found = lag_decomposition(layer, x, lambda output: (last(output[0]) - y).square().mean() / 2)
    arrays = [w.detach().numpy() for w in (layer.weight_ih_l0, layer.weight_hh_l0, last.weight)]
    for k in (1, 4, TIME):
        expected = linear_rnn_gradients(x.numpy(), y.numpy(), *arrays, k=k)
        np.testing.assert_allclose(found.terms["weight_hh_l0"][:k].sum(0), expected.w_hh, rtol=1e-12)
        np.testing.assert_allclose(found.terms["weight_ih_l0"][:k].sum(0), expected.w_xh, rtol=1e-12)


def test_an_initial_state_is_where_the_first_step_begins() -> None:
    torch.manual_seed(0)
    layer = GRU(2, 3).double()
    x, h0 = inputs().transpose(0, 1), torch.randn(1, BATCH, 3, dtype=torch.float64)

    def loss(output: tuple[Tensor, Tensor]) -> Tensor:
        return output[0].square().sum()

    found = lag_decomposition(layer, (x, h0), loss)
    expected = torch.autograd.grad(loss(layer(x, h0)), layer.weight_hh_l0)[0]
    np.testing.assert_allclose(found.terms["weight_hh_l0"].sum(0), expected, rtol=1e-12)


def test_the_model_stays_as_it_was_and_fewer_lags_are_the_first() -> None:
    model = Model(LSTM)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    whole = lag_decomposition(model, inputs(), at_each_step, lengths=LENGTHS)
    some = lag_decomposition(model, inputs(), at_each_step, lengths=LENGTHS, lags=3)
    assert np.array_equal(some.terms["weight_hh_l1"], whole.terms["weight_hh_l1"][:3])
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not model.recurrent._forward_hooks


class Twice(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        self.recurrent(self.first(x))
        return super().forward(x, lengths)


def not_a_number(output: tuple[Tensor, Tensor]) -> Tensor:
    return output[0].sum() * torch.nan


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (nn.Linear(2, 2).double(), torch.sum, r"model needs a recurrent layer .* got Linear without one"),
        (nn.ModuleList([GRU(2, 2), GRU(2, 2)]), torch.sum, "model needs one recurrent layer, of any depth, got 2"),
        ("gru", torch.sum, "model needs a torch.nn.Module, got a str"),
        (GRU(2, 3, bidirectional=True).double(), torch.sum, "needs bidirectional=False, got True"),
        (GRU(2, 3, zoneout=0.1).double(), torch.sum, "needs to run without noise, got zoneout=0.1"),
        (GRU(2, 3, num_layers=2, dropout=0.5).double(), torch.sum, "without noise, got dropout=0.5; call eval"),
        (GRU(2, 3).double(), lambda output: output[0], r"one number as a tensor, got a tensor of shape \(4, 9, 3\)"),
        (GRU(2, 3).double(), lambda _: 1.0, "one number as a tensor, got a float"),
        (GRU(2, 3).double(), lambda output: output[0].detach().sum(), "got a number without a gradient"),
        (GRU(2, 3).double(), lambda output: output[0].sum() * 0, "got a gradient of zero at its outputs"),
        (Twice(GRU), torch.sum, "model needs to call its recurrent layer once, got 2 calls"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_cannot_be_taken_apart_is_refused(model: object, loss: object, message: str) -> None:
    lengths = LENGTHS if isinstance(model, Twice) else None
    if isinstance(model, Twice):
        loss = at_each_step
    with pytest.raises(ParameterError, match=message):
        lag_decomposition(model, inputs(), loss, lengths=lengths)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="the gradient needs to be finite, got NaN or infinity"):
        lag_decomposition(Model(GRU), inputs(), not_a_number, lengths=LENGTHS)


class AsGiven(nn.Module):
    """A layer that is called with series in one of the forms that it takes, and asked for all states."""

    def __init__(self, form: str, batch_first: bool) -> None:
        super().__init__()
        self.form, self.rnn = form, LSTM(2, 3, num_layers=2, batch_first=batch_first, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers that depend on all states: x is (time, series, channel)."""
        if self.form == "packed":
            packed, ends = self.rnn(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
            return pad_packed_sequence(packed)[0].sin().sum() + ends[1].sin().sum()
        given = x.transpose(0, 1) if self.rnn.batch_first else x
        if self.form == "alone":
            y, ends = self.rnn(x[:, 0])
            return y.sin().sum() + ends[1].sin().sum()
        if self.form == "lengths":
            y, ends = self.rnn(given, lengths=LENGTHS)
            return y.sin().sum() + ends[1].sin().sum()
        y, _, (h, c) = self.rnn(given, return_states=True)
        return y.sum() + h.sin().sum() + c.cos().sum()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("form", ["packed", "alone", "lengths", "states"])
def test_the_parts_add_up_to_autograds_gradient_in_whatever_form_the_layer_is_called(
    form: str, batch_first: bool
) -> None:
    model, x = AsGiven(form, batch_first), inputs().transpose(0, 1)
    found = lag_decomposition(model, x, lambda output: output)
    grads = torch.autograd.grad(model(x), list(model.rnn.parameters()))
    for (name, _), grad in zip(model.rnn.named_parameters(), grads, strict=True):
        np.testing.assert_allclose(found.terms[name].sum(0), grad.numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.full[name], grad.numpy(), rtol=1e-12, atol=1e-14)
