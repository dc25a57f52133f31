"""A level that is a chance, permutations that can reach it, and what a diagnosis could have found at it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedded import embedding, reference
from throughtime.errors import ParameterError
from throughtime.shift import (
    ShiftTest,
    concept_test,
    covariate_test,
    diagnose_shift,
    mean_shift_test,
    series_given_target_test,
    target_given_series_test,
    target_test,
)
from throughtime.shift.largest_effect import largest_effect_test
from throughtime.shift.sides import sides_of

TESTS = {
    "X": covariate_test,
    "Y": target_test,
    "concept": concept_test,
    "Y given X": target_given_series_test,
    "X given Y": series_given_target_test,
}


@pytest.mark.parametrize("test", [*TESTS.values(), mean_shift_test])
@pytest.mark.parametrize("numbers", [False, True])
def test_at_a_smaller_level_more_is_needed_and_the_interval_stays(test: Callable[..., Any], numbers: bool) -> None:
    sides = embedding(numbers=numbers), embedding(seed=1, numbers=numbers)

    wide, narrow = (test(*sides, level=level, permutations=199) for level in (0.05, 0.01))

    assert narrow.detectable > wide.detectable
    assert replace(narrow, detectable=0) == replace(wide, detectable=0)
    with pytest.raises(ParameterError, match=r"^level needs a chance between 0 and .5, got 2$"):
        test(*sides, level=2)


def test_the_smallest_p_of_several_tests_has_each_at_a_part_of_the_level() -> None:
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(1000, 3))
    statistics = np.abs(effects).max(1)
    sides = sides_of(np.zeros((9, 1)), np.zeros((9, 1)), 999, 0)

    one = largest_effect_test("", statistics, effects, "sd", sides, level=0.04)
    of_four = largest_effect_test("", statistics, effects, "sd", sides, level=0.04, n_tests=4)

    assert of_four.detectable == largest_effect_test("", statistics, effects, "sd", sides, level=0.01).detectable
    assert of_four.high - of_four.effect == pytest.approx(np.quantile(statistics[1:], 1 - 0.05 / 4), rel=1e-12)
    assert one.high - one.effect == pytest.approx(np.quantile(statistics[1:], 1 - 0.05), rel=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.02])
@pytest.mark.parametrize("numbers", [False, True])
def test_a_diagnosis_says_what_holms_procedure_could_have_found(level: float, numbers: bool) -> None:
    whole, deployed = reference(numbers=numbers), embedding(seed=1, numbers=numbers)

    found = diagnose_shift(whole, deployed, level=level, permutations=199)

    family = ("X", "Y", "Y given X" if numbers else "concept")
    for name, test in TESTS.items():
        own = level / 3 if name in family else level
        alone = test(whole.embedding, deployed, level=own, permutations=199)
        assert isinstance(alone, ShiftTest)
        assert next(one for one in found.tests if one.name == name).detectable == alone.detectable
    detectable = next(test.detectable for test in found.tests if test.name == "X")
    assert f"a mean that moved by {detectable:.2g} sd would have been" in found.sentence


def test_without_labels_one_test_has_the_whole_level() -> None:
    whole, deployed = reference(), replace(embedding(seed=1), target=None)

    (found,) = diagnose_shift(whole, deployed, permutations=199).tests

    assert found.detectable == covariate_test(whole.embedding, deployed, permutations=199).detectable


@pytest.mark.parametrize(("permutations", "level", "least"), [(58, 0.05, 60), (999, 0.0005, 6000)])
def test_permutations_that_can_reject_nothing_are_refused(permutations: int, level: float, least: int) -> None:
    text = (
        rf"^permutations needs at least {least} for the smallest p of 3 tests .* level {level:g}, got {permutations}$"
    )
    with pytest.raises(ParameterError, match=text):
        diagnose_shift(reference(), embedding(), level=level, permutations=permutations)
    with pytest.raises(ParameterError, match=r"^permutations needs at least 100 for one test"):
        diagnose_shift(reference(), replace(embedding(), target=None), level=0.01, permutations=98)


@pytest.mark.parametrize(("labeled", "permutations"), [(True, 59), (False, 19)])
def test_as_few_as_can_reject_do(labeled: bool, permutations: int) -> None:
    deployed = embedding("relevant covariate", size=3.0)
    given = deployed if labeled else replace(deployed, target=None)

    assert diagnose_shift(reference(), given, permutations=permutations).verdict != "none detected"


@pytest.mark.parametrize("permutations", [18, 99.5, "99", True])
def test_permutations_are_a_whole_number(permutations: Any) -> None:
    with pytest.raises(ParameterError, match=r"^permutations needs a whole number of at least 19, got "):
        diagnose_shift(reference(), embedding(), permutations=permutations)
