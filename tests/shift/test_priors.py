"""Fractions of classes among deployed series."""

import os

import numpy as np
import pytest
from numpy import ndarray
from scipy.optimize import minimize
from scipy.stats import beta

from throughtime.errors import DataError, ParameterError
from throughtime.shift import bbse_priors, em_priors, estimate_priors


def drawn(
    n: int, fractions: list[float], seed: int, *, distance: float = 2.0, scale: float = 1.0
) -> tuple[ndarray, ndarray]:
    """Classes, and logits of a network that was trained where they are equally frequent; scale 1 is calibrated."""
    rng = np.random.default_rng(seed)
    k = len(fractions)
    codes = rng.choice(k, n, p=fractions)
    x = distance * np.eye(k)[codes] + rng.normal(size=(n, k))
    return scale * distance * x, codes


EQUAL = [1 / 3] * 3


@pytest.mark.parametrize("seed", range(5))
def test_bbse_is_exact_on_the_exact_confusion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.dirichlet(np.ones(4), size=4).T
    fractions = rng.dirichlet(np.ones(4))
    np.testing.assert_allclose(bbse_priors(matrix, matrix @ fractions), fractions, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_bbse_is_the_least_squares_solution_on_the_simplex(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.dirichlet(np.full(4, 2.0), size=4).T
    predicted = rng.dirichlet(np.full(4, 0.3))  # for which a plain solve has fractions below 0
    expected = minimize(
        lambda q: ((matrix @ q - predicted) ** 2).sum(),
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        options={"ftol": 1e-14},
    ).x
    found = bbse_priors(matrix, predicted)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found >= 0).all()


def test_each_step_of_em_raises_the_likelihood() -> None:
    logits, _ = drawn(200, [0.7, 0.2, 0.1], 0)
    posteriors = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reference = np.array(EQUAL)
    likelihoods = [
        np.log(posteriors / reference @ em_priors(posteriors, reference, iterations=steps, tolerance=0)).sum()
        for steps in range(8)
    ]
    assert (np.diff(likelihoods) > 0).all()


def test_em_ends_where_no_fractions_are_likelier() -> None:
    """Karush-Kuhn-Tucker: the slope along each class is 1, or less for a class of fraction 0."""
    logits, _ = drawn(300, [0.8, 0.2, 0.0], 1)
    posteriors = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = em_priors(posteriors, np.array(EQUAL), iterations=100_000, tolerance=1e-12)
    slopes = (posteriors / EQUAL / (posteriors / EQUAL @ found)[:, None]).mean(0)
    np.testing.assert_allclose(slopes[:2], 1, atol=1e-6)
    assert slopes[2] < 1 + 1e-6
    assert found[2] < 1e-3


def test_em_sees_no_shift_where_deployed_series_are_as_the_reference_however_unequal_its_classes() -> None:
    fractions = np.array([0.7, 0.2, 0.1])
    logits, codes = drawn(20_000, list(fractions), 2)
    odds = np.exp(logits) * fractions
    found = em_priors(odds / odds.sum(1, keepdims=True), fractions)
    np.testing.assert_allclose(found, np.bincount(codes) / 20_000, atol=0.01)  # three standard errors


def test_em_counts_classes_that_are_certain() -> None:
    codes = np.repeat([0, 1, 2], [5, 3, 2])
    np.testing.assert_allclose(em_priors(np.eye(3)[codes], np.array(EQUAL)), [0.5, 0.3, 0.2])


@pytest.mark.parametrize("method", ["EM", "BBSE", "BBSE soft", "labels"])
@pytest.mark.parametrize("scale", [1.0, 3.0])  # calibrated, and too confident
def test_planted_fractions_are_found_within_the_interval(method: str, scale: float) -> None:
    logits, codes = drawn(600, EQUAL, 0, scale=scale)
    deployed, truth = drawn(600, [0.6, 0.3, 0.1], 1, scale=scale)
    given = truth if method == "labels" else None
    found = estimate_priors(logits, codes, deployed, given, method=method, level=0.99, repeats=100)  # type: ignore[arg-type]
    actual = np.bincount(truth) / 600
    np.testing.assert_allclose(found.deployed, actual, atol=0.05)
    assert (found.low <= actual).all()
    assert (found.high >= actual).all()
    assert (found.low > found.reference)[0]  # what moved is seen to have moved
    assert found.method == method


def test_calibrated_em_errs_less_than_either_bbse_and_than_em_on_raw_probabilities() -> None:
    errors: dict[str, list[float]] = {"EM": [], "BBSE": [], "BBSE soft": [], "raw": []}
    for seed in range(20):
        fractions = np.random.default_rng(seed).dirichlet(np.full(3, 2.0))
        logits, codes = drawn(300, EQUAL, 100 + seed, distance=1.2, scale=2.5)
        deployed, _ = drawn(200, list(fractions), 200 + seed, distance=1.2, scale=2.5)
        for method in ("EM", "BBSE", "BBSE soft"):
            found = estimate_priors(logits, codes, deployed, method=method, repeats=1)  # type: ignore[arg-type]
            errors[method].append(np.abs(found.deployed - fractions).mean())
        raw = np.exp(deployed - deployed.max(1, keepdims=True))
        raw /= raw.sum(1, keepdims=True)
        errors["raw"].append(np.abs(em_priors(raw, np.bincount(codes) / 300) - fractions).mean())
    means = {name: np.mean(values) for name, values in errors.items()}
    assert means["EM"] == min(means.values())


def test_without_labels_em_is_chosen_and_with_labels_they_are_counted() -> None:
    logits, codes = drawn(200, EQUAL, 0)
    deployed, truth = drawn(100, EQUAL, 1)
    assert estimate_priors(logits, codes, deployed, repeats=2).method == "EM"
    assert estimate_priors(logits, codes, deployed, truth, repeats=2).method == "labels"
    assert estimate_priors(logits, codes, None, truth, repeats=2).method == "labels"


def test_a_network_that_hardly_tells_the_classes_apart_says_nothing_of_their_fractions() -> None:
    logits, codes = drawn(600, EQUAL, 0, distance=0.1)
    deployed, _ = drawn(600, [0.9, 0.05, 0.05], 1, distance=0.1)
    found = estimate_priors(logits, codes, deployed)
    assert found.method == "none"
    assert found.singular_value < 0.2
    np.testing.assert_array_equal(found.deployed, found.reference)
    np.testing.assert_array_equal(found.low, 0)
    np.testing.assert_array_equal(found.high, 1)
    assert "singular value" in found.reason


def test_bbse_stands_in_where_calibration_fails() -> None:
    logits, codes = drawn(300, EQUAL, 0, scale=1e5)  # certain, and wrong in some
    found = estimate_priors(logits, codes, logits, repeats=2)
    assert found.method == "BBSE"
    assert "calibration failed" in found.reason


def test_the_singular_value_is_one_for_a_network_without_errors_and_zero_for_classes_taken_for_each_other() -> None:
    codes = np.arange(30) % 3
    perfect = 5 * np.eye(3)[codes]
    assert estimate_priors(perfect, codes, perfect, repeats=2).singular_value == pytest.approx(1)
    blind = 5 * np.eye(3)[np.maximum(codes, 1)]
    assert estimate_priors(blind, codes, blind, repeats=2).singular_value == pytest.approx(0, abs=1e-12)


def test_fractions_of_labels_are_theirs_with_an_interval_of_one_series_more_of_a_class_and_of_none() -> None:
    logits, codes = drawn(100, [0.5, 0.3, 0.2], 0)
    truth = np.repeat([0, 1], [30, 10])
    found = estimate_priors(logits, codes, None, truth, repeats=4000)
    np.testing.assert_array_equal(found.reference, np.bincount(codes) / 100)
    np.testing.assert_array_equal(found.deployed, [0.75, 0.25, 0.0])
    expected = beta.ppf([[0.025], [0.975]], [31, 11, 1], [11, 31, 41])
    expected[0, 2] = 0  # an interval holds its estimate
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.01)  # of 4,000 samples


def test_labels_of_one_class_among_many_leave_no_other_a_fraction() -> None:
    codes = np.arange(120) % 12
    found = estimate_priors(5 * np.eye(12)[codes], codes, None, np.zeros(12, int))
    np.testing.assert_array_equal(found.deployed, np.eye(12)[0])
    assert found.low[0] > 0.7  # of a beta distribution (13, 1), whose quantile of .025 is .753
    assert found.high[0] == 1


def test_an_estimate_without_labels_rules_no_class_out() -> None:
    logits, codes = drawn(300, EQUAL, 0)
    deployed, _ = drawn(40, [0.5, 0.5, 0.0], 1)
    found = estimate_priors(logits, codes, deployed, method="EM", repeats=2)
    assert found.deployed.min() >= 1 / 43
    np.testing.assert_array_equal(found.reference, np.bincount(codes) / 300)


@pytest.mark.parametrize("method", ["EM", "labels"])
def test_groups_that_share_a_class_widen_the_interval(method: str) -> None:
    logits, codes = drawn(300, EQUAL, 0)
    deployed, truth = drawn(300, EQUAL, 1)
    order = np.argsort(truth)
    groups = np.arange(300) // 25

    def width(groups: ndarray | None) -> float:
        found = estimate_priors(
            logits, codes, deployed[order], truth[order], method=method, deployed_groups=groups, repeats=50
        )  # type: ignore[call-overload]
        return float((found.high - found.low).mean())

    assert width(groups) > 2 * width(None)


@pytest.mark.skipif("THROUGHTIME_SOAK" not in os.environ, reason="minutes long: make soak")
@pytest.mark.parametrize("method", ["EM", "BBSE", "labels"])
def test_intervals_cover_the_fractions_as_often_as_they_say(method: str) -> None:
    fractions, covered = [0.6, 0.3, 0.1], []
    for seed in range(150):
        logits, codes = drawn(300, EQUAL, 2 * seed, distance=1.3, scale=2)
        deployed, truth = drawn(200, fractions, 2 * seed + 1, distance=1.3, scale=2)
        given = truth if method == "labels" else None
        found = estimate_priors(logits, codes, deployed, given, method=method, repeats=100)  # type: ignore[arg-type]
        covered.append((found.low <= fractions) & (fractions <= found.high))
    assert 0.88 <= np.mean(covered) <= 0.99


def test_a_seed_gives_the_same_interval_again() -> None:
    logits, codes = drawn(100, EQUAL, 0)
    one, same, other = (estimate_priors(logits, codes, logits, repeats=5, random_state=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.low, same.low)
    assert (one.low != other.low).any()


@pytest.mark.usefixtures("types_unchecked")
def test_priors_that_cannot_be_estimated_are_refused() -> None:
    logits, codes = drawn(60, EQUAL, 0)
    with pytest.raises(DataError, match="none of class number 2"):
        estimate_priors(logits[codes < 2], codes[codes < 2], logits)
    with pytest.raises(ParameterError, match="need the classes of the deployed series"):
        estimate_priors(logits, codes, logits, method="labels")
    with pytest.raises(ParameterError, match="priors by EM need logits"):
        estimate_priors(logits, codes, None, codes, method="EM")
    with pytest.raises(DataError, match="finite logits"):
        estimate_priors(np.full((3, 3), np.nan), np.arange(3), logits)
