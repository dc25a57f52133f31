"""The power law of a learning curve, and what twice the data would gain."""

import numpy as np
import pytest
from numpy import ndarray

from throughtime.generalization.diagnosis.evidence import DOUBLING, Evidence, Measured
from throughtime.generalization.diagnosis.gains import Units
from throughtime.generalization.diagnosis.losses import ClassLosses, OutOfFold
from throughtime.generalization.diagnosis.power_law import fit_power_law
from throughtime.generalization.diagnosis.probes import HALF_DATA, QUARTER_DATA, Variant

SIZES = np.array([25.0, 50.0, 100.0])


@pytest.mark.parametrize("floor", [0.05, 0.3])
@pytest.mark.parametrize("exponent", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("sizes", [SIZES, np.geomspace(10, 1280, 8)])
def test_planted_floor_scale_and_exponent_are_recovered(floor: float, exponent: float, sizes: ndarray) -> None:
    scale = 0.4 * sizes[0] ** exponent
    law = fit_power_law(sizes, floor + scale * sizes**-exponent, np.full(len(sizes), 0.01))
    np.testing.assert_allclose(law, (floor, scale, exponent), rtol=1e-3)


def test_what_is_certain_counts_more() -> None:
    sizes = np.geomspace(10, 1280, 8)
    losses, errors = 0.1 + 4 / sizes, np.full(8, 0.001)
    losses[3] += 0.2
    errors[3] = 1.0
    np.testing.assert_allclose(fit_power_law(sizes, losses, errors), (0.1, 4.0, 1.0), rtol=0.01)


def test_two_sizes_or_losses_that_rise_have_no_power_law() -> None:
    assert np.isnan(fit_power_law(SIZES[:2], [0.5, 0.4], [0.1, 0.1])).all()
    assert np.isnan(fit_power_law(SIZES, [0.4, 0.45, 0.5], [0.1] * 3)).all()


def evidence(quarter: ndarray, half: ndarray, whole: ndarray) -> Evidence:
    """Of tempered losses by series, on a quarter, a half and the whole."""
    n = len(whole)

    def measured(probe: object, losses: ndarray) -> Measured:
        out = OutOfFold(losses, losses, losses, np.ones(n), np.ones(n), 0.1)
        return Measured(probe, Variant("", train_fraction=getattr(probe, "fraction", 1.0)), [out])  # type: ignore[arg-type]

    probes = {probe.name: measured(probe, losses) for probe, losses in ((HALF_DATA, half), (QUARTER_DATA, quarter))}
    weights = np.ones(n)
    return Evidence(measured(None, whole), probes, ClassLosses(n, weights), Units(np.arange(n), weights), 0.95)


def curve(floor: float, exponent: float, noise: float) -> Evidence:
    rng = np.random.default_rng(0)
    return evidence(*(floor + 20 * size**-exponent + noise * rng.normal(size=60) for size in SIZES))


def test_twice_the_data_is_exact_for_losses_that_fall_by_one_over_n() -> None:
    found = curve(0.2, 1.0, 0.0).doubling()
    assert found is not None
    assert found.value == pytest.approx(20 / 100 - 20 / 200)


@pytest.mark.parametrize("noise", [0.05, 0.0001])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_interval_of_twice_the_data_reaches_to_what_the_power_law_says(exponent: float, noise: float) -> None:
    found = curve(0.2, exponent, noise)
    (effect,) = [one for one in found.effects() if one.probe == DOUBLING]
    _, scale, fitted = found.power_law
    says = scale * (1 - 2**-fitted)
    assert effect.low <= effect.gain <= effect.high
    assert effect.low <= says <= effect.high
    assert effect.cause == "data-limited"
    assert not effect.parameters
