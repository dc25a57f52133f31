"""The checks for leakage are objects: a user adds one, leaves one out, and each says where it is explained."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from throughtime import leakage_report
from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.findings import Check, Measured
from throughtime.generalization import LEAKAGE_CHECKS

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = Sequences.from_arrays([RNG.normal(size=(6 + i % 2, 2)) for i in range(12)])
HALVES = [(np.arange(4, 12), np.arange(4)), (np.arange(8), np.arange(8, 12))]


def mean_gap(series: Sequences, targets: Any, splits: list[tuple[ndarray, ndarray]]) -> Measured:
    """The largest distance of the mean target in test from that in training."""
    assert len(series) == len(targets)
    gaps = [abs(targets[test].mean() - targets[train].mean()) for train, test in splits]
    return Measured(float(max(gaps)), f"fold {int(np.argmax(gaps)) + 1}")


MINE = Check(
    "LAB7",
    "unlike targets",
    "warning",
    needs=("series", "targets", "splits"),
    measure=mean_gap,
    threshold=1.0,
    source="a rule of the lab",
    remedy="stratify",
)


def test_a_check_from_outside_stands_beside_the_others() -> None:
    y = np.where(np.arange(12) < 4, 5.0, 0.0)
    whole, report = leakage_report(X, y, cv=HALVES), leakage_report(X, y, cv=HALVES, checks=[*LEAKAGE_CHECKS, MINE])
    assert report[:-1] == tuple(whole)
    finding = report[-1]
    assert (finding.code, finding.verdict, finding.measured, finding.detail) == ("LAB7", "found", 5.0, "fold 1")
    assert (finding.threshold, finding.source, finding.remedy) == (1.0, "a rule of the lab", "stratify")
    assert leakage_report(X, np.zeros(12), cv=HALVES, checks=[MINE])[0].verdict == "clear"


def test_a_check_from_outside_whose_needs_are_lacking_says_so() -> None:
    (finding,) = leakage_report(X, cv=HALVES, checks=[MINE])
    assert (finding.verdict, finding.detail) == ("not applicable", "it needs targets")


def test_a_check_may_be_left_out() -> None:
    report = leakage_report(X, cv=HALVES, checks=[check for check in LEAKAGE_CHECKS if check.code != "GEN003"])
    assert [finding.code for finding in report] == [
        "GEN001",
        "GEN002",
        "GEN004",
        "GEN005",
        "GEN006",
        "GEN007",
        "GEN008",
    ]


def test_a_code_that_is_taken_is_refused() -> None:
    taken = Check("GEN001", "mine", "error", needs=(), measure=lambda: Measured(0.0, ""), source="", remedy="")
    with pytest.raises(ParameterError, match="got GEN001 2 times"):
        leakage_report(X, cv=HALVES, checks=[*LEAKAGE_CHECKS, taken])


@pytest.mark.parametrize(
    ("inputs", "given"),
    [
        ({}, {"series", "splits", "burn_in"}),
        ({"y": np.arange(12.0)}, {"series", "splits", "burn_in", "targets"}),
        ({"groups": np.arange(12) // 2}, {"series", "splits", "burn_in", "groups"}),
    ],
)
def test_a_check_is_handed_the_inputs_that_are_promised(inputs: dict[str, Any], given: set[str]) -> None:
    for name in ("series", "splits", "burn_in", "targets", "groups"):
        seen: list[Any] = []

        def keep(seen: list[Any] = seen, **inputs: Any) -> Measured:
            seen.append(inputs)
            return Measured(0.0, "")

        check = Check("LAB8", "inputs", "warning", needs=(name,), measure=keep, source="", remedy="")
        (finding,) = leakage_report(X, inputs.get("y"), groups=inputs.get("groups"), cv=HALVES, checks=[check])
        assert (finding.verdict == "clear") == (name in given)
        assert [[*call] for call in seen] == ([[name]] if name in given else [])


def test_each_finding_names_a_page_that_explains_it() -> None:
    for check in LEAKAGE_CHECKS:
        path, _, anchor = check.docs.partition("#")
        headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(encoding="utf-8"), re.M)
        assert [heading.lower() for heading in headings].count(anchor) == 1
        assert anchor == check.code.lower()


def test_the_guide_runs_and_finds_what_it_plants(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/guide/leakage.md").read_text(encoding="utf-8"), re.S):
        exec(block, names)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [*(f"GEN00{k}" for k in range(1, 9)), "MINE1"]
    assert printed[1].startswith("GEN002 overlapping targets: found")
    assert printed[-1].startswith("MINE1 small test sides: clear; the smallest test side has 30% of the series")
