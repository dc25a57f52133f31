"""Statistics of many assignments at once, against each assignment alone by SciPy, scikit-learn or in loops."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from throughtime.shift import statistics
from throughtime.shift.statistics import (
    areas_under_the_curve,
    class_shifts,
    discrepancies,
    largest_cdf_gaps,
    mean_shifts,
    standardize,
)

N = 60
rng = np.random.default_rng(0)
VALUES = rng.normal(size=(N, 4)) * [1, 10, 1e-6, 1e6] + [0, 0, 1, 1e8]
VALUES[:, 3] = VALUES[:, 3].round(-5)  # ties
DEPLOYED = np.array([rng.permutation(np.arange(N) < size) for size in (25, 25, 40, 8)])
UNITS = np.arange(N)


def test_t_and_effect_are_those_of_students_test() -> None:
    found = mean_shifts(DEPLOYED, VALUES)
    for row, mask in enumerate(DEPLOYED):
        one, other = VALUES[mask], VALUES[~mask]
        np.testing.assert_allclose(found.t[row], stats.ttest_ind(one, other).statistic, rtol=1e-6)
        n1, n0 = len(one), len(other)
        within = ((n1 - 1) * one.var(0, ddof=1) + (n0 - 1) * other.var(0, ddof=1)) / (N - 2)
        np.testing.assert_allclose(found.effects[row], (one.mean(0) - other.mean(0)) / np.sqrt(within), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 1 / 3])
def test_a_column_that_is_constant_but_for_rounding_does_not_move(value: float) -> None:
    """As means of a constant channel are over series of several lengths."""
    values = np.where(DEPLOYED[0], value, np.nextafter(value, value and np.inf))[:, None]
    np.testing.assert_array_equal(standardize(values), 0)
    np.testing.assert_array_equal(mean_shifts(DEPLOYED, values).t, 0)


@pytest.mark.parametrize("exponent", [700, 1000, -700, -1030])
def test_a_power_of_two_changes_no_bit_however_large_or_small_it_makes_the_columns(exponent: int) -> None:
    """Whose squares, and sums, float64 does not hold."""
    short = np.float32(VALUES)[:, :3].astype(np.float64)  # the smallest are subnormal, and have bits left
    scaled = np.ldexp(short, exponent)
    np.testing.assert_array_equal(standardize(scaled), standardize(short))
    for statistic in (mean_shifts, largest_cdf_gaps):
        np.testing.assert_array_equal(statistic(DEPLOYED, scaled), statistic(DEPLOYED, short))


def test_a_column_that_tells_the_sides_apart_has_a_large_finite_t() -> None:
    found = mean_shifts(DEPLOYED, DEPLOYED[0][:, None] * 3.0)
    assert 1e5 < found.t[0, 0] < np.inf
    assert np.abs(found.t[1:]).max() < 100


def mmd_in_loops(x: np.ndarray, y: np.ndarray, widths: np.ndarray) -> float:
    """Eq. 3 of Gretton et al. (2012), summed pair by pair."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean(np.exp(-np.sum((a - b) ** 2) / (2 * widths**2))))

    m, n = len(x), len(y)
    inside = sum(kernel(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    inside += sum(kernel(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return inside - 2 * sum(kernel(a, b) for a in x for b in y) / (m * n)


@pytest.mark.parametrize("rows", [7, 512])
def test_the_mmd_is_that_summed_pair_by_pair(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_ROWS", rows)
    values = standardize(VALUES)
    distances = cdist(values, values)
    widths = np.median(distances[distances > 0]) * np.array([0.5, 1, 2])
    found = discrepancies(DEPLOYED, values, UNITS)
    for row, mask in enumerate(DEPLOYED):
        assert found.mmd_2[row] == pytest.approx(mmd_in_loops(values[mask], values[~mask], widths), abs=1e-10)


def test_the_error_of_the_mmd_is_its_deviation_over_samples() -> None:
    found, errors = [], []
    for seed in range(100):
        draw = np.random.default_rng(seed)
        values = np.concatenate([draw.normal(size=(60, 2)), draw.normal(size=(60, 2)) + 1.5])
        one = discrepancies(np.arange(120)[None] >= 60, values, np.arange(120))
        found.append(one.mmd_2[0])
        errors.append(one.error)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.2)  # of 100 draws, known to 7 %


def test_the_area_is_that_of_ridge_fitted_anew_for_each_assignment() -> None:
    found = areas_under_the_curve(DEPLOYED, VALUES, UNITS, 5)
    z = standardize(VALUES)
    z = standardize(np.column_stack([z, z**2]))
    folds = np.random.default_rng(5).permutation(N) % 5
    for row, mask in enumerate(DEPLOYED):
        won = pairs = 0.0
        for fold in range(5):
            test = folds == fold
            side = mask[~test] - mask[~test].mean()
            score = Ridge(alpha=z.shape[1], fit_intercept=False).fit(z[~test], side).predict(z[test])
            count = mask[test].sum() * (~mask[test]).sum()
            if count:
                won += count * roc_auc_score(mask[test], score)
            pairs += count
        assert found[row] == pytest.approx(won / pairs, abs=1e-12)


def test_chi_square_and_fractions_are_those_of_the_table() -> None:
    codes = rng.integers(0, 4, N)
    found = class_shifts(DEPLOYED, codes, 5)  # one of which nobody is
    for row, mask in enumerate(DEPLOYED):
        table = np.array([np.bincount(codes[side], minlength=4) for side in (mask, ~mask)])
        assert found.chi_2[row] == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
        one, other = table / table.sum(1, keepdims=True)
        np.testing.assert_allclose(found.effects[row], [*(one - other), 0], atol=1e-15)


def test_gaps_are_those_of_kolmogorov_and_smirnov() -> None:
    found = largest_cdf_gaps(DEPLOYED, VALUES)
    for row, mask in enumerate(DEPLOYED):
        expected = [stats.ks_2samp(column[mask], column[~mask]).statistic for column in VALUES.T]
        np.testing.assert_allclose(found[row], expected, atol=1e-15)
