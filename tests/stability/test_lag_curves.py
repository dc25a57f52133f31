"""What is left of a gradient at each lag: closed forms of linear networks, the member axis, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from throughtime.errors import DataError, ParameterError
from throughtime.nn import LSTM, Architecture, CellRNN, LinearRNN, SequenceNetwork
from throughtime.stability import lag_curve, pulled_back_norms

LENGTHS = torch.tensor([60, 31, 9, 2])
X = torch.randn(4, 60, 3, generator=torch.Generator().manual_seed(1))


def shrinking(rate: float, layers: int = 1, dtype: torch.dtype = torch.float32) -> CellRNN:
    """A linear network that shrinks every direction by the same rate."""
    torch.manual_seed(0)
    layer = CellRNN("linear", 3, 8, layers, batch_first=True, dtype=dtype)
    with torch.no_grad():
        for number in range(layers):
            turn, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
            getattr(layer, f"weight_hh_l{number}").copy_(rate * turn)
    return layer


def test_a_linear_networks_curve_is_a_power_of_its_rate() -> None:
    curve = lag_curve(shrinking(0.9), X, lengths=LENGTHS)
    (own,) = curve.layers
    lags = np.arange(60)
    assert own.mean == pytest.approx(0.9**lags, rel=1e-4)
    for quantile in (own.low, own.median, own.high):
        assert quantile == pytest.approx(0.9**lags, rel=1e-4)
    assert own.n_series.tolist() == [4] * 2 + [3] * 7 + [2] * 22 + [1] * 29
    assert curve.gradient_horizon == own.gradient_horizon == pytest.approx(math.log(0.01) / math.log(0.9), rel=1e-4)
    assert own.growth == pytest.approx(0.9, rel=1e-4)
    assert (curve.source, curve.longest, curve.n_series) == ("CellRNN", 60, 4)


def test_a_module_has_the_curve_of_its_member() -> None:
    net = Architecture("lstm", 3, 8, 2, True, "last", 2)
    model = SequenceNetwork(net)
    weights = {name: weight[None] for name, weight in model.named_parameters()}
    parts = pulled_back_norms(net, weights, X.transpose(0, 1)[None], LENGTHS[None], seed=5)
    curve = lag_curve(model, X, lengths=LENGTHS, seed=5)
    assert [(own.layer, own.reverse) for own in curve.layers] == [(part.layer, part.reverse) for part in parts]
    for own, part in zip(curve.layers, parts, strict=True):
        norms = part.total[0].flip(0) if own.reverse else part.total[0]
        longest = norms[:, 0].flip(0) / norms[-1, 0]  # of the one series that is so long
        assert own.mean[31:] == pytest.approx(longest[31:].numpy(), rel=1e-6)


def test_an_lstms_gradient_lives_in_c_too() -> None:
    torch.manual_seed(0)
    layer = LSTM(3, 16, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[16:32] += 5
    (own,) = lag_curve(layer, X).layers
    (h_alone,) = pulled_h(layer)
    assert own.mean[50] > 5 * h_alone


def pulled_h(layer: LSTM) -> tuple[float]:
    """What a curve of h alone would say at lag 50."""
    layer.recorded = []
    h_n = layer(X)[1][0]
    h_n.sum().backward()
    h = layer.recorded[0].deltas[0].h
    assert h is not None
    layer.recorded = None
    return (float((h[0, 9] / h[0, 59]).log().mean().div(2).exp()),)


def test_series_keep_their_curves_when_packed() -> None:
    layer = nn.GRU(3, 8, 2, bidirectional=True)
    order = [2, 0, 3, 1]
    packed = pack_sequence([X[n, : LENGTHS[n]] for n in order], enforce_sorted=False)
    one = lag_curve(layer, packed)
    other = lag_curve(layer, X[order].transpose(0, 1), lengths=LENGTHS[order])
    for own, its in zip(one.layers, other.layers, strict=True):
        assert own.median == pytest.approx(its.median, rel=1e-5)


def test_all_layers_below_the_source_are_seen_and_none_above() -> None:
    model = nn.Sequential()
    model.low, model.high = nn.GRU(3, 5, batch_first=True), nn.GRU(5, 4, 2, batch_first=True)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.high = model.low, model.high

        def forward(self, x: Tensor) -> Any:
            return self.high(self.low(x)[0])

    whole = lag_curve(Both(), X)
    assert [own.label for own in whole.layers] == ["low layer 0", "high layer 0", "high layer 1"]
    assert whole.source == "high"
    below = lag_curve(Both(), X, layer="low")
    assert [own.label for own in below.layers] == ["low layer 0"]
    assert below.gradient_horizon != whole.gradient_horizon
    with pytest.raises(ParameterError, match=r"a recurrent layer that is called \(low, high\), got 'middle'"):
        lag_curve(Both(), X, layer="middle")


def test_below_a_layer_of_one_direction_lags_of_both_are_counted_from_its_end() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low = LinearRNN(3, 8, batch_first=True, bidirectional=True)
            self.high = LinearRNN(16, 8, batch_first=True)
            with torch.no_grad():
                self.high.weight_hh_l0.copy_(0.9 * torch.eye(8))
                for weight in (self.low.weight_hh_l0, self.low.weight_hh_l0_reverse):
                    weight.zero_()  # all that is left of a gradient came through the layer above

        def forward(self, x: Tensor) -> Any:
            return self.high(self.low(x)[0])

    for own in lag_curve(Both(), X).layers:
        assert own.mean == pytest.approx(0.9 ** np.arange(60), rel=1e-4)


def test_float32_reaches_below_its_own_range() -> None:
    (single,), (double,) = (lag_curve(shrinking(0.06), X, dtype=dtype).layers for dtype in (None, torch.float64))
    assert single.mean[40] == pytest.approx(0.06**40, rel=1e-3)  # 1e-49
    assert single.mean[-1] == 0
    assert double.mean[-1] == pytest.approx(0.06**59, rel=1e-3)  # 1e-72


def test_what_overflows_is_infinite_from_there_on() -> None:
    layer = shrinking(20.0)
    with torch.no_grad():
        for bias in (layer.bias_ih_l0, layer.bias_hh_l0):
            bias.zero_()
    (own,) = lag_curve(layer, X * 0).layers  # whose states stay at zero, so that the gradients alone overflow
    assert own.mean[10] == pytest.approx(20.0**10, rel=1e-3)
    assert own.mean[-1] == own.growth == own.gradient_horizon == math.inf


def test_the_table_shows_the_horizon_and_its_interval() -> None:
    curve = lag_curve(nn.LSTM(3, 32, batch_first=True), X.repeat(8, 1, 1))
    lines = str(curve).splitlines()
    assert lines[0] == "pulled back from the last state of LSTM, 32 series"
    assert lines[1].split()[4:-5] == ["1", "2", "5", "10", "20", "50"]
    assert lines[2].startswith("LSTM layer 0")
    assert f"{curve.gradient_horizon:.3g} (" in lines[2]
    assert "(a horizon asks for 32)" in str(lag_curve(shrinking(0.99), X))
    assert str(lag_curve(shrinking(0.99), X)).endswith("beyond 59")


def test_series_of_one_step_have_no_curve() -> None:
    with pytest.raises(DataError, match="needs series of at least 2 steps, got series of 1"):
        lag_curve(nn.GRU(3, 4, batch_first=True), X[:, :1])


def test_gradients_that_are_no_numbers_are_refused_with_layer_step_and_series() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.high = nn.RNN(3, 4, batch_first=True), nn.RNN(4, 4, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            y = self.low(x)[0]
            spoiled = y.clone()
            spoiled[1, 20] += torch.sqrt(y[1, 20] * 0)
            return self.high(spoiled)

    with pytest.raises(DataError, match="got NaN at low layer 0, first at step 20 of series 1"):
        lag_curve(Broken(), X)


def test_growth_that_float32_holds_is_finite() -> None:
    curve = lag_curve(shrinking(3.0), X * 1e-3)
    (own,) = curve.layers
    assert own.mean == pytest.approx(3.0 ** np.arange(60), rel=1e-3)
    assert own.growth == pytest.approx(3.0, rel=1e-4)
    assert curve.gradient_horizon == math.inf
