"""The short way of one layer outside training gives what the long way gives, to the bit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from throughtime import nn
from throughtime.kernels import native, native_available
from throughtime.nn.noise import NoiseRates

pytestmark = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")

CELLS = ["RNN", "GRU", "LSTM"]


def flat(results: Any) -> list[Tensor]:
    y, end = results
    return [y, *(end if isinstance(end, tuple) else (end,))]


def both(layer: torch.nn.Module, *call: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Tensor], list[Tensor]]:
    """Results of the short way, which must have been taken once, and of the long one."""
    taken = []
    short = native.forward_alone
    monkeypatch.setattr("throughtime.nn.layers.forward_alone", lambda *a: taken.append(1) or short(*a))
    with torch.no_grad():
        found = flat(layer(*call))
    assert taken == [1]
    wanted = [result.detach() for result in flat(layer(*call))]
    assert taken == [1]
    return found, wanted


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("time", "batch"), [(1, 1), (1, 64), (7, 19)])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("from_state", [True, False])
def test_without_gradients_one_layer_gives_the_same_bits(
    cell, dtype, bias, time, batch, batch_first, from_state, monkeypatch
):
    torch.manual_seed(0)
    layer = getattr(nn, cell)(5, 17, bias=bias, batch_first=batch_first, dtype=dtype)
    x = torch.randn((batch, time, 5) if batch_first else (time, batch, 5), dtype=dtype)
    start = [torch.randn(1, batch, 17, dtype=dtype) for _ in range(2 if cell == "LSTM" else 1)]
    hx = (tuple(start) if cell == "LSTM" else start[0],) if from_state else ()
    for ours, wanted in zip(*both(layer, x, *hx, monkeypatch=monkeypatch), strict=True):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_inputs_and_states_with_gaps_are_read_by_their_strides(cell, monkeypatch):
    torch.manual_seed(0)
    layer = getattr(nn, cell)(6, 10)
    layer.weight_hh_l0 = torch.nn.Parameter(torch.randn(10, layer.weight_hh_l0.shape[0]).T)
    layer.bias_ih_l0 = torch.nn.Parameter(torch.randn(2 * len(layer.bias_ih_l0))[::2])
    start = torch.randn(1, 10, 4).transpose(1, 2)
    hx = (start, start) if cell == "LSTM" else start
    found, wanted = both(layer, torch.randn(6, 4, 3).transpose(0, 2), hx, monkeypatch=monkeypatch)
    for ours, other in zip(found, wanted, strict=True):
        assert torch.equal(ours, other)


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"zoneout": 0.5}], ids=lambda options: next(iter(options))
)
def test_what_the_short_way_cannot_do_takes_the_long_one(options, monkeypatch):
    layer = nn.GRU(3, 4, **options).eval()
    monkeypatch.setattr("throughtime.nn.layers.forward_alone", None)
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        y, _ = layer(x)
        ragged, _ = nn.GRU(3, 4)(x, lengths=torch.tensor([5, 2]))
        stacked = torch.vmap(nn.GRU(3, 4), in_dims=1)(x)
    assert y.shape[:2] == ragged.shape[:2] == (5, 2)
    assert stacked[0].shape == (2, 5, 4)


@pytest.mark.parametrize("rate", NoiseRates.__annotations__)
def test_a_layer_with_noise_of_any_kind_takes_the_long_way(rate, monkeypatch):
    layer = nn.LSTM(3, 4, **{rate: 0.5})
    monkeypatch.setattr("throughtime.nn.layers.forward_alone", None)
    with torch.no_grad():
        y, _ = layer(torch.randn(5, 2, 3))
    assert y.shape == (5, 2, 4)
