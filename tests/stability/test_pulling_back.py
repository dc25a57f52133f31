"""A direction pulled back through the lockstep network, against a loop of cells by autograd and closed forms."""

import math

import pytest
import torch
from cell_loop import run_loop
from torch import Tensor

from throughtime.kernels import CELLS, CellSpec
from throughtime.nn import Architecture, Net, initial_weights
from throughtime.stability import pulled_back_norms
from throughtime.stability.pulling_back import unit_directions

LENGTHS = torch.tensor([[9, 1, 5], [9, 9, 2]])


def members_of(net: Architecture, dtype: torch.dtype, members: int = 2) -> dict[str, Tensor]:
    started = [initial_weights(net, "torch", seed, dtype) for seed in range(members)]
    return {name: torch.stack([weights[name] for weights in started]) for name in started[0]}


def net_of(cell: str | CellSpec, layers: int = 3, bidirectional: bool = True) -> Architecture:
    if isinstance(cell, str) and cell.startswith("rnn"):
        return Architecture("rnn", 3, 5, layers, bidirectional, "last", 2, cell.removeprefix("rnn_"))  # type: ignore[arg-type]
    return Architecture(cell, 3, 5, layers, bidirectional, "last", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_norms_are_those_of_a_loop_of_cells(kind: str, dtype: torch.dtype, rtol: float) -> None:
    net = net_of(kind)
    weights = members_of(net, dtype)
    x = torch.randn(2, 9, 3, 3, dtype=dtype, generator=torch.Generator().manual_seed(1))
    found = pulled_back_norms(net, weights, x, LENGTHS, seed=4)
    assert [(part.layer, part.reverse) for part in found] == [(n, back) for n in range(3) for back in (False, True)]
    directions = unit_directions(3, 2, 5, 4)
    for member, series in ((0, 0), (0, 1), (1, 1), (1, 2)):
        steps = int(LENGTHS[member, series])
        # the oracle always in float64: of the float32 weights and inputs
        own = {
            name.removeprefix("recurrent."): weight[member].double()
            for name, weight in weights.items()
            if name.startswith("recurrent.")
        }
        for end in (0, 1):
            loop = run_loop(net.spec, own, x[member, :steps, series].double(), 3, True)
            loop.ends[4 + end][0].backward(directions[end, series][None, None])
            for place in range(end, 6, 2):
                got = found[place].total[member, :, series]
                torch.testing.assert_close(got[:steps], loop.totals()[place], rtol=rtol, atol=1e-30)
                assert not got[steps:].any()


def test_a_direction_follows_from_the_seed_and_the_series_alone() -> None:
    net = net_of("gru")
    weights = members_of(net, torch.float32)
    x = torch.randn(2, 9, 3, 3)
    whole = pulled_back_norms(net, weights, x, LENGTHS, seed=0)
    alone = pulled_back_norms(net, {name: w[1:] for name, w in weights.items()}, x[1:], LENGTHS[1:], seed=0)
    fewer = pulled_back_norms(net, weights, x[:, :, :2], LENGTHS[:, :2], seed=0)
    other = pulled_back_norms(net, weights, x, LENGTHS, seed=1)
    for all_of_them, one, two, third in zip(whole, alone, fewer, other, strict=True):
        assert torch.equal(all_of_them.total[1:], one.total)
        torch.testing.assert_close(all_of_them.total[:, :, :2], two.total, rtol=1e-5, atol=0)
        assert not torch.equal(all_of_them.total, third.total)


def test_a_linear_network_shrinks_by_its_spectral_radius_beyond_the_range_of_float32() -> None:
    net = Architecture(CELLS["linear"], 1, 8, 1, False, "last", 1)
    weights = members_of(net, torch.float32, 1)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
    weights["recurrent.weight_hh_l0"] = (0.5 * turn).float()[None]
    # .5 ** 170 is 7e-52; an orthogonal matrix turns a direction and keeps its norm
    (found,) = pulled_back_norms(net, weights, torch.zeros(1, 171, 1, 1), torch.tensor([[171]]), seed=0)
    logs = found.total[0, :, 0].flip(0).log2()
    torch.testing.assert_close(logs, -torch.arange(171.0, dtype=torch.float64), rtol=0, atol=1e-4)


def test_torchs_default_lstm_has_lost_the_gradient_after_a_hundred_steps() -> None:
    """The table of an LSTM of 128 units, within a factor of 3: 2.5e-3 at lag 10, 4e-11 at 50, 9e-21 at 100."""
    net = Architecture("lstm", 2, 128, 1, False, "last", 1)
    weights = members_of(net, torch.float32, 5)
    x = torch.randn(1, 101, 32, 2, generator=torch.Generator().manual_seed(0)).expand(5, -1, -1, -1)
    (found,) = pulled_back_norms(net, weights, x, torch.full((5, 32), 101), seed=0)
    logs = found.total.log()
    curve = (logs - logs[:, -1:]).mean((0, 2)).flip(0)
    for lag, golden in ((10, 2.5e-3), (50, 4e-11), (100, 9e-21)):
        assert abs(float(curve[lag]) - math.log(golden)) < math.log(3)


def test_weights_and_generators_are_left_as_they_were() -> None:
    net = net_of("lstm")
    weights = {name: w.requires_grad_() for name, w in members_of(net, torch.float32).items()}
    state = torch.get_rng_state()
    with torch.no_grad():
        pulled_back_norms(net, weights, torch.randn(2, 9, 3, 3, generator=torch.Generator()), LENGTHS, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(w.grad is None for w in weights.values())


@pytest.mark.usefixtures("types_unchecked")
def test_a_module_of_the_users_own_is_refused() -> None:
    with pytest.raises(TypeError, match="needs an Architecture, got a Net"):
        pulled_back_norms(Net(), {}, torch.zeros(1, 1, 1, 1), LENGTHS, seed=0)  # type: ignore[arg-type]


def test_what_overflows_by_the_seeds_scale_alone_is_pulled_back_without_it() -> None:
    """In float32 the scale takes 2^64 of the range: 3 ** 41 is in it, 2 ** 64 * 3 ** 41 is not."""
    net = Architecture(CELLS["linear"], 1, 8, 1, True, "last", 1)
    weights = members_of(net, torch.float32, 2)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    for name in ("recurrent.weight_hh_l0", "recurrent.weight_hh_l0_reverse"):
        weights[name] = torch.stack([3 * turn, 0.06 * turn]).float()
    lengths = torch.tensor([[60, 20], [60, 20]])
    both = pulled_back_norms(net, weights, torch.zeros(2, 60, 2, 1), lengths, seed=0)
    calm_weights = {name: weight[1:] for name, weight in weights.items()}
    calm = pulled_back_norms(net, calm_weights, torch.zeros(1, 60, 2, 1), lengths[1:], seed=0)
    for part, alone in zip(both, calm, strict=True):
        logs = part.total[0, :, 0].log()
        lags = torch.arange(60, dtype=torch.float64)
        expected = math.log(3) * (lags if part.reverse else lags.flip(0))
        torch.testing.assert_close(logs, expected, rtol=0, atol=1e-3)  # 60 roundings of float32
        assert torch.equal(part.total[1:], alone.total)  # which has the range below: .06 ** 35 is 1.7e-43
        assert part.total[1, 35 if part.reverse else 24, 0] > 0
