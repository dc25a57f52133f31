"""Corrected intervals of a mean over folds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from throughtime.errors import ParameterError
from throughtime.generalization.intervals import corrected_interval, naive_interval


@pytest.mark.parametrize(("n_folds", "inflation"), [(5, 1.5), (10, 1.4529663)])
def test_the_standard_error_of_k_folds_is_the_naive_one_inflated(n_folds: int, inflation: float) -> None:
    scores = np.random.default_rng(0).normal(size=n_folds)
    interval = corrected_interval(scores, n_train=100 * (n_folds - 1), n_test=100)
    naive = stats.t.interval(0.95, n_folds - 1, scores.mean(), stats.sem(scores))
    assert interval.low is not None
    assert interval.high is not None
    # float64: eight digits of the golden number are written above
    assert (interval.high - interval.low) / (naive[1] - naive[0]) == pytest.approx(inflation, rel=1e-7)
    assert interval.mean == pytest.approx((interval.low + interval.high) / 2, rel=1e-12)
    assert interval.method == f"95 % corrected resampled t (Nadeau & Bengio 2003), {n_folds} folds"


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=20),
    st.floats(0.5, 0.999),
)
def test_the_interval_is_the_formula_of_the_paper(folds: list[tuple[float, int, int]], level: float) -> None:
    scores, n_train, n_test = map(np.array, zip(*folds, strict=True))
    interval = corrected_interval(scores, n_train, n_test, level)
    variance = np.var(scores, ddof=1) * (1 / len(scores) + np.mean(n_test / n_train))
    half = stats.t.isf((1 - level) / 2, len(scores) - 1) * np.sqrt(variance)
    # The two ways to the quantile agree to float64's rounding; differences of scores lose some.
    np.testing.assert_allclose((interval.low, interval.high), (scores.mean() - half, scores.mean() + half), 1e-9, 1e-9)
    assert interval.level == level


def test_a_fold_without_a_score_is_left_out_and_counted() -> None:
    with_gap = corrected_interval([0.5, np.nan, 0.7, np.inf, 0.9], [8, 1, 8, 1, 8], 2)
    without = corrected_interval([0.5, 0.7, 0.9], 8, 2)
    assert (with_gap.mean, with_gap.low, with_gap.high) == (without.mean, without.low, without.high)
    assert with_gap.method == (
        "95 % corrected resampled t (Nadeau & Bengio 2003), 3 folds (2 of 5 folds left out, without a score)"
    )


@pytest.mark.parametrize("interval", [lambda scores: corrected_interval(scores, 90, 10), naive_interval])
@pytest.mark.parametrize("size", [2.0**300, 2.0**600, 2.0**1020])
def test_scores_whose_squares_are_no_floats_have_the_interval_of_their_size(interval: Any, size: float) -> None:
    scores = np.array([0.5, 0.75, 0.25, 1.0])
    plain, large = interval(scores), interval(scores * size)
    assert (large.mean, large.low, large.high) == tuple(size * end for end in (plain.mean, plain.low, plain.high))


def test_too_few_folds_have_no_interval_and_say_why() -> None:
    one = corrected_interval([0.5], 8, 2)
    assert (one.mean, one.low, one.high, one.method) == (0.5, None, None, "no interval: a single fold has no spread")
    survivor = corrected_interval([np.nan, 0.25], 8, 2)
    assert (survivor.mean, survivor.low) == (0.25, None)
    assert survivor.method == "no interval: 1 of 2 folds left out, without a score"
    none = corrected_interval([np.nan, np.nan], 8, 2)
    assert np.isnan(none.mean)
    assert none.high is None


def test_equal_scores_have_an_interval_of_no_width() -> None:
    interval = corrected_interval([0.5] * 10, 9, 1)
    assert (interval.low, interval.high) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 1, 1), "scores needs one number per split"),
        (([1, 2], 1, 1, 95), r"level needs a number between 0 and 1, got 95"),
        (([1, 2], [1, 2, 3], 1), r"n_train needs one number, or one for each of the 2 scores"),
        (([1, 2], 1, [1, 0]), r"n_test needs at least 1 on that side of every split, got 0"),
    ],
)
def test_sizes_and_levels_that_make_no_sense_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        corrected_interval(*arguments)  # type: ignore[arg-type]
