"""The rules that name a shift, on p-values and likelihoods as given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.shift.explanations import Explanations
from throughtime.shift.naming import adjusted, name_shift, name_without_labels

NOTHING = {"X": 0.5, "Y": 0.5, "concept": 0.5, "Y given X": 0.5, "X given Y": 0.5, "outputs": 0.5}
LABEL, COVARIATE = Explanations(9, 4, 0), Explanations(4, 9, 0)

chances = st.floats(0.001, 1)


def named(explained: Explanations = LABEL, *, of_classes: bool = True, **p: float) -> str:
    names = {"y_given_x": "Y given X", "x_given_y": "X given Y"}
    return name_shift(
        NOTHING | {names.get(key, key): value for key, value in p.items()}, explained, of_classes=of_classes
    )


def test_holm_is_the_procedure_of_his_paper() -> None:
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.5, 0.9]) == [1.0, 1.0]


@given(st.lists(chances, min_size=3, max_size=3))
def test_no_shift_is_named_unless_a_test_rejects_among_three(p: list[float]) -> None:
    own = dict(zip(("X", "Y", "concept"), p, strict=True))

    assert (named(**own) == "none detected") == (min(p) > 0.05 / 3)


def test_each_kind_of_classes_has_its_name() -> None:
    assert named(concept=0.001) == "concept"
    assert named(concept=0.001, X=0.02) == "mixed"
    assert named(concept=0.001, Y=0.02) == "mixed"
    assert named(LABEL, X=0.001, Y=0.001, y_given_x=0.01) == "label"
    assert named(COVARIATE, X=0.001, Y=0.001, x_given_y=0.01) == "covariate"
    assert named(LABEL, X=0.001, Y=0.001, y_given_x=0.01, x_given_y=0.05) == "mixed"


def test_each_kind_of_numbers_has_its_name() -> None:
    assert named(y_given_x=0.001, Y=0.001, x_given_y=0.01, of_classes=False) == "concept"
    assert named(y_given_x=0.001, of_classes=False) == "concept"
    assert named(y_given_x=0.001, Y=0.001, x_given_y=0.01, outputs=0.01, of_classes=False) == "mixed"
    assert named(LABEL, X=0.001, Y=0.001, y_given_x=0.1, of_classes=False) == "label"
    assert named(COVARIATE, X=0.001, Y=0.001, x_given_y=0.01, of_classes=False) == "covariate"
    assert named(Explanations(4, 3, 9), Y=0.001, y_given_x=0.001, of_classes=False) == "concept"


def test_a_concept_test_of_numbers_alone_is_not_in_the_family() -> None:
    assert named(concept=0.001, of_classes=False) == "none detected"


def test_a_second_cause_needs_a_small_p_or_the_smallest() -> None:
    """Holm rejects .04 of concept after X and Y, which label shift alone moves."""
    assert named(LABEL, X=0.005, Y=0.004, concept=0.04) == "label"
    assert named(LABEL, X=0.005, Y=0.004, concept=0.01) == "mixed"
    assert named(LABEL, X=0.015, Y=0.5, concept=0.012) == "mixed"


def test_a_name_is_not_given_against_its_own_test() -> None:
    assert named(LABEL, X=0.001, Y=0.001, x_given_y=0.04) == "undetermined"
    assert named(COVARIATE, X=0.001, Y=0.001, y_given_x=0.04) == "undetermined"


@given(chances, chances)
def test_without_labels_neither_label_nor_concept_is_named(p_x: float, p_beyond: float) -> None:
    name = name_without_labels(p_x, p_beyond)

    assert (name == "none detected") == (p_x > 0.05)
    assert (name == "covariate") == (p_x <= 0.05 and p_beyond <= 0.05)
    assert name in ("none detected", "covariate", "undetermined")
