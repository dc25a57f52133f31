"""What ``diagnose`` says of planted cases: each verdict and its finding on its plant, and silence on the control.

GEN019, how far back a task looks, is planted beside the history probe, in ``tests/generalization/diagnosis``.
"""

from functools import cache
from typing import Any

import pytest
from verdict_cases import case

from throughtime import diagnose
from throughtime.generalization import Diagnosis

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")


@cache
def diagnosed(kind: str, seed: int, probes: tuple[str, ...] | None = None, **others: Any) -> Diagnosis:
    one = case(kind, seed)
    arguments = {"cv": one.plan.cv, "groups": one.drawn.groups, "probes": ["auto", *one.plan.asked]}
    if probes is not None:
        arguments["probes"] = list(probes)
    return diagnose(one.estimator, one.drawn.X, one.drawn.y, **arguments | others)


def found(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings if finding.verdict == "found"}


#: Verdict, finding, and a fast case of it.
PLANTS = [
    ("leaky", "GEN010", "leaky", 0),
    ("no signal", "GEN011", "no signal regression", 0),
    ("not optimized", "GEN012", "not optimized", 0),
    ("under-fit", "GEN013", "under-fit", 1),
    ("over-fit", "GEN014", "over-fit", 0),
    ("data-limited", "GEN015", "data-limited regression", 0),
    ("noise- or feature-limited", "GEN016", "missing feature", 0),
]


@pytest.mark.parametrize(
    ("verdict", "code", "kind", "seed"), PLANTS, ids=[f"{kind} {seed}" for _, _, kind, seed in PLANTS]
)
def test_the_plant_is_named_with_its_remedy(verdict: str, code: str, kind: str, seed: int) -> None:
    one = diagnosed(kind, seed)
    assert one.verdict == verdict
    assert code in found(one)
    if verdict in ("leaky", "no signal"):
        assert one.remedy is None
    else:
        assert one.remedy is not None
        assert one.remedy.gain > one.margin
        assert one.remedy.low > 0
    # of noise learned by heart, it may stay open what is beneath
    assert verdict == "over-fit" or not one.open_question


# of a seed that has no error in any fold: of one that has some, whether they could be avoided is open
@pytest.mark.parametrize(("kind", "seed"), [("healthy", 2), ("healthy groups", 0)])
def test_a_healthy_fit_is_left_alone(kind: str, seed: int) -> None:
    one = diagnosed(kind, seed)
    assert one.verdict == "healthy"
    assert one.remedy is None
    assert found(one) <= {"GEN017"}
    assert not one.open_question


def test_what_would_help_is_named() -> None:
    assert diagnosed("under-fit", 1).remedy.parameters == {"weight_decay": 0.0}  # type: ignore[union-attr]
    assert diagnosed("missing feature", 0).remedy.parameters == {"features": "diff"}  # type: ignore[union-attr]
    assert set(diagnosed("not optimized", 0).remedy.parameters) <= {"lr", "max_epochs"}  # type: ignore[union-attr]


def test_leaks_are_seen_only_where_groups_are_handed_over() -> None:
    one = case("leaky", 0)
    arguments = {"cv": one.plan.cv, "probes": ["whole groups", "max_epochs /3"], "repeats": 1}
    unknown = diagnose(one.estimator, one.drawn.X, one.drawn.y, **arguments)
    known = diagnose(one.estimator, one.drawn.X, one.drawn.y, groups=one.drawn.groups, **arguments)
    assert known.verdict == "leaky"
    assert "GEN010" in found(known)
    assert unknown.verdict != "leaky"
    assert "GEN010" not in found(unknown)
    # and folds of a number keep groups whole, which then cannot leak
    whole = diagnose(one.estimator, one.drawn.X, one.drawn.y, groups=one.drawn.groups, **arguments | {"cv": 5})
    assert "GEN010" not in found(whole)
    assert whole.loss > known.loss


def test_a_gap_alone_is_harmless() -> None:
    assert "GEN017" in found(diagnosed("noise-limited regression", 0))
    assert diagnosed("noise-limited regression", 0).verdict == "noise- or feature-limited"
    assert "GEN017" not in found(diagnosed("not optimized", 0))


@pytest.mark.parametrize(("kind", "breaks"), [("augmentation breaks", True), ("augmentation wins", False)])
def test_an_augmentation_that_breaks_the_label_is_no_cure(kind: str, breaks: bool) -> None:
    one = diagnosed(kind, 0, ("augment:permutation:4",), repeats=1, cv=3)
    assert ("GEN018" in found(one)) == breaks
    if breaks:
        assert one.remedy is None or "augment" not in one.remedy.parameters


@pytest.mark.parametrize(("kind", "seed"), [("not optimized", 0), ("no signal regression", 0)])
def test_racing_spares_members_and_leaves_the_verdict(kind: str, seed: int) -> None:
    raced, full = diagnosed(kind, seed), diagnosed(kind, seed, racing=False)
    assert raced.verdict == full.verdict
    assert raced.members_saved >= 0.2 * full.members
    # what they differ by is what racing spared, and what it tried further
    assert raced.members + raced.members_saved == full.members
    assert raced.loss == full.loss
