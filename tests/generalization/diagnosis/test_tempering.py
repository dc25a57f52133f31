"""Tempering: outputs are drawn toward the dummy's, as far as the other folds say and never away from them."""

import numpy as np
import pytest
from numpy import ndarray
from scipy.special import log_softmax, logit

from throughtime.generalization.diagnosis.losses import ClassLosses, Losses, Scored, SquaredErrors

FOLDS, SIZE = 4, 10
N = FOLDS * SIZE
EXACT = 1e-5  # 20 halvings of the interval from 0 to 1


def classes(right: int, loudness: float, prior: float = 0.5) -> list[Scored]:
    """Two classes; in each fold ``right`` of the outputs, all of one loudness, name the true one."""
    center = np.log([1 - prior, prior])
    named = np.where(np.arange(SIZE) % 2, 1, -1)
    truth = np.where(np.arange(SIZE) < right, named > 0, named < 0).astype(int)
    outputs = log_softmax(center + np.column_stack([0 * named, loudness * named]), 1)
    return [Scored(truth, SIZE * fold + np.arange(SIZE), outputs, center) for fold in range(FOLDS)]


def numbers(rng: np.random.Generator, slope: float) -> list[Scored]:
    """Outputs about a mean of 3, of which the truth is as many times as far away, with noise."""
    found = []
    for fold in range(FOLDS):
        away = rng.normal(size=SIZE)
        truth = 3 + slope * away + 0.3 * rng.normal(size=SIZE)
        found.append(Scored(truth, SIZE * fold + np.arange(SIZE), 3 + away[:, None], np.array([3.0])))
    return found


def class_losses(weights: ndarray | None = None) -> ClassLosses:
    return ClassLosses(N, np.ones(N) if weights is None else weights)


def number_losses() -> SquaredErrors:
    return SquaredErrors(N, np.ones(N))


@pytest.mark.parametrize("right", [6, 7, 9])
@pytest.mark.parametrize("loudness", [3.0, 8.0])
def test_too_loud_a_net_says_what_it_is_right_by(right: int, loudness: float) -> None:
    tests = classes(right, loudness)
    expected = logit(right / SIZE) / loudness  # where the tempered probability is the frequency of being right
    np.testing.assert_allclose(class_losses().scales(tests), expected, atol=EXACT)
    tempered = class_losses().out_of_fold(tests, tests).tempered
    p = right / SIZE
    assert tempered.mean() == pytest.approx(-p * np.log(p) - (1 - p) * np.log(1 - p), abs=EXACT)


def test_numbers_are_drawn_to_the_mean_as_least_squares_says() -> None:
    tests = numbers(np.random.default_rng(0), 0.4)
    for fold, scale in enumerate(number_losses().scales(tests)):
        others = [one for number, one in enumerate(tests) if number != fold]
        away = np.concatenate([one.outputs[:, 0] - 3 for one in others])
        left = np.concatenate([one.truth - 3 for one in others])
        assert scale == pytest.approx(away @ left / (away @ away), abs=EXACT)


@pytest.mark.parametrize(("losses", "timid"), [(class_losses(), classes(10, 0.5)),
                                               (number_losses(), numbers(np.random.default_rng(1), 2.5))])  # fmt: skip
def test_a_timid_net_is_left_as_it_is(losses: Losses, timid: list[Scored]) -> None:
    np.testing.assert_allclose(losses.scales(timid), 1, atol=EXACT)
    out = losses.out_of_fold(timid, timid)
    np.testing.assert_allclose(out.tempered, out.raw, rtol=1e-4)


@pytest.mark.parametrize(("losses", "wrong"), [(class_losses(), classes(2, 4.0, prior=0.3)),
                                               (number_losses(), numbers(np.random.default_rng(2), -0.8))])  # fmt: skip
def test_a_net_that_is_worse_than_guessing_becomes_the_dummy(losses: Losses, wrong: list[Scored]) -> None:
    out = losses.out_of_fold(wrong, wrong)
    np.testing.assert_allclose(out.tempered, out.chance, atol=1e-3)
    assert out.raw.mean() > out.chance.mean() + 0.1


@pytest.mark.parametrize("folds", [FOLDS, N])  # one per series: as leave-one-out
def test_a_fold_is_tempered_by_the_truth_of_others_alone(folds: int) -> None:
    tests = classes(7, 4.0)
    if folds == N:
        tests = [Scored(one.truth[[i]], one.example[[i]], one.outputs[[i]], one.center)
                 for one in tests for i in range(SIZE)]  # fmt: skip
    before = class_losses().scales(tests)
    turned = 1
    one = tests[turned]
    tests[turned] = Scored(1 - one.truth, one.example, one.outputs, one.center)
    after = class_losses().scales(tests)
    assert after[turned] == before[turned]
    assert all(a != b for k, (a, b) in enumerate(zip(after, before, strict=True)) if k % 10 != turned % 10)


def test_a_series_counts_once_whatever_its_steps_and_by_its_weight() -> None:
    once = classes(7, 5.0)
    longer = [
        Scored(
            *(np.repeat(part, 1 + np.arange(SIZE), axis=0) for part in (one.truth, one.example, one.outputs)),
            one.center,
        )
        for one in once
    ]
    np.testing.assert_allclose(class_losses().scales(longer), class_losses().scales(once), atol=EXACT)
    np.testing.assert_allclose(
        class_losses().out_of_fold(longer, longer).tempered, class_losses().out_of_fold(once, once).tempered, rtol=1e-4
    )
    # of weights that leave the right alone, no net is too loud
    sure = np.tile(np.arange(SIZE) < 7, FOLDS).astype(float)
    np.testing.assert_allclose(class_losses(sure).scales(once), 1, atol=EXACT)


def test_losses_are_what_their_names_say() -> None:
    center = np.log([0.2, 0.3, 0.5])
    outputs = np.log([[0.1, 0.6, 0.3], [0.7, 0.2, 0.1]])
    truth = np.array([1, 2])
    out = ClassLosses(3, np.ones(3)).out_of_fold(
        [Scored(truth[[k]], np.array([k]), outputs[[k]], center) for k in range(2)],
        [Scored(truth, np.arange(2), outputs, center)],
    )
    np.testing.assert_allclose(out.raw, [-np.log(0.6), -np.log(0.1), np.nan])
    np.testing.assert_allclose(out.leak, [0.1**2 + 0.4**2 + 0.3**2, 0.7**2 + 0.2**2 + 0.9**2, np.nan])
    np.testing.assert_allclose(out.chance, [-np.log(0.3), -np.log(0.5), np.nan])
    np.testing.assert_allclose(out.leak_chance, [0.2**2 + 0.7**2 + 0.5**2, 0.2**2 + 0.3**2 + 0.5**2, np.nan])
    assert out.train == pytest.approx((-np.log(0.6) - np.log(0.1)) / 2)
