"""How fast norms fall with the lag: curves made by hand, whose horizon and growth are known."""

import math

import numpy as np
import pytest

from throughtime.stability import fit_horizon, growth_per_step, log_ratios, mean_log_ratio

LENGTHS = np.array([40, 25, 1])


def geometric(rate: float, lengths: np.ndarray = LENGTHS, reverse: bool = False) -> np.ndarray:
    """Norms ``level * rate ** lag``, each series at a level of its own, garbage-free zero beyond its end."""
    steps = np.arange(lengths.max())[:, None]
    lags = steps if reverse else lengths - 1 - steps
    return np.where(steps < lengths, rate ** lags.clip(0) * (1.0 + np.arange(len(lengths))), 0.0)


@pytest.mark.parametrize("reverse", [False, True])
def test_ratios_are_counted_from_each_series_own_loss_time(reverse: bool) -> None:
    logs = log_ratios(geometric(0.8, reverse=reverse), LENGTHS, reverse=reverse)
    lags = np.arange(40)
    for series, steps in enumerate(LENGTHS):
        assert logs[:steps, series] == pytest.approx(lags[:steps] * math.log(0.8))
        assert np.isnan(logs[steps:, series]).all()
    assert mean_log_ratio(logs) == pytest.approx(lags * math.log(0.8))


def test_a_horizon_lies_between_two_lags_by_the_logarithm() -> None:
    lengths = np.array([40, 25, 30])
    logs = log_ratios(geometric(0.8, lengths), lengths)
    expected = math.log(0.01) / math.log(0.8)  # 20.6
    assert fit_horizon(logs) == pytest.approx((expected,) * 3)
    assert fit_horizon(logs, fraction=0.5).lag == pytest.approx(math.log(0.5) / math.log(0.8))


def test_a_horizon_beyond_the_series_is_infinite() -> None:
    assert fit_horizon(log_ratios(geometric(0.95), LENGTHS)) == (math.inf,) * 3
    assert fit_horizon(log_ratios(geometric(1.3), LENGTHS)) == (math.inf,) * 3


def test_the_first_crossing_counts_and_zero_is_below_everything() -> None:
    norms = np.array([[1.0], [0.0], [1e-3], [1e-1], [1.0]])
    assert fit_horizon(log_ratios(norms, np.array([5]))).lag == pytest.approx(1.5)  # half way by the logarithm
    assert fit_horizon(log_ratios(norms[:, :] * [[0], [0], [0], [0], [1]], np.array([5]))).lag == 1


def test_an_interval_holds_the_spread_between_series_and_needs_two() -> None:
    rates = np.linspace(0.6, 0.9, 32)
    lags = np.arange(80)[:, None]
    logs = lags * np.log(rates)
    fitted = fit_horizon(logs, seed=3)
    assert fitted.lag == pytest.approx(math.log(0.01) / np.log(rates).mean())
    # the standard error of the mean logarithm, which the horizon is 4.6 divided by
    error = np.log(rates).std(ddof=1) / math.sqrt(32)
    low, high = (4.605 / (-np.log(rates).mean() + side * 1.96 * error) for side in (1, -1))
    assert (fitted.low, fitted.high) == pytest.approx((low, high), rel=0.05)
    assert fit_horizon(logs, seed=3) == fitted
    alone = fit_horizon(logs[:, :1])
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rate", [0.7, 1.0, 1.2])
def test_growth_is_the_rate_whatever_the_levels_and_lengths(rate: float, reverse: bool) -> None:
    norms = geometric(rate, reverse=reverse)
    assert growth_per_step(norms, LENGTHS, reverse=reverse) == pytest.approx(rate)
    norms[3] = 0  # what is lost does not count
    assert growth_per_step(norms, LENGTHS, reverse=reverse) == pytest.approx(rate)


def test_what_overflows_grows_without_bound_and_one_step_does_not_tell() -> None:
    norms = np.array([[np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]])
    lengths = np.array([3, 3])
    assert growth_per_step(norms, lengths) == math.inf
    assert math.isnan(growth_per_step(norms[2:], np.array([1, 1])))
    logs = log_ratios(norms, lengths)
    assert logs[:, 0].tolist() == [0, math.inf, math.inf]  # NaN behind an overflow is its consequence
    assert mean_log_ratio(logs).tolist() == [0, math.inf, math.inf]
    assert fit_horizon(logs).lag == math.inf


def test_a_series_without_a_gradient_where_the_loss_is_has_no_curve() -> None:
    norms = geometric(0.8)
    norms[24, 1] = 0
    logs = log_ratios(norms, LENGTHS)
    assert np.isnan(logs[:, 1]).all()
    assert mean_log_ratio(logs)[:40] == pytest.approx(np.arange(40) * math.log(0.8))
