"""The mean field against golden values, closed forms, and wide networks."""

import math

import pytest
import torch

from throughtime.nn import critical_weight_scale, initialize, solve_mean_field

#: (s_w, s_b^2) -> (q, chi), by a trapezoid converged to 1e-6; digits as they were given
GOLDEN = {
    (1, 0.05): (0.19359, 0.75903),
    (1.5, 0): (0.79335, 1.13932),
    (2, 0): (2.12147, 1.362673),
    (3, 0): (6.305391, 1.859855),
    (1 / math.sqrt(3), 0): (0, 1 / 3),
}


@pytest.mark.parametrize("scales", GOLDEN)
def test_tanh_has_the_golden_variance_and_chi(scales):
    found = solve_mean_field(*scales)
    assert (found.q, found.chi) == pytest.approx(GOLDEN[scales], abs=1e-5)


@pytest.mark.parametrize("variance", [0.0, 0.3])
@pytest.mark.parametrize("scale", [0.5, 1.2])
def test_relu_and_no_activation_have_their_closed_forms(scale, variance):
    relu, linear = (solve_mean_field(scale, variance, name) for name in ("relu", "linear"))
    assert relu.chi == pytest.approx(scale**2 / 2)
    assert relu.q == pytest.approx(variance / (1 - scale**2 / 2))
    assert linear.chi == pytest.approx(scale**2)
    grows = scale > 1
    assert linear.q == (math.inf if grows else pytest.approx(variance / (1 - scale**2)))


def test_a_network_of_no_weights_is_what_its_biases_make_it():
    found = solve_mean_field(0, 0.7)
    assert (found.q, found.chi) == (pytest.approx(0.7), 0)


@pytest.mark.parametrize("variance", [0.01, 0.05, 1.0, 7.0])
def test_at_the_critical_scale_chi_is_one(variance):
    # the bisection ends at float64's spacing, and chi's slope in s_w is about 2
    assert solve_mean_field(critical_weight_scale(variance), variance).chi == pytest.approx(1, abs=1e-12)


def test_the_critical_scale_is_one_without_biases_and_rises_with_them():
    # chi is flat there, as 1 - 2q with q the root of a rounding error
    assert critical_weight_scale(0) == pytest.approx(1, abs=1e-7)
    scales = [critical_weight_scale(variance) for variance in (0, 0.01, 0.1, 1)]
    assert scales == sorted(scales)


def test_the_critical_scale_of_relu_is_hes_and_of_no_activation_one():
    assert critical_weight_scale(0.3, "relu") == pytest.approx(math.sqrt(2))
    assert critical_weight_scale(0.3, "linear") == 1


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve_mean_field(-1, 0), "weight_scale needs a finite number of at least 0, got -1"),
        (lambda: solve_mean_field("1", 0), "weight_scale needs a finite number of at least 0, got '1'"),
        (lambda: solve_mean_field(True, 0), "weight_scale needs a finite number of at least 0, got True"),
        (lambda: solve_mean_field(10**400, 0), "weight_scale needs a finite number of at least 0, got 1000"),
        (lambda: critical_weight_scale(None), "bias_variance needs a finite number of at least 0, got None"),
        (lambda: critical_weight_scale(0, "gelu"), "activation needs one of tanh, relu, linear, got 'gelu'"),
        (lambda: solve_mean_field(1, math.inf), "bias_variance needs a finite number of at least 0, got inf"),
        (lambda: critical_weight_scale(math.nan), "bias_variance needs a finite number of at least 0, got nan"),
        (lambda: solve_mean_field(1, 0, "gelu"), "activation needs one of tanh, relu, linear, got 'gelu'"),
    ],
)
def test_what_no_network_has_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_gradients_of_a_wide_critical_network_neither_vanish_nor_explode():
    """In both layers, for inputs of mean square 1; the states are as large as the mean field says."""
    units, time, lag = 600, 60, 40
    generator = torch.Generator().manual_seed(0)
    layers = initialize(torch.nn.RNN(5, units, 2, dtype=torch.float64), "critical", generator=generator)
    x = torch.randn(time, 8, 5, generator=generator, dtype=torch.float64)
    for number in range(2):
        layer = torch.nn.RNN(x.shape[-1], units, dtype=torch.float64)
        own = {name[:-1] + "0": weight for name, weight in layers.named_parameters() if name.endswith(str(number))}
        layer.load_state_dict(own)
        states = [torch.zeros(1, 8, units, dtype=torch.float64)]
        for step in x:
            states.append(layer(step[None], states[-1].detach().requires_grad_())[1])
        with torch.no_grad():
            scale = own["weight_hh_l0"].std().item() * math.sqrt(units)
            variance = own["weight_ih_l0"].square().sum(1).mean().item() * x.square().mean().item()
        found = solve_mean_field(scale, variance)
        # sqrt of 2/(600 * 8 * 60) of chi, and the correlation of states in time, which the theory leaves out
        assert found.chi == pytest.approx(1, abs=0.02)
        power = torch.stack(states[20:]).square().mean().item()
        assert power == pytest.approx((found.q - variance) / scale**2, rel=0.05)
        start = states[time - lag].detach().requires_grad_()
        end = layer(x[time - lag :], start)[1]
        v = torch.randn(end.shape, generator=generator, dtype=torch.float64)
        (pulled,) = torch.autograd.grad((end * v).sum(), start)
        growth = (pulled.square().mean() / v.square().mean()).item() ** (1 / lag)
        assert growth == pytest.approx(1, abs=0.02), number
        x = torch.cat(states[1:]).detach()
