"""How weights start, gate by gate: every scheme by its closed form."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from throughtime.kernels import CELLS
from throughtime.nn import (
    GRU,
    LSTM,
    SCHEMES,
    Architecture,
    CellRNN,
    Scheme,
    critical_weight_scale,
    initial_weights,
    initialize,
    recommended_init,
)

UNITS, FAN_IN = 120, 80
#: of a gate of UNITS x fan_in
BOUNDS = {
    "torch": lambda _: 1 / math.sqrt(UNITS),
    "xavier_uniform": lambda fan_in: math.sqrt(6 / (fan_in + UNITS)),
    "he_uniform": lambda fan_in: math.sqrt(6 / fan_in),
}
DEVIATIONS = {
    **{name: lambda fan_in, bound=bound: bound(fan_in) / math.sqrt(3) for name, bound in BOUNDS.items()},
    "xavier_normal": lambda fan_in: math.sqrt(2 / (fan_in + UNITS)),
    "he_normal": lambda fan_in: math.sqrt(2 / fan_in),
}
#: cells with as many gates
ONE, THREE, FOUR = "rnn_tanh", "gru", "lstm"


def started(init, cell="lstm", fan_in=FAN_IN, units=UNITS, seed=0, **options):
    layer = CellRNN(cell, fan_in, units, dtype=torch.float64)
    return initialize(layer, init, generator=torch.Generator().manual_seed(seed), **options)


def gates_of(layer, name):
    return dict(zip(layer.spec.gates, getattr(layer, name).detach().chunk(len(layer.spec.gates)), strict=True))


@pytest.mark.parametrize("cell", [ONE, THREE, FOUR])
@pytest.mark.parametrize("init", DEVIATIONS)
def test_each_gate_has_the_published_spread(init, cell):
    layer = started(init, cell)
    for name, fan_in in (("weight_ih_l0", FAN_IN), ("weight_hh_l0", UNITS)):
        for gate in gates_of(layer, name).values():
            # 9600 draws: the standard deviation of a sample's deviation is at most 1/sqrt(2n) = .7 % of it
            deviation = DEVIATIONS[init](fan_in)
            assert gate.std().item() == pytest.approx(deviation, rel=0.03)
            assert abs(gate.mean().item()) < 5 * deviation / math.sqrt(gate.numel())
            if init in BOUNDS:
                # the largest of 9600 draws misses the bound by 1e-4 of it on average
                assert 0.998 * BOUNDS[init](fan_in) < gate.abs().max().item() <= BOUNDS[init](fan_in)


@pytest.mark.parametrize("cell", [ONE, THREE, FOUR])
@pytest.mark.parametrize("fan_in", [8, 5, 1, 13])
@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_each_gate_is_orthogonal_times_its_gain(cell, fan_in, gain):
    layer = started(Scheme(gain=gain), cell, fan_in, 8)
    for name, own in (("weight_ih_l0", 1.0), ("weight_hh_l0", gain)):
        for gate in gates_of(layer, name).values():
            product = gate @ gate.T if gate.shape[0] <= gate.shape[1] else gate.T @ gate
            # float64, products of at most 13 terms
            expected = own**2 * torch.eye(len(product), dtype=torch.float64)
            torch.testing.assert_close(product, expected, rtol=0, atol=1e-13)


def test_gates_are_drawn_anew():
    gates = list(gates_of(started("orthogonal"), "weight_hh_l0").values())
    assert not any(torch.equal(one, other) for one in gates for other in gates if one is not other)


@pytest.mark.parametrize("cell", [ONE, THREE, FOUR])
def test_identity_is_les_network(cell):
    layer = started("identity", cell)
    for gate in gates_of(layer, "weight_hh_l0").values():
        assert torch.equal(gate, torch.eye(UNITS, dtype=torch.float64))
    assert layer.weight_ih_l0.std().item() == pytest.approx(0.001, rel=0.03)
    assert not layer.bias_ih_l0.any()
    assert not layer.bias_hh_l0.any()


@pytest.mark.parametrize("cell", [ONE, THREE, FOUR])
def test_keras_takes_fans_and_orthogonality_on_the_stacked_matrices_as_keras_does(cell):
    """https://keras.io/api/layers/recurrent_layers/lstm: glorot_uniform, orthogonal, zeros and unit_forget_bias."""
    layer = started("keras", cell)
    gates = len(layer.spec.gates)
    bound = math.sqrt(6 / (FAN_IN + gates * UNITS))  # a kernel of (input, gates * units)
    assert 0.998 * bound < layer.weight_ih_l0.abs().max().item() <= bound
    recurrent = layer.weight_hh_l0  # Keras's, of orthonormal rows, is its transpose
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(UNITS, dtype=torch.float64), rtol=0, atol=1e-13)
    for name, bias in gates_of(layer, "bias_ih_l0").items():
        assert (bias == (1 if name == "f" else 0)).all()
    assert not layer.bias_hh_l0.any()
    dense = initial_weights(Architecture(cell.split("_")[0], 3, 40, 1, False, "last", 8), "keras", 0, torch.float64)
    assert 0.9 * math.sqrt(6 / 48) < dense["readout.weight"].abs().max().item() <= math.sqrt(6 / 48)
    assert not dense["readout.bias"].any()


@pytest.mark.parametrize("cell", ["gru", "lstm", "peephole_lstm"])
@pytest.mark.parametrize("lag", [2, 3, 100])
def test_chrono_draws_the_memories_of_one_step_to_the_lag(cell, lag):
    layer = started("chrono", cell, units=400, lag=lag)
    biases = gates_of(layer, "bias_ih_l0")
    kept = biases.pop("z" if cell == "gru" else "f")
    memory = kept.exp()  # U(1, lag - 1)
    assert memory.min() >= 1
    assert memory.max() <= lag - 1 + 1e-12
    # 400 draws: the mean is within 5 of its standard deviations, the width over sqrt(12 * 400)
    assert memory.mean().item() == pytest.approx(lag / 2, abs=5 * (lag - 2) / math.sqrt(12 * 400) + 1e-12)
    if lag > 2:
        assert memory.max() - memory.min() > 0.95 * (lag - 2)
    if cell != "gru":
        assert torch.equal(biases.pop("i"), -kept)
    assert not torch.cat(list(biases.values())).any()
    assert not layer.bias_hh_l0.any()
    for gate in gates_of(layer, "weight_hh_l0").values():
        torch.testing.assert_close(gate @ gate.T, torch.eye(400, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", ["gru", "lstm", "peephole_lstm"])
@pytest.mark.parametrize("init", ["torch", "keras", "orthogonal"])
def test_a_forget_bias_is_the_sum_of_the_two_and_touches_nothing_else(cell, init):
    plain, biased = (started(replace(SCHEMES[init], forget_bias=bias), cell) for bias in (None, 2.5))
    gate = "z" if cell == "gru" else "f"
    for name, weight in plain.named_parameters():
        kept, found = gates_of(plain, name), gates_of(biased, name) if name.endswith("h_l0") else {}
        for own, value in found.items():
            if name.startswith("bias") and own == gate:
                assert (value == (2.5 if name == "bias_ih_l0" else 0)).all()
            else:
                assert torch.equal(value, kept[own])
        if not found:
            assert torch.equal(weight, getattr(biased, name))


@pytest.mark.parametrize(("bias", "memory"), [(0, 1.44), (1, 3.19), (2, 7.88), (3, 20.6), (5, 149)])
@pytest.mark.parametrize("layer", [LSTM, GRU])
def test_a_forget_bias_makes_a_memory_of_so_many_steps(layer, bias, memory):
    """What a state decays by when nothing comes in: e^-1 after ``memory`` steps."""
    own = initialize(layer(1, 1, dtype=torch.float64), Scheme("small_normal", "identity", forget_bias=bias))
    for weight in (own.weight_ih_l0, own.weight_hh_l0):
        weight.data.zero_()
    start = torch.ones(1, 1, 1, dtype=torch.float64)
    steps = 3
    _, end = own(torch.zeros(steps, 1, 1, dtype=torch.float64), (0 * start, start) if layer is LSTM else start)
    left = end[1] if layer is LSTM else end
    assert -steps / math.log(left.item()) == pytest.approx(memory, rel=0.003)  # three digits were given


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "linear"])
def test_critical_weights_have_the_scale_at_which_chi_is_one(cell):
    layer = started("critical", cell)
    assert layer.weight_ih_l0.std().item() == pytest.approx(DEVIATIONS["xavier_normal"](FAN_IN), rel=0.03)
    variance = layer.weight_ih_l0.square().sum(1).mean().item()
    activation = {"rnn_tanh": "tanh", "rnn_relu": "relu", "linear": "linear"}[cell]
    scale = layer.weight_hh_l0.std().item() * math.sqrt(UNITS)
    assert scale == pytest.approx(critical_weight_scale(variance, activation), rel=0.03)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("init", [*DEVIATIONS, "orthogonal"])
def test_biases_start_as_torchs_or_at_zero(init, cell):
    layer = started(init, cell)
    biases = [weight for name, weight in layer.named_parameters() if weight.dim() == 1]
    assert len(biases) == 2 + len(CELLS[cell].unit_weights)
    for bias in biases:
        bound = 1 / math.sqrt(UNITS)
        assert 0.9 * bound < bias.abs().max().item() <= bound if init == "torch" else not bias.any()


def test_what_is_recommended_is_chrono_where_a_lag_is_known_and_else_an_lstm_that_keeps():
    chrono = started(recommended_init(100))
    assert all(
        torch.equal(one, other)
        for one, other in zip(chrono.parameters(), started("chrono", lag=100).parameters(), strict=True)
    )
    lstm, gru = (started(recommended_init(), cell) for cell in ("lstm", "gru"))
    assert [bias.mean().item() for bias in gates_of(lstm, "bias_ih_l0").values()] == [0, 1, 0, 0]
    assert not gru.bias_ih_l0.any()
    for layer in (lstm, gru):
        for gate in gates_of(layer, "weight_hh_l0").values():
            torch.testing.assert_close(gate @ gate.T, torch.eye(UNITS, dtype=torch.float64), rtol=0, atol=1e-13)


#: norm of dL/d(h, c) at a lag of 50 steps from a random direction of h_T: LSTM, 128 units, two inputs
VANISHING = {
    "torch": (SCHEMES["torch"], 4e-11),
    "forget bias 1": (replace(SCHEMES["torch"], forget_bias=1.0), 1.5e-4),
    "forget bias 2": (replace(SCHEMES["torch"], forget_bias=2.0), 0.077),
    "orthogonal, forget bias 1": (Scheme(forget_bias=1.0), 0.035),
    "chrono": (Scheme(biases="chrono", lag=100), 0.21),
}


@pytest.mark.parametrize("row", VANISHING)
def test_torchs_default_vanishes_and_chrono_does_not(row):
    scheme, expected = VANISHING[row]
    lag, batch, logs = 50, 8, []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        lstm = initialize(nn.LSTM(2, 128, dtype=torch.float64), scheme, generator=generator)
        x = torch.randn(101, batch, 2, generator=generator, dtype=torch.float64)
        v = torch.randn(1, batch, 128, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            _, states = lstm(x[:-lag])
        for state in states:
            state.requires_grad_()
        end, _ = lstm(x[-lag:], states)[1]
        h, c = torch.autograd.grad((end * v / v.norm(dim=-1, keepdim=True)).sum(), states)
        logs.append((h.square().sum(-1) + c.square().sum(-1)).sqrt().log().mean())
    found = torch.stack(logs).mean().exp().item()
    assert expected / 3 < found < expected * 3


NET = Architecture("lstm", 3, 16, 2, True, "last", 5)
NETS = {init: NET if init != "critical" else replace(NET, cell="rnn") for init in SCHEMES}
INITS = SCHEMES | {"chrono": Scheme(biases="chrono", lag=20)}


@pytest.mark.parametrize("init", SCHEMES)
def test_a_member_starts_from_its_own_seed_alone(init):
    torch.manual_seed(0)
    net = NETS[init]
    one = initial_weights(net, INITS[init], 7, torch.float32)
    before = torch.get_rng_state()
    torch.manual_seed(1)
    again, other = (initial_weights(net, INITS[init], seed, torch.float32) for seed in (7, 8))
    torch.manual_seed(0)
    assert torch.equal(before, torch.get_rng_state())  # the global generator is not drawn from
    for name, weight in one.items():
        assert torch.equal(weight, again[name])
        constant = {"identity": "weight_hh", "keras": "bias_ih"}.get(init, "none")
        assert constant in name or not weight.any() or not torch.equal(weight, other[name])


def test_float32_starts_where_float64_does():
    for init in SCHEMES:
        single, double = (
            initial_weights(NETS[init], INITS[init], 7, dtype) for dtype in (torch.float32, torch.float64)
        )
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


def test_a_networks_layers_start_as_a_layer_of_theirs_does():
    for init in SCHEMES:
        net = NETS[init]
        layer = initialize(CellRNN(net.spec, 3, 16, 2, bidirectional=True), init, lag=20 if init == "chrono" else None,
                           generator=torch.Generator().manual_seed(7))  # fmt: skip
        weights = initial_weights(net, INITS[init], 7, torch.float32)
        for name, weight in layer.named_parameters():
            assert torch.equal(weight, weights[f"recurrent.{name}"])


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"gain": 10**400}, "gain needs a finite number above 0, got 10000"),
        ({"per_gate": 1}, "per_gate needs True or False, got 1"),
        ({"per_gate": None}, "per_gate needs True or False, got None"),
        ({"input": "glorot"}, "input needs one of torch, xavier_uniform, .*small_normal, got 'glorot'"),
        ({"input": "critical"}, "input needs one of torch, .*small_normal, got 'critical'"),
        ({"recurrent": None}, "recurrent needs one of torch, .*critical, got None"),
        ({"biases": 1}, "biases needs one of torch, zero, unit_forget, chrono, got 1"),
        ({"gain": 0}, "gain needs a finite number above 0, got 0"),
        ({"gain": True}, "gain needs a finite number above 0, got True"),
        ({"forget_bias": math.inf}, "forget_bias needs a finite number or None, got inf"),
        ({"forget_bias": 1.0, "biases": "chrono"}, "forget_bias needs biases other than chrono's.* got 1.0"),
        ({"lag": 10}, "lag needs biases='chrono'.* got 10 with biases='zero'"),
        ({"lag": 1, "biases": "chrono"}, "lag needs a finite number of steps of at least 2, got 1"),
        ({"lag": math.nan, "biases": "chrono"}, "lag needs a finite number of steps of at least 2, got nan"),
    ],
)
def test_a_scheme_that_is_none_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        Scheme(**parts)


def test_a_scheme_shows_what_is_not_at_its_default_and_is_made_again_of_it():
    assert repr(Scheme()) == "Scheme()"
    assert repr(recommended_init(100)) == "Scheme(biases='chrono', lag=100)"
    for scheme in (*SCHEMES.values(), Scheme(forget_bias=1.5, gain=2.0, per_gate=False)):
        assert eval(repr(scheme)) == scheme
