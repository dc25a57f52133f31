"""A check from a file outside the package is made, judged and kept as those of the package are."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from drifting_targets import DRIFTING_TARGETS
from sklearn.model_selection import KFold

from throughtime import leakage_report
from throughtime.findings import Finding, run_checks
from throughtime.generalization import LEAKAGE_CHECKS

X = np.random.default_rng(0).normal(size=(40, 6, 2))
RISING = np.arange(40.0)


def test_it_finds_what_is_planted_and_is_silent_on_the_control() -> None:
    (found,) = leakage_report(X, RISING, cv=KFold(2), checks=[DRIFTING_TARGETS])
    # halves of 0 to 39: means 20 apart
    assert (found.verdict, found.measured) == ("found", pytest.approx(20 / RISING.std()))
    assert (found.threshold, found.remedy) == (0.5, "shuffle the folds, or stratify them")
    interleaved = [(np.arange(1, 40, 2), np.arange(0, 40, 2)), (np.arange(0, 40, 2), np.arange(1, 40, 2))]
    (clear,) = leakage_report(X, RISING, cv=interleaved, checks=[DRIFTING_TARGETS])
    assert (clear.verdict, clear.measured, clear.remedy) == ("clear", pytest.approx(1 / RISING.std()), "")


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (None, "there are no targets to compare"),
        (np.tile(RISING[:, None], 6), "it compares one number per series"),
        (np.array([*"ab"] * 20), "it compares one number per series"),
        (np.zeros(40), "the targets are all the same"),
    ],
)
def test_it_says_where_it_does_not_apply(y: np.ndarray | None, why: str) -> None:
    (finding,) = leakage_report(X, y, cv=KFold(2), checks=[DRIFTING_TARGETS])
    assert (finding.verdict, finding.measured, finding.detail) == ("not applicable", None, why)


def test_it_changes_no_other_and_is_kept_like_them() -> None:
    report = leakage_report(X, RISING, cv=KFold(2), checks=[*LEAKAGE_CHECKS, DRIFTING_TARGETS])
    assert report[:-1] == tuple(leakage_report(X, RISING, cv=KFold(2)))
    assert [Finding(**entry) for entry in json.loads(json.dumps([asdict(one) for one in report]))] == list(report)


def test_any_package_makes_it_on_what_it_has() -> None:
    (finding,) = run_checks([DRIFTING_TARGETS], targets=RISING, splits=[(np.arange(20), np.arange(20, 40))])
    assert finding.verdict == "found"
