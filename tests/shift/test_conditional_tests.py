"""What stays: p(y given x) under covariate shift, p(x given y) under label shift; under concept shift neither."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedded import Kind, embedding
from throughtime.errors import DataError
from throughtime.findings import NotApplicable
from throughtime.shift import (
    Embedding,
    ShiftTest,
    concept_test,
    series_given_target_test,
    target_given_series_test,
)
from throughtime.shift.partial import Columns, partial_test
from throughtime.shift.sides import sides_of

TESTS = {
    "concept": concept_test,
    "Y given X": target_given_series_test,
    "X given Y": series_given_target_test,
}
#: Which tests a kind of shift leaves silent, and which it moves.
MOVED: dict[Kind, tuple[str, ...]] = {
    "none": (),
    "covariate": ("X given Y",),
    "relevant covariate": ("X given Y",),
    "label": ("Y given X",),
    "concept": ("concept",),
    "label and covariate": ("Y given X", "X given Y"),
}


def p_of(name: str, reference: Embedding, deployed: Embedding, permutations: int = 99) -> float:
    found = TESTS[name](reference, deployed, permutations=permutations)
    assert isinstance(found, ShiftTest)
    assert found.name == name
    return found.p_value


@pytest.mark.parametrize("kind", MOVED)
def test_each_kind_of_shift_moves_its_tests_and_no_others(kind: Kind) -> None:
    small = [[p_of(name, embedding(seed=s), embedding(kind, seed=50 + s)) <= 0.05 for name in TESTS] for s in range(6)]
    for name, found in zip(TESTS, np.array(small).T, strict=True):
        # 3 of 6 false alarms at .05 have a chance of .002
        assert found.sum() >= 5 if name in MOVED[kind] else found.sum() <= 2, name


@pytest.mark.parametrize("kind", ["none", "label", "covariate"])
def test_concept_shift_is_not_seen_where_there_is_none(kind: Kind) -> None:
    found = [p_of("concept", embedding(seed=s, n=120), embedding(kind, seed=50 + s, n=120)) for s in range(40)]

    assert np.sum(np.array(found) <= 0.05) <= 6  # of 40 at .05, with a chance of .99


def test_a_swap_is_found_between_the_classes_that_were_swapped() -> None:
    found = concept_test(embedding(), embedding("concept"))

    assert isinstance(found, ShiftTest)
    assert found.most == "classes ebb and flow"
    assert found.low > 0
    assert found.low < found.effect < found.high


def test_a_constant_added_to_numbers_is_an_error_but_no_turned_relation() -> None:
    reference = embedding(numbers=True)
    deployed = embedding(numbers=True, seed=7)
    biased = replace(deployed, target=deployed.target + 0.5)
    turned = replace(deployed, target=deployed.target + 0.6 * deployed.summaries[:, 2])

    assert p_of("Y given X", reference, deployed) > 0.05
    assert p_of("Y given X", reference, biased) <= 0.05
    assert p_of("concept", reference, biased) > 0.05
    found = concept_test(reference, turned)
    assert isinstance(found, ShiftTest)
    assert found.p_value <= 0.05
    assert found.most == "the error by c mean"


def test_a_partial_correlation_is_that_of_what_the_others_leave(rng: np.random.Generator) -> None:
    given, column = rng.normal(size=(60, 3)), rng.normal(size=(60, 1))
    column += given[:, :1]
    side = np.arange(60) >= 25
    sides = sides_of(column[:25], column[25:], 99, 0)

    found = partial_test("it", [Columns(column, ["one"])], given, sides)

    others = np.column_stack([np.ones(60), given])
    left = [v - others @ np.linalg.lstsq(others, v, rcond=None)[0] for v in (column[:, 0], side.astype(float))]
    assert found is not None
    assert found.effect == pytest.approx(np.corrcoef(*left)[0, 1], rel=1e-10)


def test_what_the_others_explain_is_not_tested(rng: np.random.Generator) -> None:
    given = rng.normal(size=(40, 2))
    sides = sides_of(given[:20], given[20:], 19, 0)

    assert partial_test("it", [Columns(given @ [[1.0], [2.0]], ["one"])], given, sides) is None
    assert partial_test("it", [Columns(given, ["a", "b"])], rng.normal(size=(40, 60)), sides) is None


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("numbers", [False, True])
def test_series_of_one_subject_are_no_evidence_of_their_own(name: str, numbers: bool) -> None:
    """Five subjects a side, each with a place of its own for a channel that says nothing of the target."""
    p = [
        p_of(name, *(embedding(n=100, seed=2 * s + side, groups=5, numbers=numbers) for side in (0, 1)))
        for s in range(20)
    ]

    assert np.sum(np.array(p) <= 0.05) <= 4  # of 20 at .05, with a chance of .997


def test_series_alone_would_alarm_where_subjects_differ() -> None:
    pairs = [[embedding(n=100, seed=2 * s + side, groups=5) for side in (0, 1)] for s in range(10)]
    p = [p_of("X given Y", *(replace(one, groups=None, unit="series") for one in pair)) for pair in pairs]

    assert np.sum(np.array(p) <= 0.05) >= 5


@pytest.mark.parametrize("kept", [1, 2])
def test_a_concept_needs_two_classes_with_some_series(kept: int) -> None:
    deployed = embedding()
    assert deployed.target is not None
    few = np.flatnonzero(deployed.target == 1)[: 4 if kept == 2 else 0]
    own = np.concatenate([np.flatnonzero(deployed.target == 0), few])
    fewer = part(deployed, own)

    found = concept_test(embedding(seed=3), fewer)

    assert isinstance(found, NotApplicable)
    assert "two classes" in found.reason


def part(whole: Embedding, rows: np.ndarray) -> Embedding:
    names = ("summaries", "outputs", "states", "member", "target")
    own: dict[str, Any] = {name: getattr(whole, name)[rows] for name in names}
    return replace(whole, **own)


@pytest.mark.parametrize("test", TESTS.values())
def test_targets_of_one_kind_are_needed_on_both_sides(test: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match="need targets on both sides"):
        test(embedding(), replace(embedding(seed=1), target=None))
    with pytest.raises(DataError, match="classes or numbers on both sides"):
        test(embedding(), replace(embedding(seed=1), target=np.zeros(150)))


def test_the_same_seed_gives_the_same_p() -> None:
    one, other = embedding(), embedding("label")

    for test in TESTS.values():
        assert test(one, other, random_state=3) == test(one, other, random_state=3)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
