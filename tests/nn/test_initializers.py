"""How weights start, gate by gate."""

import math

import pytest
import torch

from throughtime.kernels import CELLS
from throughtime.nn import Architecture, initial_weights, initialize_, initialize_bias_

UNITS, FAN_IN = 120, 80
#: closed forms for a gate of UNITS x FAN_IN
BOUNDS = {
    "torch": 1 / math.sqrt(UNITS),
    "xavier_uniform": math.sqrt(6 / (FAN_IN + UNITS)),
    "he_uniform": math.sqrt(6 / FAN_IN),
}
DEVIATIONS = {
    **{name: bound / math.sqrt(3) for name, bound in BOUNDS.items()},
    "xavier_normal": math.sqrt(2 / (FAN_IN + UNITS)),
    "he_normal": math.sqrt(2 / FAN_IN),
}


def filled(init: str, gates: int, units: int = UNITS, fan_in: int = FAN_IN) -> list[torch.Tensor]:
    weight = torch.full((gates * units, fan_in), torch.nan, dtype=torch.float64)
    initialize_(weight, init, gates, units, torch.Generator().manual_seed(0))
    return list(weight.chunk(gates))


@pytest.mark.parametrize("gates", sorted({len(cell.gates) for cell in CELLS.values()}))
@pytest.mark.parametrize("init", DEVIATIONS)
def test_each_gate_has_the_published_spread(init, gates):
    for gate in filled(init, gates):
        # 9600 draws: the standard deviation of a sample's deviation is at most 1/sqrt(2n) = .7 % of it
        assert gate.std().item() == pytest.approx(DEVIATIONS[init], rel=0.03)
        assert abs(gate.mean().item()) < 5 * DEVIATIONS[init] / math.sqrt(gate.numel())
        if init in BOUNDS:
            # the largest of 9600 draws misses the bound by 1e-4 of it on average
            assert 0.998 * BOUNDS[init] < gate.abs().max().item() <= BOUNDS[init]


@pytest.mark.parametrize("gates", [1, 3, 4])
@pytest.mark.parametrize(("units", "fan_in"), [(8, 8), (8, 5), (5, 8), (1, 3), (3, 1)])
def test_each_gate_is_orthogonal(gates, units, fan_in):
    for gate in filled("orthogonal", gates, units, fan_in):
        product = gate @ gate.T if units <= fan_in else gate.T @ gate
        # float64, products of at most 8 terms
        torch.testing.assert_close(product, torch.eye(len(product), dtype=torch.float64), rtol=0, atol=1e-13)


def test_gates_are_drawn_anew():
    gates = filled("orthogonal", 4)
    assert not any(torch.equal(one, other) for one in gates for other in gates if one is not other)


@pytest.mark.parametrize("init", [*DEVIATIONS, "orthogonal"])
def test_biases_start_as_torchs_or_at_zero(init):
    bias = torch.full((4 * UNITS,), torch.nan, dtype=torch.float64)
    initialize_bias_(bias, init, UNITS, torch.Generator().manual_seed(0))
    if init == "torch":
        assert 0.98 * BOUNDS["torch"] < bias.abs().max().item() <= BOUNDS["torch"]
    else:
        assert (bias == 0).all()


NET = Architecture("lstm", 3, 16, 2, True, "last", 5)


@pytest.mark.parametrize("init", [*DEVIATIONS, "orthogonal"])
def test_a_member_starts_from_its_own_seed_alone(init):
    torch.manual_seed(0)
    one = initial_weights(NET, init, 7, torch.float32)
    before = torch.get_rng_state()
    torch.manual_seed(1)
    again, other = initial_weights(NET, init, 7, torch.float32), initial_weights(NET, init, 8, torch.float32)
    torch.manual_seed(0)
    assert torch.equal(before, torch.get_rng_state())  # the global generator is not drawn from
    for name, weight in one.items():
        assert torch.equal(weight, again[name])
        assert not weight.any() or not torch.equal(weight, other[name])


def test_float32_starts_where_float64_does():
    for init in (*DEVIATIONS, "orthogonal"):
        single, double = (initial_weights(NET, init, 7, dtype) for dtype in (torch.float32, torch.float64))
        for name, weight in double.items():
            assert torch.equal(weight.float(), single[name])


def test_fans_are_those_of_each_layers_own_inputs_and_the_readout_is_a_linear_layer():
    # lstm, 16 units, both directions: the second layer and the output layer take 32 columns
    weights = initial_weights(NET, "xavier_uniform", 0, torch.float64)
    for name, fan_in in (("weight_ih_l0", 3), ("weight_hh_l0", 16), ("weight_ih_l1", 32), ("weight_hh_l1_reverse", 16)):
        bound = math.sqrt(6 / (fan_in + 16))
        assert 0.9 * bound < weights["recurrent." + name].abs().max().item() <= bound
    assert weights["readout.weight"].abs().max().item() <= math.sqrt(6 / (32 + 5))
    default = initial_weights(NET, "torch", 0, torch.float64)
    for name, weight in default.items():
        bound = 1 / math.sqrt(32 if name.startswith("readout") else 16)
        assert 0.6 * bound < weight.abs().max().item() <= bound
