"""What a notebook and a console show of results: every field, escaped, and long lists cut short."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, leakage_report
from throughtime.data import as_sequences
from throughtime.generalization import (
    Finding,
    Interval,
    ThreeWaySplit,
    corrected_interval,
    paired_comparison,
)
from throughtime.records import MOST_ROWS, Record, Records, Row, aligned
from throughtime.study import Assessment, ModelScores

HOSTILE = '<script>alert("x")</script> & 5 < 6'


def rows(record: Any) -> list[list[str]]:
    """The text of each cell, outermost table only; parsing refuses what is not well-formed."""
    table = ElementTree.fromstring(record._repr_html_()).find("table")
    assert table is not None
    return [["".join(cell.itertext()) for cell in line] for line in table.findall("tr")]


def test_a_record_is_a_row_a_field() -> None:
    interval = corrected_interval([0.5, 0.75, 0.7], 20, 10)
    assert rows(interval) == [
        ["mean", "0.65"],
        ["low", f"{interval.low:.4g}"],
        ["high", f"{interval.high:.4g}"],
        ["level", "0.95"],
        ["method", interval.method],
    ]


def test_no_interval_is_a_dash() -> None:
    assert rows(corrected_interval([0.5], 20, 10))[1] == ["low", "-"]


def test_a_record_within_a_record_is_a_table_of_its_own() -> None:
    comparison = paired_comparison([0.5, 0.6, 0.7], [0.4, 0.4, 0.7], 20, 10)
    (inner,) = ElementTree.fromstring(comparison._repr_html_()).findall("table/tr/td/table")
    assert [line[0].text for line in inner] == ["mean", "low", "high", "level", "method"]
    assert ["first", "[0.5, 0.6, 0.7]"] in rows(comparison)


def test_text_is_escaped_wherever_it_stands() -> None:
    finding = Finding("X", HOSTILE, "found", "error", 1.0, 0.0, HOSTILE, HOSTILE, HOSTILE)
    scores = ModelScores(HOSTILE, {HOSTILE: [[1.0]]}, {}, {}, {})
    for shown in (finding, Records((finding,)), Interval(0.0, None, None, 0.9, HOSTILE), scores):
        html = shown._repr_html_()
        assert "<script" not in html
        assert HOSTILE in "".join(ElementTree.fromstring(html).itertext())


def test_findings_are_one_per_row_and_one_per_line() -> None:
    X = as_sequences(np.random.default_rng(0).normal(size=(12, 5, 2)))
    folds = list(KFold(4).split(X))
    found = leakage_report(X, groups=np.arange(12) // 2, cv=folds)
    assert isinstance(found, tuple)
    head, *lines = rows(found)
    assert head[:3] == ["code", "title", "verdict"]
    assert [line[0] for line in lines] == [finding.code for finding in found]
    shared = leakage_report(X, groups=np.arange(12) % 6, cv=folds)
    printed = repr(shared).splitlines()
    assert len(printed) == len(shared)
    assert printed[3] == (
        "GEN004 groups on both sides: found; 100.0% of the test series of fold 1 of 4 are of a group that is in "
        "training; divide by groups: GroupKFold, or --cv group:K"
    )
    assert "GEN004" not in Records(())._repr_html_()


def test_a_table_has_words_at_the_left_numbers_at_the_right_and_an_end() -> None:
    rows = [("name", "much", "said"), ("a", "1.5", "1"), ("longer", "-", "two"), ("b", "1e-12", "")]
    assert aligned(rows) == [
        "name     much  said",
        "a         1.5  1",
        "longer      -  two",
        "b       1e-12",
    ]
    lines = aligned([("n",), *((str(number),) for number in range(MOST_ROWS + 2))])
    assert lines[1:] == [*(f"{number:>2}" for number in range(MOST_ROWS)), "... and 2 more"]


def test_rows_are_printed_under_one_head() -> None:
    @dataclass(frozen=True, repr=False)
    class Weight(Row):
        title = "weights"
        name: str
        norm: float

        def _cells(self) -> dict[str, str]:
            return {"name": self.name, "norm": f"{self.norm:g}"}

    both = Records((Weight("a", 0.5), Weight("b", 12)))
    assert repr(both).splitlines() == ["weights", "name  norm", "a      0.5", "b       12"]
    assert str(both[0]).splitlines() == repr(both).splitlines()[:3]
    assert repr(both[0]) == "Weight(name=a, norm=0.5)"


def test_long_lists_are_cut_and_objects_counted() -> None:
    split = ThreeWaySplit(np.arange(100), np.arange(3), np.arange(4))
    assert dict(rows(split))["train"] == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... 100 in all]"
    assert repr(split).startswith("ThreeWaySplit(train=[0, 1, 2,")
    folds = [[SequenceClassifier(), SequenceClassifier(), ValueError("one class")]]
    scores = ModelScores("GRU", {"accuracy": [[0.51234567, float("nan")]]}, {}, {}, {})
    assessment = Assessment(scores, folds, [SequenceClassifier()], [[None, None]], [None])  # type: ignore[arg-type]
    assert dict(rows(assessment))["folds"] == "2 x SequenceClassifier, 1 x ValueError"
    assert dict(rows(assessment))["scores"].startswith("nameGRUvalidationaccuracy[0.5123, nan]")
    assert "folds=[2 x SequenceClassifier, 1 x ValueError], refits=1 x SequenceClassifier" in repr(assessment)


@dataclass(frozen=True, repr=False)
class Measured(Record):
    values: Any


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((150, 5)), "float64 150x5"),
        (np.zeros((20, 4, 3), np.float32), "float32 20x4x3"),
        (np.eye(2, dtype=int), "[[1, 0], [0, 1]]"),
    ],
)
def test_of_a_large_table_of_numbers_the_shape_is_told(values: Any, words: str) -> None:
    assert repr(Measured(values)) == f"Measured(values={words})"
    assert rows(Measured(values)) == [["values", words]]


def test_short_records_keep_the_representation_of_a_dataclass() -> None:
    @dataclass(frozen=True)
    class Pair(Record):
        one: int
        two: float

    assert repr(Pair(1, 0.123456789)).endswith("Pair(one=1, two=0.123456789)")


@pytest.mark.parametrize("fitted", [False, True])
def test_estimators_show_their_parameters_and_what_they_learned(fitted: bool) -> None:
    X = np.random.default_rng(0).normal(size=(12, 5, 2))
    y = np.arange(12) % 2
    net = SequenceClassifier(hidden_size=3, max_epochs=1, random_state=0)
    for estimator, learned in (
        (net, "classes_"),
        (SequenceRegressor(hidden_size=3, max_epochs=1, random_state=0), "target_mean_"),
        (LockstepSearchCV(net, {"lr": [0.01, 0.1]}, cv=2), "best_params_"),
        (make_pipeline(FunctionTransformer(), net), "classes_"),
    ):
        if fitted:
            estimator.fit(X, y)
        html = estimator._repr_html_()
        assert "hidden_size" in html
        assert (learned in html) == fitted
    hostile = SequenceClassifier(class_weight={"<script>": 2.0})
    assert "&lt;script&gt;" in hostile._repr_html_()
