"""One temperature and a bias per class."""

import numpy as np
import pytest
from numpy import ndarray
from scipy.special import log_softmax, softmax

from throughtime.errors import DataError
from throughtime.shift import calibrate, calibrated


def drawn(n: int, temperature: float, bias: list[float], seed: int = 0) -> tuple[ndarray, ndarray]:
    """Logits, and classes drawn from ``softmax(logits / temperature + bias)``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(bias))) * 3
    chances = softmax(logits / temperature + bias, axis=1)
    return logits, (rng.random(n)[:, None] > chances.cumsum(1)).sum(1)


def test_a_planted_temperature_and_bias_come_back() -> None:
    logits, codes = drawn(20_000, 2.5, [0.8, -0.3, -0.5])
    found = calibrate(logits, codes)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    np.testing.assert_allclose(found.bias, [0.8, -0.3, -0.5], atol=0.06)  # three standard errors


def test_mean_probabilities_are_the_fractions_of_the_classes() -> None:
    """The score equation of the biases, up to a prior worth one series."""
    logits, codes = drawn(3000, 0.5, [1.0, 0.0, -1.0, 0.0])
    means = calibrated(logits, calibrate(logits, codes)).mean(0)
    np.testing.assert_allclose(means, np.bincount(codes) / 3000, atol=1 / 3000)


def test_a_calibration_is_the_least_loss_among_its_neighbors() -> None:
    logits, codes = drawn(400, 2.0, [0.5, -0.5, 0.0])
    found = calibrate(logits, codes)

    def objective(log_temperature: float, bias: ndarray) -> float:
        loss = -log_softmax(logits / np.exp(log_temperature) + bias, axis=1)[np.arange(400), codes].sum()
        return float(loss + (log_temperature**2 + bias @ bias) / 2)

    least = objective(np.log(found.temperature), found.bias)
    for step in np.eye(4):
        for size in (0.1, -0.1):
            assert objective(np.log(found.temperature) + size * step[0], found.bias + size * step[1:]) > least


def test_a_constant_added_to_the_logits_of_a_series_changes_nothing() -> None:
    logits, codes = drawn(200, 2.0, [0.5, -0.5, 0.0])
    one, other = (calibrate(given, codes) for given in (logits, logits + np.arange(200)[:, None]))
    assert other.temperature == pytest.approx(one.temperature, rel=1e-5)
    np.testing.assert_allclose(other.bias, one.bias, atol=1e-5)


def test_a_temperature_alone_leaves_the_biases_at_zero() -> None:
    logits, codes = drawn(20_000, 2.5, [0.0, 0.0, 0.0])
    found = calibrate(logits, codes, bias=False)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert not found.bias.any()


def test_classes_told_apart_without_error_and_absent_ones_leave_it_finite() -> None:
    codes = np.arange(60) % 2
    found = calibrate(50.0 * np.eye(3)[codes], codes)
    assert 0.01 <= found.temperature <= 100
    assert np.isfinite(found.bias).all()
    assert found.loss < 0.1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_loss_after_is_no_worse_than_before(scale: float) -> None:
    logits, codes = drawn(300, 2.0, [0.5, -0.5, 0.0])
    found = calibrate(logits * scale, codes)
    assert found.loss <= found.loss_before + 1e-9


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("logits", "codes", "said"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "needs series"),
        (np.zeros((4, 1)), np.zeros(4, int), "2 classes or more"),
        (np.full((4, 2), np.nan), np.zeros(4, int), "finite logits"),
        (np.zeros((4, 2)), np.zeros(3, int), "the class of each of 4 series"),
        (np.zeros((4, 2)), np.full(4, 2), "class codes from 0 to 1"),
        (np.zeros((4, 2)), np.zeros(4), "class codes"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(logits: ndarray, codes: ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        calibrate(logits, codes)
