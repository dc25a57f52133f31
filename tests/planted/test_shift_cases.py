"""The planted shifts: what stays in each, that sizes are the oracle's, that kind, seed and size say all of a case."""

from typing import get_args

import numpy as np
import pytest
from scipy.stats import ks_2samp
from shift_cases import DEVELOPMENT, HELD_OUT, KINDS, Drawn, Law, Part, Shift, TargetForm, case
from sklearn.linear_model import LogisticRegression

N = 3000
FORMS = get_args(TargetForm)
PARTS = get_args(Part)


def shift(form: TargetForm, *parts: Part, seed: int = 0) -> Shift:
    return Shift(Law(form, seed), parts, 300, 250)


def numbers(drawn: Drawn) -> np.ndarray:
    return drawn.y if drawn.y.ndim == 1 else np.mean(drawn.y, 1, where=drawn.valid)


def test_development_and_held_out_seeds_are_apart() -> None:
    assert not set(DEVELOPMENT) & set(HELD_OUT)
    assert len(HELD_OUT) * len(KINDS) >= 500


@pytest.mark.parametrize("form", FORMS)
def test_a_case_follows_from_its_kind_seed_and_size(form: TargetForm) -> None:
    one, same, larger, other = (case("label + covariate", *key, form=form) for key in ((3,), (3,), (3, 2.0), (4,)))
    assert one.deployed.series == same.deployed.series
    np.testing.assert_array_equal(one.deployed.y, same.deployed.y)
    assert one.reference.series == larger.reference.series == case("none", 3, form=form).reference.series
    assert one.deployed.series != larger.deployed.series
    assert one.reference.series != other.reference.series
    assert one.fresh(9).series == one.fresh(9).series != one.fresh(9, stream=1).series
    assert set(one.reference.lengths) <= set(range(12, 31))


def test_the_posterior_is_the_law_s() -> None:
    for seed in range(3):
        drawn = Law("classes", seed).draw(np.random.default_rng(0), N)
        for c in range(3):
            said = np.exp(drawn.known[:, c])
            for low in (0.1, 0.4, 0.7):
                own = (said > low) & (said < low + 0.2)
                error = (drawn.y[own] == c).mean() - said[own].mean()
                assert abs(error) < 3.5 * 0.5 / np.sqrt(own.sum()), (seed, c, low)


@pytest.mark.parametrize("form", FORMS)
def test_only_what_is_said_shifts(form: TargetForm) -> None:
    """By the statistic that is tilted, what stays of x, y and their relation."""
    rng = np.random.default_rng(0)
    for part in PARTS:
        planted = shift(form, part)
        before, after = planted.law.draw(rng, N), planted.draw(rng, N, {part: 1.5 * planted.oracle[part]})
        moved = {"label": ks_2samp(numbers(before), numbers(after)).pvalue < 1e-6}
        for name in ("relevant", "irrelevant"):
            moved[name] = ks_2samp(*(planted.law.statistic(name, one) for one in (before, after))).pvalue < 1e-6
        # what is relevant and the target move each other
        together = {part, "label" if part == "relevant" else "relevant" if part == "label" else part}
        if part == "concept":
            together = {"label"} if planted.law.concept == "bias" else set()
        assert {name for name, value in moved.items() if value} == together, part


@pytest.mark.parametrize("form", FORMS)
def test_covariate_shift_keeps_the_target_given_the_series_and_concept_shift_does_not(form: TargetForm) -> None:
    rng = np.random.default_rng(1)
    for part in PARTS:
        planted = shift(form, part)
        drawn = planted.draw(rng, N, {part: 1.5 * planted.oracle[part]})
        if form == "classes":  # the probability given to the class that it is, less what that is on average
            given = np.exp(drawn.known)
            score = np.square(given).sum(1) - given[np.arange(N), drawn.y]
        else:
            score = planted.law.concept_log_ratio(drawn, 0.01) / 0.01
        z = score.mean() / (score.std() / np.sqrt(N))
        assert abs(z) < 4 if part in ("relevant", "irrelevant") else z > 5 if part == "concept" else True, part


def test_label_shift_keeps_the_series_given_their_class() -> None:
    planted = shift("classes", "label")
    rng = np.random.default_rng(2)
    before, after = planted.law.draw(rng, N), planted.draw(rng, N, {"label": 1.0})
    for c in range(3):
        for part in ("relevant", "irrelevant"):
            sides = [planted.law.statistic(part, one.take(np.flatnonzero(one.y == c))) for one in (before, after)]
            assert ks_2samp(*sides).pvalue > 1e-3


@pytest.mark.parametrize(("form", "part"), [("classes", "label"), ("classes", "concept"), ("numbers", "concept")])
def test_the_oracle_finds_a_shift_of_its_size_in_95_of_100(form: TargetForm, part: Part) -> None:
    """Against draws: its power is stated by an approximation."""
    planted, rng = shift(form, part), np.random.default_rng(3)
    sides = planted.law.draw(rng, 100 * 300), planted.draw(rng, 100 * 250, planted.oracle)
    reference, deployed = (planted.log_ratio(part, one, planted.oracle[part]).reshape(100, -1) for one in sides)
    error = np.concatenate([reference, deployed], axis=1).std(1) * np.sqrt(1 / 300 + 1 / 250)
    assert 88 <= ((deployed.mean(1) - reference.mean(1)) / error > 1.645).sum() < 100


def test_the_density_ratio_of_a_tilt_is_what_a_classifier_finds() -> None:
    planted = shift("classes", "irrelevant")
    rng = np.random.default_rng(4)
    sides = planted.law.draw(rng, N), planted.draw(rng, N, {"irrelevant": 0.8})
    tilt = np.concatenate([planted.tilt("irrelevant", one) for one in sides])
    domain = LogisticRegression(C=1e6).fit(tilt[:, None], np.repeat([0, 1], N))
    np.testing.assert_allclose(domain.coef_[0, 0], 0.8, atol=0.1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_those_of_the_draws(form: TargetForm, kind: str) -> None:
    """A density ratio is 1 on average before the shift, and its inverse after it."""
    one = case(kind, 0, 1.0, form=form)
    before, after = one.shift.law.draw(np.random.default_rng(5), N), one.fresh(N)
    for ratio in (
        np.exp(one.shift.log_density_ratio(before, one.t)),
        np.exp(-one.shift.log_density_ratio(after, one.t)),
    ):
        assert abs(ratio.mean() - 1) <= 4 * ratio.std() / np.sqrt(N) + 0.03
