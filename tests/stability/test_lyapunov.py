"""Lyapunov exponents are those of closed forms, and of the literature's random networks."""

import math
import os

import numpy as np
import pytest
import torch
from recurrent_models import layer, series, start
from torch import Tensor, nn

from throughtime import nn as ours
from throughtime.errors import DataError, ParameterError
from throughtime.findings import Finding, run_checks
from throughtime.stability import LyapunovSpectrum, jacobians, lyapunov_exponents
from throughtime.stability.lyapunov import CHAOS, FORGETTING

SOAK = "THROUGHTIME_SOAK" in os.environ
#: of a closed form
ONE_PERCENT = 0.01


def still(time: int, count: int = 1, channels: int = 1) -> Tensor:
    return torch.zeros(time, count, channels, dtype=torch.float64)


def linear(weights: Tensor) -> nn.Module:
    made = ours.LinearRNN(1, len(weights), bias=False, dtype=torch.float64)
    with torch.no_grad():
        made.weight_hh_l0.copy_(weights)
    return made


def silent(made: nn.Module) -> nn.Module:
    """A layer whose weights are zero: its gates are its biases'."""
    with torch.no_grad():
        for weight in made.parameters():
            weight.zero_()
    return made


def test_a_rotation_that_shrinks_has_its_logarithm_everywhere() -> None:
    torch.manual_seed(0)
    weights = nn.init.orthogonal_(torch.empty(8, 8, dtype=torch.float64), gain=0.9)
    (found,) = lyapunov_exponents(linear(weights), still(40, 2))
    np.testing.assert_allclose(found.exponents, np.full((8, 2), -0.105361), rtol=0, atol=5e-7)
    assert found.steps.tolist() == [40, 40]


@pytest.mark.parametrize("rotated", [False, True])
def test_a_linear_recurrence_has_its_eigenvalues_logarithms(rotated: bool) -> None:
    torch.manual_seed(0)
    growth = torch.tensor([1.1, 0.95, 0.6, 0.3], dtype=torch.float64)
    basis = torch.eye(4, dtype=torch.float64)
    if rotated:
        basis = torch.randn(4, 4, dtype=torch.float64)
    weights = basis @ growth.diag() @ torch.linalg.inv(basis)
    (found,) = lyapunov_exponents(linear(weights), still(300), burn_in=100)
    np.testing.assert_allclose(found.exponents[:, 0], growth.log().numpy(), rtol=ONE_PERCENT)


def test_gates_alone_give_their_logarithms() -> None:
    gru, lstm = (silent(cls(1, 3, dtype=torch.float64)) for cls in (nn.GRU, nn.LSTM))
    with torch.no_grad():
        gru.bias_ih_l0[3:6] = 2.0
        lstm.bias_ih_l0[3:6] = 1.0
    (found,) = lyapunov_exponents(gru, still(50))
    np.testing.assert_allclose(found.exponents[:, 0], math.log(1 / (1 + math.exp(-2))), rtol=1e-12)
    # h is erased at each step, c is kept by f
    (found,) = lyapunov_exponents(lstm, still(50), burn_in=5)
    np.testing.assert_allclose(found.exponents[:3, 0], math.log(1 / (1 + math.exp(-1))), rtol=1e-12)
    assert (found.exponents[3:, 0] < -10).all()


def test_exponents_are_those_of_the_product_of_jacobians() -> None:
    made, x, lengths = layer("torch lstm", 2, bidirectional=True), series(12), [12, 7, 9, 12]
    begin = start(made)
    found = lyapunov_exponents(made, (x, begin), lengths=lengths)
    for one, steps in zip(found, jacobians(made, (x, begin), lengths=lengths), strict=True):
        assert one.label == steps.label
        for s, length in enumerate(lengths):
            values = steps.values[:length, s][::-1] if steps.reverse else steps.values[:length, s]
            # volumes are products of determinants whatever Q starts with
            volume = sum(np.linalg.slogdet(value)[1] for value in values) / length
            assert one.exponents[:, s].sum() == pytest.approx(volume, rel=1e-9)


def random_net(units: int, gain: float, seed: int, time: int) -> float:
    torch.manual_seed(seed)
    made = ours.RNN(1, units, bias=False, dtype=torch.float64)
    with torch.no_grad():
        made.weight_hh_l0.normal_(0, gain / math.sqrt(units))
    begin = torch.randn(1, 1, units, dtype=torch.float64)
    (found,) = lyapunov_exponents(made, (still(time), begin), n_exponents=1, burn_in=300)
    return float(found.exponents.mean())


@pytest.mark.parametrize(
    ("units", "gain", "expected", "error", "seeds", "time"),
    [
        (100, 3.0, 0.283, 0.005, 5, 1200),
        pytest.param(400, 1.5, 0.055, 0.003, 24, 2500, marks=pytest.mark.skipif(not SOAK, reason="a minute")),
        pytest.param(400, 3.0, 0.304, 0.002, 8, 2500, marks=pytest.mark.skipif(not SOAK, reason="half a minute")),
    ],
)
def test_random_tanh_networks_are_as_chaotic_as_they_are_known_to_be(
    units: int, gain: float, expected: float, error: float, seeds: int, time: int
) -> None:
    found = [random_net(units, gain, seed, time) for seed in range(seeds)]
    # what is known is a mean over networks too, with an error of its own; at gain 1.5 they differ by .011
    both = math.hypot(error, np.std(found, ddof=1) / math.sqrt(seeds))
    assert np.mean(found) == pytest.approx(expected, abs=2 * both)


def test_few_exponents_are_the_first_of_all() -> None:
    made = layer("gru")
    (every,) = lyapunov_exponents(made, series(400), burn_in=50)
    (one,) = lyapunov_exponents(made, series(400), burn_in=50, n_exponents=1, seed=3)
    np.testing.assert_allclose(one.exponents[0], every.exponents[0], atol=5e-3)  # Q starts elsewhere
    assert (np.diff(every.exponents, axis=0) <= 0).all()


def test_a_series_has_the_exponents_it_has_alone() -> None:
    made, x, lengths = layer("lstm", bidirectional=True), series(), [6, 3, 5, 4]
    found = lyapunov_exponents(made, x, lengths=lengths, burn_in=2)
    for s, length in enumerate(lengths):
        for own, alone in zip(found, lyapunov_exponents(made, x[:length, s : s + 1], burn_in=2), strict=True):
            np.testing.assert_allclose(own.exponents[:, s], alone.exponents[:, 0], rtol=1e-9)


def findings(gain: float, lag: int | None) -> dict[str, Finding]:
    made = linear(gain * torch.eye(3, dtype=torch.float64))
    found = run_checks([CHAOS, FORGETTING], lyapunov=lyapunov_exponents(made, still(30)), lag=lag)
    return {finding.code: finding for finding in found}


def test_chaos_and_forgetting_are_findings() -> None:
    assert [finding.verdict for finding in findings(1.1, 10).values()] == ["found", "clear"]
    fast = findings(0.5, 10)
    assert [finding.verdict for finding in fast.values()] == ["clear", "found"]
    assert fast["STA012"].measured == pytest.approx(10 * math.log(2))
    assert "try" in fast["STA012"].remedy
    assert findings(0.9, 10)["STA012"].verdict == "clear"
    assert findings(0.9, None)["STA012"].verdict == "not applicable"


def test_what_cannot_be_measured_is_refused() -> None:
    made, x = layer("gru"), series()
    with pytest.raises(DataError, match="burn_in needs fewer steps than the shortest series has, got 3 of 2"):
        lyapunov_exponents(made, x, lengths=[6, 2, 6, 6], burn_in=3)
    with pytest.raises(ParameterError, match="burn_in needs a whole number from 0 up, got -1"):
        lyapunov_exponents(made, x, burn_in=-1)
    for count in (0, 4):
        message = f"n_exponents needs a whole number from 1 to 3, the numbers in the state of GRU layer 0, got {count}"
        with pytest.raises(ParameterError, match=message):
            lyapunov_exponents(made, x, n_exponents=count)


def test_a_spectrum_prints_its_numbers() -> None:
    (found,) = lyapunov_exponents(linear(torch.eye(2, dtype=torch.float64)), still(3))
    assert isinstance(found, LyapunovSpectrum)
    assert repr(found).startswith("LyapunovSpectrum(label=LinearRNN layer 0, cell=linear, burn_in=0, steps=[3]")
