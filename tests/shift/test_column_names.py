"""What a diagnosis says moved most: by label, and of steps by what their mean and deviation are of."""

from dataclasses import replace

import numpy as np
import pytest

from embedded import embedding, reference
from throughtime.shift import (
    Embedding,
    Reference,
    ShiftDiagnosis,
    covariate_test,
    diagnose_shift,
    predicted_class_test,
    target_test,
)
from throughtime.shift.records import ChannelShift
from throughtime.shift.sentences import sentence_of


def most(found: ShiftDiagnosis, name: str) -> str:
    (test,) = (test for test in found.tests if test.name == name)
    return test.most


def of_steps(n_classes: int, seed: int, moved: int | None = None, by: float = 3.0) -> Embedding:
    """Predictions per step of a number, or of classes: means and then deviations; one target may be moved."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(80, 2 * n_classes))
    target = outputs + 0.3 * rng.normal(size=outputs.shape)
    if moved is not None:
        target[:, moved] += by
    own = embedding(n=80, seed=seed)
    return replace(own, outputs=outputs, target=target, has_logits=False, class_labels=None)


@pytest.mark.parametrize("labeled", [True, False])
def test_a_logit_is_called_by_the_label_of_its_class(labeled: bool) -> None:
    deployed = embedding(seed=1)
    deployed.outputs[:, 2] += 6.0

    found = diagnose_shift(reference(), deployed if labeled else replace(deployed, target=None), permutations=99)

    assert most(found, "X") == "logit of class slack"
    if labeled:
        assert most(found, "X given Y") == "logit of class slack"
    (finding,) = (one for one in found.findings if one.code == "SHF006")
    assert finding.detail.endswith(", most logit of class slack")


def test_a_channel_called_as_a_class_keeps_its_name() -> None:
    names = ("class 1", "dose by class 0 mean", "class 2 mean", "d mean", "length")
    known = reference()
    whole = replace(known, embedding=replace(known.embedding, summary_names=names))
    for place in (0, 1, 2):
        deployed = replace(embedding(seed=1), summary_names=names)
        deployed.summaries[:, place] += 5.0

        assert most(diagnose_shift(whole, deployed, permutations=99), "X") == names[place]


def test_of_numbers_the_target_and_the_error_are_called_so() -> None:
    deployed = embedding(numbers=True, seed=1)
    deployed = replace(deployed, target=deployed.target + 3.0)

    found = diagnose_shift(reference(numbers=True), deployed, permutations=99)

    assert most(found, "Y") == "the target"
    assert most(found, "Y given X") == "the error"
    deployed.outputs[:] += 9.0
    assert most(diagnose_shift(reference(numbers=True), deployed, permutations=99), "X") == "the output"


@pytest.mark.parametrize(("moved", "statistic"), [(0, "mean"), (1, "deviation")])
def test_of_steps_the_mean_and_the_deviation_over_them_are_named(moved: int, statistic: str) -> None:
    whole = Reference(of_steps(1, 0), (), None, ("a", "b", "c", "d"))

    found = diagnose_shift(whole, of_steps(1, 1, moved), permutations=99)

    assert most(found, "Y") == f"the {statistic} over steps of the target"
    assert most(found, "Y given X") == f"the {statistic} over steps of the error"
    assert f"most for the {statistic} over steps of the error" in found.sentence


def test_of_steps_with_classes_their_labels_are_named() -> None:
    labels = np.array(["ebb", "flow"])
    whole = Reference(replace(of_steps(2, 0), class_labels=labels), (), None, ("a", "b", "c", "d"))

    found = diagnose_shift(whole, of_steps(2, 1, 3), permutations=99)

    assert most(found, "Y") == "the deviation over steps of the target of class flow"
    assert most(found, "Y given X") == "the deviation over steps of the error of class flow"


def test_alone_too_a_test_names_classes_by_the_labels_that_the_reference_knows() -> None:
    deployed = embedding("label", seed=1)
    deployed.outputs[:, 2] += 6.0
    bare = replace(embedding(), class_labels=None)

    for known, label in ((embedding(), "slack"), (bare, "2")):
        assert covariate_test(known, deployed, permutations=99).most == f"logit of class {label}"
        assert predicted_class_test(known, deployed, permutations=99).most == f"class {label}"
    assert target_test(embedding(), deployed).most == "class ebb"
    assert target_test(bare, deployed).most == "class 0"


@pytest.mark.parametrize("numbers", [True, False], ids=["a number", "steps of a number"])
def test_the_test_of_outputs_names_them_as_the_test_of_the_series_does(numbers: bool) -> None:
    known, deployed = (embedding(n=80, seed=seed, numbers=True) if numbers else of_steps(1, seed) for seed in (0, 1))
    deployed.outputs[:, 0] += 9.0

    found = diagnose_shift(Reference(known, (), None, ("a", "b", "c", "d")), deployed, permutations=99)

    assert (
        most(found, "outputs") == most(found, "X") == ("the output" if numbers else "the mean over steps of the output")
    )


def test_missing_values_are_a_fraction_in_the_sentence() -> None:
    moved = ChannelShift("a", "missing", 1.2, 1.0, 1.4, 0.01)

    found = sentence_of("covariate", {}, [moved], [], level=0.05, labeled=True)

    assert found.startswith("The series moved, most the fraction missing of a (+1.2 sd)")
