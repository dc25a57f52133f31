"""The diagnosis as a whole: names on embeddings whose shift is known, sentences, and what it refuses."""

from collections import Counter
from dataclasses import replace
from inspect import unwrap  # of the checker of types, as for callers
from typing import Any

import numpy as np
import pytest

from embedded import Kind, embedding, reference
from throughtime import SequenceClassifier
from throughtime.data import Sequences
from throughtime.errors import DataError, DataWarning, ParameterError
from throughtime.estimators import fit_members
from throughtime.shift import Embedding, Reference, diagnose_shift, embed, reference_of
from throughtime.shift.sentences import sentence_of

#: The seven kinds of docs/guide/shift.md; a covariate shift matters to the targets, or not.
NAMES: dict[Kind, str] = {
    "none": "none detected",
    "covariate": "covariate",
    "relevant covariate": "covariate",
    "label": "label",
    "concept": "concept",
    "label and concept": "mixed",
    "label and covariate": "mixed",
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("numbers", [False, True], ids=["classes", "numbers"])
def test_each_kind_is_named(kind: Kind, numbers: bool) -> None:
    names = Counter(
        diagnose_shift(
            reference(100 + seed, numbers=numbers),
            embedding(kind, seed=seed, numbers=numbers, size=0.9),
            permutations=199,
        ).verdict
        for seed in range(3)
    )

    # Over two numbers that explain each other, a shift of both is often undetermined.
    assert names[NAMES[kind]] >= (1 if numbers and kind == "label and covariate" else 2), names  # type: ignore[index]


def test_a_null_is_silent() -> None:
    names = [
        diagnose_shift(reference(200 + seed, n=80), embedding(n=60, seed=seed), permutations=79).verdict
        for seed in range(20)
    ]

    assert sum(name != "none detected" for name in names) <= 4  # of 20 at .05, with a chance of .997


def test_the_sentence_says_what_moved_most_and_what_it_means() -> None:
    def sentence(kind: Kind) -> str:
        deployed = embedding(kind)
        return diagnose_shift(reference(), deployed, permutations=199).sentence

    covariate, concept = sentence("covariate"), sentence("concept")
    assert "the mean of d (+" in covariate
    assert "what they say of their targets is what it was" in covariate
    assert "most for classes ebb and flow" in concept
    assert "only labels of such series cure it" in concept
    assert sentence("label").startswith("Class ebb is more frequent, ")
    assert "sd would have been" in sentence("none")


def test_of_numbers_the_sentence_says_how_far_the_targets_moved() -> None:
    found = diagnose_shift(reference(numbers=True), embedding("label", numbers=True), permutations=199)
    (of_targets,) = (test for test in found.tests if test.name == "Y")

    assert of_targets.most == "the target"
    assert found.sentence.startswith(f"The targets moved ({of_targets.effect:+.2g} sd), and series of a target are")


def test_of_steps_it_says_what_of_the_targets_moved() -> None:
    test = replace(diagnose_shift(reference(), embedding(), permutations=99).tests[0], name="Y", p_value=0.01)
    of_steps = replace(test, most="the deviation over steps of the target", effect=0.912, effect_unit="sd")

    for one, words in (
        (of_steps, "The targets moved, most the deviation over steps of the target (+0.91 sd), and series of"),
        (replace(of_steps, p_value=0.2), "The targets moved, and series of"),
        (replace(of_steps, effect_unit="fraction"), "The targets moved, and series of"),
    ):
        assert sentence_of("label", {"Y": one}, [], [], level=0.05, labeled=True).startswith(words)


@pytest.mark.parametrize(
    ("kind", "verdict"), [("covariate", "covariate"), ("label", "undetermined"), ("concept", "none detected")]
)
def test_without_labels_a_concept_shift_is_not_tested_and_a_label_shift_not_named(kind: Kind, verdict: str) -> None:
    found = diagnose_shift(reference(n=150), replace(embedding(kind, n=150), target=None), permutations=99)

    assert found.verdict == verdict
    assert "without labels a concept shift is neither tested nor seen" in found.sentence
    assert [test.name for test in found.tests] == ["X"]
    assert not found.labeled
    assert {one.source for one in found.classes} == {"EM"}


def test_it_prints_the_verdict_the_sentence_and_the_tests() -> None:
    found = diagnose_shift(reference(), embedding("label"), permutations=199)

    first, sentence, title, head, *lines = str(found).splitlines()
    assert (first, sentence, title) == ("verdict: label", found.sentence, "shift tests")
    assert head.split() == ["test", "p", "effect", "low", "high", "unit", "detectable"]
    assert [line.split("  ")[0] for line in lines[:5]] == ["X", "Y", "concept", "Y given X", "X given Y"]
    assert lines[5].startswith("SHF006 inputs moved: found")


def test_insufficient_series_are_not_tested() -> None:
    found = diagnose_shift(reference(), embedding("label", n=5))

    assert found.verdict == "insufficient"
    assert "5 deployed" in found.sentence
    assert not found.tests
    assert not found.channels
    assert not found.classes


def test_the_number_of_subjects_is_what_counts() -> None:
    """Subjects differ in a channel that says nothing: their series are no evidence, nor many."""
    known, deployed = (embedding(n=100, seed=seed, groups=6) for seed in (7, 8))
    whole = replace(reference(), embedding=known)

    found = diagnose_shift(whole, deployed, permutations=199)
    alone = diagnose_shift(
        replace(whole, embedding=replace(known, groups=None, unit="series")),
        replace(deployed, groups=None, unit="series"),
        permutations=199,
    )

    assert {test.n_deployed for test in found.tests} == {6}
    assert {test.unit for test in found.tests} == {"group"}
    assert found.verdict == "none detected"
    assert alone.verdict != "none detected"


@pytest.mark.parametrize(("known", "deployed", "bare"), [(20, None, "deployed"), (None, 20, "reference")])
def test_groups_on_one_side_alone_are_said(known: int | None, deployed: int | None, bare: str) -> None:
    whole = replace(reference(), embedding=embedding(n=60, seed=1, groups=known))

    with pytest.warns(DataWarning, match=f"groups on both sides or on neither, got none of the {bare} series"):
        diagnose_shift(whole, embedding(n=60, seed=2, groups=deployed), permutations=59)


def test_the_same_seed_gives_the_same_diagnosis() -> None:
    one, other = (diagnose_shift(reference(), embedding("label"), permutations=199, random_state=5) for _ in range(2))

    assert repr(one) == repr(other)


def test_of_permuted_sides_nothing_tells_which_was_which() -> None:
    """With the sides exchanged the p-values are the same, up to the permutations drawn."""
    known, deployed = embedding(n=100), embedding("label", n=100, seed=1, size=0.3)
    ways = [
        {test.name: test.p_value for test in diagnose_shift(_reference(a), b).tests}
        for a, b in ((known, deployed), (deployed, known))
    ]

    for name, p in ways[0].items():
        assert p == pytest.approx(ways[1][name], abs=4 * np.sqrt(p * (1 - p) / 999) + 0.01), name


def _reference(known: Embedding) -> Reference:
    return Reference(known, (), np.array(["ebb", "flow", "slack"]), ("a", "b", "c", "d"))


def test_series_pass_through_the_members_that_did_not_train_on_the_reference() -> None:
    rng = np.random.default_rng(0)
    X, y = _series(rng, 80)
    folds = np.arange(80) % 2
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in (0, 1)]
    fresh = SequenceClassifier(hidden_size=4, max_epochs=3, batch_size=20, random_state=0)
    members = fit_members([fresh, fresh], X, y, train_indices=[train for train, _ in splits])
    whole = reference_of(members, X, y, splits)

    same, moved = _series(rng, 60), _series(rng, 60)
    raised = Sequences(moved[0].values + np.float32([0, 1]), moved[0].offsets)

    assert diagnose_shift(whole, *same).verdict == "none detected"
    found = diagnose_shift(whole, raised, moved[1])
    assert found.channels[0].channel == "x1"
    assert {one.channel for one in found.stretches} == {"x1"}
    assert found.verdict == "covariate"


def _series(rng: np.random.Generator, n: int) -> tuple[Sequences, np.ndarray]:
    y = rng.integers(2, size=n)
    lengths = rng.integers(6, 12, n)
    values = rng.normal(size=(lengths.sum(), 2)).astype(np.float32)
    values[:, 0] += 2 * np.repeat(y, lengths)
    return Sequences(values, np.cumsum([0, *lengths])), y


@pytest.mark.parametrize("level", [0, 0.5, 1, -1, ".05", True, None, float("nan")])
def test_a_level_is_a_small_chance(level: Any) -> None:
    with pytest.raises(ParameterError, match="level needs a chance"):
        diagnose_shift(reference(), embedding(), level=level)


def test_what_is_no_reference_is_refused_with_what_gives_one() -> None:
    class Run:
        def reference(self) -> None: ...

    for asks in map(unwrap, (diagnose_shift, embed)):
        with pytest.raises(
            ParameterError,
            match=r"^reference needs what reference_of or a run's \.reference\(\) gives, got Run; give its",
        ):
            asks(Run(), embedding())
        with pytest.raises(ParameterError, match=r"gives, got SequenceClassifier$"):
            asks(SequenceClassifier(), embedding())


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ParameterError, match=r"^random_state needs a whole number of at least 0, or None, got"):
        diagnose_shift(reference(), embedding(), random_state=seed)


def test_an_embedding_has_its_own_targets() -> None:
    with pytest.raises(ParameterError, match="an embedding has its own targets"):
        diagnose_shift(reference(), embedding(), y=np.zeros(150))


@pytest.mark.parametrize(
    ("groups", "message"), [([1, 2, 3], "one value for each of the 150 series"), ([None] * 150, "series 0 has none")]
)
def test_groups_of_an_embedding_are_one_value_per_series(groups: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^groups needs .*{message}"):
        diagnose_shift(reference(), embedding(), groups=groups)


def test_a_reference_without_targets_cannot_be_compared_with_labels() -> None:
    whole = reference()
    with pytest.raises(DataError, match="need a reference with targets"):
        diagnose_shift(replace(whole, embedding=replace(whole.embedding, target=None)), embedding())


def test_values_that_are_not_finite_are_refused() -> None:
    deployed = embedding()
    deployed.summaries[3, 1] = np.nan

    with pytest.raises(DataError, match="finite"):
        diagnose_shift(reference(), deployed)


def test_summaries_of_other_channels_are_refused() -> None:
    deployed = replace(embedding(), summary_names=("z mean", "b mean", "c mean", "d mean", "length"))

    for series in (deployed, replace(embedding(n=5), summary_names=deployed.summary_names)):
        with pytest.raises(DataError, match="same summaries"):
            diagnose_shift(reference(), series)
