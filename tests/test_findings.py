"""A check measures what it needs, its verdict is the measure against the threshold, and what it lacks it says."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any

import pytest

from throughtime.errors import ParameterError
from throughtime.findings import Check, Finding, Measured, NotApplicable, run_checks
from throughtime.records import Records


def largest(numbers: list[float]) -> Measured | NotApplicable:
    return Measured(max(numbers), f"at {numbers.index(max(numbers))}") if numbers else NotApplicable("no numbers")


LARGE = Check(
    "T001",
    "large numbers",
    "warning",
    needs=("numbers",),
    measure=largest,
    threshold=2.0,
    source="two is enough",
    remedy="take smaller ones",
    docs="page",
    work=lambda numbers: len(numbers),
)


@pytest.mark.parametrize(
    ("numbers", "verdict"), [([1.0, 3.0], "found"), ([1.0, 2.0], "clear"), ([-5.0], "clear"), ([], "not applicable")]
)
def test_a_verdict_is_the_measure_against_the_threshold(numbers: list[float], verdict: str) -> None:
    (finding,) = run_checks([LARGE], numbers=numbers)
    assert (finding.verdict, finding.threshold, finding.source) == (verdict, 2.0, "two is enough")
    assert (finding.code, finding.title, finding.severity, finding.docs) == ("T001", "large numbers", "warning", "page")
    assert finding.measured == (max(numbers) if numbers else None)
    assert finding.detail == (f"at {len(numbers) - 1}" if numbers else "no numbers")
    assert finding.remedy == ("take smaller ones" if verdict == "found" else "")


@pytest.mark.parametrize("available", [{}, {"numbers": None}, {"others": [9.0]}])
def test_a_check_whose_needs_are_lacking_is_not_applicable_and_says_so(available: dict[str, Any]) -> None:
    (finding,) = run_checks([LARGE], **available)
    assert (finding.verdict, finding.measured, finding.remedy) == ("not applicable", None, "")
    assert finding.detail == "it needs numbers"
    assert run_checks([replace(LARGE, lacking="nobody counted")], **available)[0].detail == "nobody counted"


def test_what_a_check_does_not_need_is_not_handed_to_it() -> None:
    assert run_checks([LARGE], numbers=[1.0], others=object())[0].verdict == "clear"


def test_findings_come_in_the_order_of_their_checks() -> None:
    checks = [replace(LARGE, code=code) for code in "CAB"]
    findings = run_checks(iter(checks), numbers=[1.0])
    assert isinstance(findings, Records)
    assert [finding.code for finding in findings] == ["C", "A", "B"]
    assert run_checks([]) == ()


def test_two_checks_of_one_code_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"^checks needs a code of its own for each check, got T001 2 times$"):
        run_checks([LARGE, replace(LARGE, title="another")], numbers=[1.0])


def test_a_check_beyond_the_work_allowed_is_not_made() -> None:
    def never(numbers: list[float]) -> Measured:
        raise AssertionError(numbers)

    (finding,) = run_checks([replace(LARGE, measure=never)], most_work=2, numbers=[1.0, 2.0, 3.0])
    assert finding.verdict == "not applicable"
    assert finding.detail == "not looked for: it takes looks at 3e+00 values, above most_work"
    assert run_checks([LARGE], most_work=3, numbers=[1.0, 2.0, 3.0])[0].verdict == "found"
    assert run_checks([replace(LARGE, work=None)], most_work=0, numbers=[9.0])[0].verdict == "found"


def test_nan_is_no_clear_verdict() -> None:
    (finding,) = run_checks([LARGE], numbers=[float("nan")])
    assert (finding.verdict, finding.measured) == ("not applicable", None)
    assert finding.detail == "it measured NaN: at 0"


def test_a_measure_that_gives_something_else_is_refused() -> None:
    check = replace(LARGE, measure=lambda numbers: numbers[0])
    with pytest.raises(TypeError, match=r"measure of check T001 needs to give Measured or NotApplicable, got float$"):
        run_checks([check], numbers=[1.0])


def test_a_finding_cannot_be_changed_and_comes_back_from_json() -> None:
    (finding,) = run_checks([LARGE], numbers=[3.0])
    with pytest.raises(FrozenInstanceError):
        finding.verdict = "clear"  # type: ignore[misc]
    assert Finding(**json.loads(json.dumps(asdict(finding)))) == finding


def test_findings_that_were_kept_before_they_had_a_page_are_read() -> None:
    kept = {field.name: "" for field in fields(Finding) if field.name != "docs"}
    assert Finding(**kept).docs == ""  # type: ignore[arg-type]


def test_a_check_is_printed_by_its_code_and_title() -> None:
    assert repr((LARGE,)) == "(Check('T001', 'large numbers'),)"


def test_findings_load_neither_torch_nor_numpy() -> None:
    program = "import sys, throughtime.findings; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
