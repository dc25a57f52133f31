"""Density ratios of deployed to reference series."""

import numpy as np
import pytest

from throughtime.errors import DataError, ParameterError
from throughtime.shift import covariate_weights, effective_size


def test_the_effective_fraction_of_a_gaussian_mean_shift_is_exp_of_minus_its_squared_distance() -> None:
    """E[w^2] of N(d, I) over N(0, I) is exp(||d||^2)."""
    rng = np.random.default_rng(0)
    d = np.array([0.6, -0.4, 0.3])
    x = rng.normal(size=(200_000, 3))
    exact = np.exp(x @ d - d @ d / 2)
    assert effective_size(exact) / len(x) == pytest.approx(np.exp(-d @ d), rel=0.02)
    n = 4000
    found = covariate_weights(x[:n], rng.normal(size=(n, 3)) + d, clip=1e6)
    assert found.effective_fraction == pytest.approx(np.exp(-d @ d), rel=0.08)  # three standard errors
    assert np.corrcoef(found.weights, exact[:n])[0, 1] > 0.99


def test_weights_of_equal_samples_are_flat() -> None:
    rng = np.random.default_rng(1)
    found = [covariate_weights(rng.normal(size=(100, 5)), rng.normal(size=(80, 5)), random_state=s) for s in range(6)]
    assert np.median([one.effective_fraction for one in found]) == 1  # no classifier beats a constant
    assert min(one.effective_fraction for one in found) > 0.9


def test_the_size_of_the_samples_does_not_change_the_weights_scale() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2000, 2))
    for m in (200, 2000):
        found = covariate_weights(x, rng.normal(size=(m, 2)) + np.array([0.7, 0]), clip=1e6)
        assert found.weights.mean() == pytest.approx(1)
        assert np.average(x[:, 0], weights=found.weights) == pytest.approx(0.7, abs=0.15)  # two errors of the smaller


def test_no_weight_exceeds_the_clip_times_their_mean() -> None:
    rng = np.random.default_rng(3)
    free, cut = (
        covariate_weights(rng.normal(size=(400, 2)), rng.normal(size=(400, 2)) + np.array([1.2, 0]), clip=clip)
        for clip in (1e9, 2.0)
    )
    assert cut.weights.max() / cut.weights.min() <= 2 / np.exp(-8)
    assert cut.clipped > 0.05
    assert free.clipped == 0
    assert cut.effective_size > free.effective_size
    largest = cut.weights.max()
    assert np.isclose(cut.weights, largest).mean() == pytest.approx(cut.clipped)


def test_samples_that_hardly_overlap_are_refused_with_the_reason() -> None:
    rng = np.random.default_rng(4)
    far = covariate_weights(rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 3, clip=1e9)
    assert not far.usable
    assert far.effective_size < 30
    assert "at least 30 are needed" in far.reason
    apart = covariate_weights(rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 9, clip=10)
    assert not apart.usable
    assert apart.covered < 0.1
    few = covariate_weights(rng.normal(size=(25, 2)), rng.normal(size=(25, 2)))
    assert not few.usable
    near = covariate_weights(rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 0.3)
    assert near.usable


def test_the_scale_and_shift_of_a_column_and_constant_columns_change_nothing() -> None:
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + np.eye(3)[0]
    x[:, 2] = z[:, 2] = 7
    one = covariate_weights(x, z)
    other = covariate_weights(x * [1e6, 1e-6, 1] + 5, z * [1e6, 1e-6, 1] + 5)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-4)  # the solver's


def test_a_reference_covers_the_deployed_series_that_lie_where_it_has_some() -> None:
    """Four in ten of the deployed are far away."""
    rng = np.random.default_rng(8)
    deployed = rng.normal(size=(1000, 1)) + np.where(np.arange(1000) < 400, 50.0, 0.0)[:, None]
    deployed = np.column_stack([deployed, deployed > 25])
    reference = np.column_stack([rng.normal(size=1000), np.zeros(1000)])
    assert covariate_weights(reference, deployed).covered == pytest.approx(0.6, abs=0.05)


def test_groups_are_not_recognized_by_the_classifier() -> None:
    """A column that only says which group a series is of tells the samples apart, and foretells nothing of others."""
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(20), 10)
    own = np.eye(40)[np.append(groups, 20 + groups)] + 0.01 * rng.normal(size=(400, 40))
    blind = covariate_weights(own[:200], own[200:])
    apart = covariate_weights(own[:200], own[200:], groups=groups, deployed_groups=groups)
    assert blind.effective_fraction < apart.effective_fraction
    assert apart.effective_fraction > 0.95


@pytest.mark.usefixtures("types_unchecked")
def test_what_cannot_be_weighted_is_refused() -> None:
    x = np.random.default_rng(7).normal(size=(20, 2))
    with pytest.raises(DataError, match=r"\(2,\) columns on both sides, got \(20, 1\) deployed"):
        covariate_weights(x, x[:, :1])
    with pytest.raises(DataError, match="at least 5 series on either side, got 4 deployed"):
        covariate_weights(x, x[:4])
    with pytest.raises(DataError, match="the reference sample needs finite values, got nan"):
        covariate_weights(np.where(x > 2, np.nan, np.nan), x)
    with pytest.raises(ParameterError, match="clip needs a number of at least 1"):
        covariate_weights(x, x, clip=0.5)
    with pytest.raises(DataError, match="at least 5 groups on either side, got 1"):
        covariate_weights(x, x, groups=np.zeros(20, int), deployed_groups=np.zeros(20, int))


def test_a_unit_that_makes_values_very_large_or_small_changes_no_weight() -> None:
    rng = np.random.default_rng(5)
    sides = rng.normal(size=(60, 2)), rng.normal(size=(50, 2)) + 0.5
    plain = covariate_weights(*sides)
    for exponent in (660, -660):  # 1e199, and its inverse
        scaled = covariate_weights(*(np.ldexp(side, exponent) for side in sides))
        np.testing.assert_allclose(scaled.weights, plain.weights, rtol=1e-10)  # the solver's scale is another's
