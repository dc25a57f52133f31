"""Gains: their standard error, what is independent, and intervals that hold for all of them at once."""

import numpy as np
import pytest
from numpy import ndarray
from scipy import stats

from throughtime.generalization.diagnosis.gains import Gain, Units, max_t, pooled_gain

RTOL = 1e-12  # float64, sums in another order


def series(n: int) -> Units:
    return Units(np.arange(n), np.ones(n))


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_one_repeat_is_a_mean_and_its_standard_error() -> None:
    differences = random(0).normal(size=(1, 31))
    gain = pooled_gain(differences, series(31))
    np.testing.assert_allclose((gain.value, gain.error), (differences.mean(), stats.sem(differences[0])), rtol=RTOL)


def test_repeats_are_pooled_not_averaged() -> None:
    repeats, n = 3, 31
    differences = random(1).normal(size=(repeats, n))
    error = np.sqrt(((differences - differences.mean()) ** 2).sum() / (repeats * n * (n - 1)))
    gain = pooled_gain(differences, series(n))
    np.testing.assert_allclose((gain.value, gain.error), (differences.mean(), error), rtol=RTOL)
    # other folds and seeds of the same series make nothing more certain about other series
    assert gain.error > 1.4 * stats.sem(differences.mean(0))


def test_of_whole_groups_the_error_is_that_of_their_means() -> None:
    n_groups, size = 12, 4
    differences = random(2).normal(size=(2, n_groups * size)) + np.repeat(random(3).normal(size=n_groups), size)
    group = np.repeat(np.arange(n_groups), size)
    order = random(4).permutation(len(group))
    gain = pooled_gain(differences[:, order], Units(group[order], np.ones(len(group))))
    means = pooled_gain(differences.reshape(2, n_groups, size).mean(2), series(n_groups))
    np.testing.assert_allclose((gain.value, gain.error), (means.value, means.error), rtol=RTOL)


def test_a_weight_counts_as_so_many_series_of_one_unit() -> None:
    differences, weights = random(5).normal(size=(2, 9)), np.array([1, 2, 3] * 3)
    gain = pooled_gain(differences, Units(np.arange(9), weights.astype(float)))
    again = np.repeat(np.arange(9), weights)
    copies = pooled_gain(differences[:, again], Units(again, np.ones(len(again))))
    np.testing.assert_allclose((gain.value, gain.error), (copies.value, copies.error), rtol=RTOL)


@pytest.mark.parametrize("how", ["NaN", "weight 0"])
def test_series_that_were_not_tested_or_weigh_nothing_do_not_count(how: str) -> None:
    differences = random(6).normal(size=(2, 20))
    alone = pooled_gain(differences[:, :15], series(15))
    weights = np.ones(20)
    if how == "NaN":
        differences[:, 15:] = np.nan
    else:
        weights[15:] = 0
    gain = pooled_gain(differences, Units(np.arange(20), weights))
    np.testing.assert_allclose((gain.value, gain.error), (alone.value, alone.error), rtol=RTOL)


def simulated(rng: np.random.Generator, n_probes: int, n_groups: int, size: int) -> tuple[ndarray, Units]:
    """Differences of correlated probes on series of groups that have something in common; their expectation is 0."""
    shared = rng.normal(size=(n_groups, 1)) + rng.normal(size=(n_groups, n_probes))
    group = np.repeat(np.arange(n_groups), size)
    fixed = shared[group] + rng.normal(size=(len(group), n_probes))
    repeats = fixed + 0.5 * rng.normal(size=(2, len(group), n_probes))
    return repeats.transpose(2, 0, 1), Units(group, np.ones(len(group)))


def test_the_squared_error_is_on_average_that_of_one_repeat_over_other_groups() -> None:
    rng = random(7)
    gains = [
        pooled_gain(differences[0], units) for differences, units in (simulated(rng, 1, 20, 3) for _ in range(2000))
    ]
    expected = (2 + (1 + 0.25) / 3) / 20
    assert np.mean([gain.error**2 for gain in gains]) == pytest.approx(expected, rel=0.03)
    # which bounds what the mean over repeats varies by
    varies = (2 + (1 + 0.25 / 2) / 3) / 20
    assert np.var([gain.value for gain in gains]) == pytest.approx(varies, rel=0.1)


def test_the_intervals_hold_for_all_probes_at_once() -> None:
    rng, n_probes, data_sets = random(8), 6, 500
    all_hold = []
    for _ in range(data_sets):
        differences, units = simulated(rng, n_probes, 25, 2)
        gains = [pooled_gain(one, units) for one in differences]
        quantile = max_t(gains, 0.9, units.count)
        all_hold.append(all(abs(gain.value) < quantile * gain.error for gain in gains))
        # they would not with the quantile of one alone, nor need they be Bonferroni's
        assert stats.t.ppf(0.95, 24) < quantile < stats.t.ppf(1 - 0.05 / n_probes, 24)
    assert abs(np.mean(all_hold) - 0.9) < 3 * np.sqrt(0.9 * 0.1 / data_sets)


#: Of a quantile from 20,000 draws, some four standard errors.
DRAWN = 0.06


@pytest.mark.parametrize("copies", [1, 5])
def test_one_gain_or_the_same_again_has_the_quantile_of_t(copies: int) -> None:
    influence = random(9).normal(size=(2, 11))
    quantile = max_t([Gain(0.0, 1.0, influence)] * copies, 0.95, 11)
    assert quantile == pytest.approx(stats.t.ppf(0.975, 10), abs=DRAWN)


def test_independent_gains_have_the_quantile_of_sidak() -> None:
    n = 4001  # t with as many degrees of freedom is normal
    gains = [Gain(0.0, 1.0, row[None]) for row in np.eye(8, n)]
    assert max_t(gains, 0.95, n) == pytest.approx(stats.norm.ppf((1 + 0.95 ** (1 / 8)) / 2), abs=DRAWN)


def test_gains_without_an_error_do_not_count() -> None:
    still = Gain(0.1, 0.0, np.zeros((1, 11)))
    moving = Gain(0.0, 1.0, random(10).normal(size=(2, 11)))
    assert max_t([still, moving], 0.95, 11) == max_t([moving], 0.95, 11)
    assert max_t([still], 0.95, 11) == pytest.approx(stats.t.ppf(0.975, 10))
