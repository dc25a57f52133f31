"""SHF001 to SHF011: each fires on its fault and is silent on its control."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from embedded import NAMES, Kind, embedding, reference
from throughtime.findings import Finding, run_checks
from throughtime.shift import Embedding, Reference, ShiftDiagnosis, ShiftVerdict, diagnose_shift
from throughtime.shift.findings import checks_of_tests
from throughtime.shift.quality import LEAST_SERIES, SUFFICIENCY_CHECKS


def diagnosed(whole: Reference, deployed: Embedding) -> ShiftDiagnosis:
    return diagnose_shift(whole, deployed, permutations=199)


def finding(code: str, diagnosis: ShiftDiagnosis) -> Finding:
    (found,) = (one for one in diagnosis.findings if one.code == code)
    return found


def with_summaries(*columns: str) -> tuple[Reference, Embedding]:
    """Embeddings with further summaries, which are 0."""
    whole, deployed = reference(), embedding()
    both = []
    for side in (whole.embedding, deployed):
        wider = np.column_stack([side.summaries, np.zeros((len(side), len(columns)))])
        both.append(replace(side, summaries=wider, summary_names=(*NAMES, *columns)))
    return replace(whole, embedding=both[0]), both[1]


def test_the_codes_are_those_of_the_guide_and_in_order() -> None:
    found = diagnosed(reference(), embedding()).findings

    assert [one.code for one in found] == [f"SHF0{number:02}" for number in range(1, 12)]
    assert [one.docs for one in found] == [f"docs/guide/shift.md#{one.code.lower()}" for one in found]


@pytest.mark.parametrize(("n", "verdict"), [(LEAST_SERIES - 1, "found"), (LEAST_SERIES, "clear")])
def test_too_few_series_are_insufficient(n: int, verdict: str) -> None:
    diagnosis = diagnosed(reference(), embedding(n=n))

    few = finding("SHF001", diagnosis)
    assert (few.verdict, few.severity) == (verdict, "warning")  # not an error: the network has no part in it
    assert few.detail.endswith(f"{LEAST_SERIES} of each are needed{': 1 too few' if n < LEAST_SERIES else ''}")
    assert (diagnosis.verdict == "insufficient") == (verdict == "found")


@pytest.mark.parametrize(
    ("groups", "verdict"), [((4, 4), "found"), ((5, 5), "clear"), ((40, 1), "found"), ((2, 100), "found")]
)
def test_few_subjects_are_few_however_many_their_series(groups: tuple[int, int], verdict: str) -> None:
    """Also beside many: two deployed groups against a hundred have 5151 ways to be drawn, and false-alarm."""
    known, deployed = (embedding(n=200, seed=seed, groups=count) for seed, count in zip((1, 2), groups, strict=True))

    assert finding("SHF001", diagnosed(replace(reference(), embedding=known), deployed)).verdict == verdict


@pytest.mark.parametrize(
    ("groups", "sizes", "verdict"),
    [((5, 40), (2, 2), "clear"), ((7, 40), (10, 2), "found"), ((40, 7), (2, 10), "found"), ((8, 40), (10, 2), "clear")],
)
def test_groups_of_unequal_sizes_need_to_be_more(groups: tuple[int, int], sizes: tuple[int, int], verdict: str) -> None:
    """Permuted sides mix large and small ones, as the measured sides do not."""
    known, deployed = (
        replace(embedding(n=count * size, seed=seed), groups=np.repeat(np.arange(count), size) + seed, unit="group")
        for count, size, seed in zip(groups, sizes, (0, 1000), strict=True)
    )
    found = run_checks(SUFFICIENCY_CHECKS, reference=known, deployed=deployed)[0]

    assert found.verdict == verdict
    assert found.detail.startswith(f"{groups[0]} groups in the reference and {groups[1]} deployed; ")


@pytest.mark.parametrize(("column", "code"), [("e missing", "SHF002"), ("a mean", "SHF005"), ("length", "SHF004")])
def test_series_that_cannot_be_compared_are_insufficient(column: str, code: str) -> None:
    whole, deployed = with_summaries("e missing", "e sd")
    place = deployed.summary_names.index(column)
    moved = {"e missing": 1.0, "a mean": 100.0, "length": 1000.0}[column]
    some, most = deployed.summaries.copy(), deployed.summaries.copy()
    some[:30, place] += moved
    most[:120, place] += moved

    assert finding(code, diagnosed(whole, replace(deployed, summaries=some))).verdict == "clear"
    diagnosis = diagnosed(whole, replace(deployed, summaries=most))
    assert diagnosis.verdict == "insufficient"
    assert finding(code, diagnosis).verdict == "found"
    assert finding(code, diagnosis).measured == 0.8
    assert not diagnosis.tests


def test_a_dead_sensor_is_insufficient_and_one_that_was_always_dead_is_not() -> None:
    whole, deployed = with_summaries("e sd")
    whole.embedding.summaries[:, -1] = 1.0

    assert finding("SHF003", diagnosed(whole, deployed)).verdict == "found"
    assert diagnosed(whole, deployed).verdict == "insufficient"
    whole.embedding.summaries[:, -1] = 0.0
    assert finding("SHF003", diagnosed(whole, deployed)).verdict == "clear"


def test_the_channel_that_lacks_or_stands_still_most_is_named() -> None:
    whole, deployed = with_summaries("e missing", "f missing", "e sd", "f sd")
    whole.embedding.summaries[:, -2:] = deployed.summaries[:, -2:] = 1.0
    deployed.summaries[:, -3] = 0.9  # f misses more than e
    deployed.summaries[:100, -2] = 0.0  # e is constant in more series than f
    deployed.summaries[:10, -1] = 0.0

    diagnosis = diagnosed(whole, deployed)

    assert finding("SHF002", diagnosis).detail == "90 % of f is missing in deployed series, 0 % in the reference"
    assert finding("SHF003", diagnosis).detail.startswith("e is constant in 67 % of the deployed series")


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("none", set()),
        ("covariate", {"SHF006"}),
        ("label", {"SHF006", "SHF007"}),
        ("concept", {"SHF008"}),
    ],
)
def test_what_moved_is_found(kind: str, codes: set[str]) -> None:
    diagnosis = diagnosed(reference(), embedding(kind))  # type: ignore[arg-type]

    assert {one.code for one in diagnosis.findings if one.verdict == "found"} == codes


@pytest.mark.parametrize(("numbers", "cure"), [(False, "correct the outputs for the new fractions"), (True, "refit")])
def test_fractions_are_corrected_of_classes_alone(numbers: bool, cure: str) -> None:
    diagnosis = diagnosed(reference(numbers=numbers), embedding("label", numbers=numbers))

    assert diagnosis.verdict == "label"
    assert finding("SHF007", diagnosis).verdict == "found"
    assert finding("SHF007", diagnosis).remedy.startswith(cure)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("concept", "refit with labels of deployed series; nothing else cures it"),
        ("label", "the label shift that was named explains it, or it is too weak beside it to be named"),
    ],
)
def test_a_relation_that_moved_is_cured_as_the_verdict_says(kind: Kind, remedy: str) -> None:
    """A label shift of numbers moves p(y given x) too."""
    diagnosis = diagnosed(reference(numbers=True), embedding(kind, numbers=True))

    assert diagnosis.verdict == kind
    assert finding("SHF008", diagnosis).verdict == "found"
    assert finding("SHF008", diagnosis).remedy == remedy


@pytest.mark.parametrize("verdict", get_args(ShiftVerdict))
@pytest.mark.parametrize("third", ["concept", "Y given X"])
def test_no_remedy_contradicts_the_verdict(verdict: ShiftVerdict, third: str) -> None:
    remedies = {check.code: check.remedy for check in checks_of_tests(third, 0.05, verdict)}

    assert ("nothing else cures it" in remedies["SHF008"]) == (verdict in ("concept", "mixed"))
    assert ("correct the outputs" in remedies["SHF007"]) == ((verdict, third) == ("label", "concept"))


def test_without_labels_targets_are_not_applicable() -> None:
    diagnosis = diagnosed(reference(n=50), replace(embedding(n=50), target=None))

    for code in ("SHF007", "SHF008", "SHF010"):
        assert finding(code, diagnosis).verdict == "not applicable"
        assert "labels" in finding(code, diagnosis).detail


def test_an_in_sample_reference_is_found() -> None:
    own = diagnosed(replace(reference(), in_sample=15), embedding())

    assert finding("SHF009", own).verdict == "found"
    assert finding("SHF009", own).measured == 0.1
    assert finding("SHF009", diagnosed(reference(), embedding())).verdict == "clear"


def test_whether_a_reference_is_in_sample_is_not_judged_where_nobody_said() -> None:
    own = finding("SHF009", diagnosed(replace(reference(), in_sample=None), embedding()))

    assert own.verdict == "not applicable"
    assert own.detail == "the training indices of the splits were not given"


@pytest.mark.parametrize(("moved", "verdict"), [(1.5e-9, "clear"), (2e-3, "found")])
def test_a_constant_has_the_tolerance_of_float32(moved: float, verdict: str) -> None:
    whole, deployed = with_summaries("e mean")
    for side, value in ((whole.embedding, 0.1), (deployed, 0.1 + moved)):
        side.summaries[:, -1] = value

    found = finding("SHF005", diagnosed(whole, deployed))
    assert found.verdict == verdict
    if verdict == "found":
        assert found.detail == (
            "the mean of e is not 0.1, as in every series of the reference, in 100 % of the deployed series"
        )


def test_one_of_a_kind_is_named_as_one() -> None:
    whole, deployed = reference(), embedding()
    whole.embedding.summaries[:, -1], deployed.summaries[:, -1] = 1, 7
    one = replace(deployed, groups=np.zeros(len(deployed)), unit="group")
    many = replace(whole, embedding=replace(whole.embedding, groups=1 + np.arange(150), unit="group"))

    assert finding("SHF004", diagnosed(whole, deployed)).detail == (
        "100 % of the deployed series, of 7 steps, are outside the reference's 1 step"
    )
    few = replace(many.embedding, groups=np.ones(150))
    details = [run_checks(SUFFICIENCY_CHECKS, reference=few, deployed=side)[0].detail for side in (one, deployed)]
    assert details[0] == "1 group in the reference and 1 deployed; 5 of each are needed: 4 too few"
    assert details[1].startswith("1 group in the reference and 150 deployed; 8 of each are needed")


def test_an_absent_class_is_found_where_it_was_to_be_expected() -> None:
    def without(n: int) -> Embedding:
        whole = embedding()
        assert whole.target is not None
        rows = np.flatnonzero(whole.target != 2)[:n]
        names = ("summaries", "outputs", "states", "member", "target", "stretches")
        return replace(whole, **{name: getattr(whole, name)[rows] for name in names})

    assert finding("SHF010", diagnosed(reference(), without(100))).verdict == "found"
    assert "slack" in finding("SHF010", diagnosed(reference(), without(100))).detail
    assert finding("SHF010", diagnosed(reference(), without(8))).verdict == "clear"


@pytest.mark.parametrize(("n", "verdict"), [(10, "found"), (150, "clear")])
def test_tests_that_would_miss_a_large_shift_say_so(n: int, verdict: str) -> None:
    assert finding("SHF011", diagnosed(reference(), embedding(n=n))).verdict == verdict
