"""A diagnosis is of the data and folds that a study would have, and is read from its files as it was written."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from studies import SMALL, classifier, data_of, labeled, rain, regressor

from diagnosed import BARE, CURVE, DIAGNOSIS
from throughtime.data import Dataset
from throughtime.errors import DataError, ParameterError, StorageError
from throughtime.generalization import Diagnosis
from throughtime.records import Records
from throughtime.storage import json_from_bytes, json_to_bytes, read_run, write_run
from throughtime.study import (
    DiagnosisReport,
    diagnosing,
    plan,
    read_diagnosis,
    report_diagnosis,
    save_diagnosis,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``diagnose`` was asked, which answers at once."""
    calls: list[dict[str, Any]] = []

    def answer(estimator: Any, X: Any, y: Any, **options: Any) -> Diagnosis:
        calls.append({"estimator": estimator, "X": X, "y": y} | options)
        return DIAGNOSIS

    monkeypatch.setattr(diagnosing, "diagnose", answer)
    return calls


def report(found: Diagnosis, data: Dataset | None = None) -> DiagnosisReport:
    return DiagnosisReport(classifier(), data, found, {"source": "here"})  # type: ignore[arg-type]


def test_series_set_aside_for_a_test_are_not_looked_at(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    data = data_of(labeled(tmp_path))
    found = report_diagnosis(classifier(), data, 0.34, margin=0.1)
    trained = plan(classifier(), data, 0.34)
    (call,) = asked
    np.testing.assert_array_equal(call["X"].values, trained.train.X.values)
    np.testing.assert_array_equal(call["y"], trained.train.y)
    np.testing.assert_array_equal(call["groups"], trained.train.groups)
    assert (call["cv"], call["margin"], call["random_state"]) == (trained.config["cv"], 0.1, SMALL["random_state"])
    assert found.diagnosis is DIAGNOSIS
    assert found.config["split"] == 0.34
    assert found.config["diagnosis"] == {"probes": ["auto"], "margin": 0.1}
    for name in ("source", "task", "columns", "channels", "target", "cv", "parameters"):
        assert found.config[name] == trained.config[name]


def test_windows_of_one_series_are_divided_in_time_and_those_of_several_grouped_by_series(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    whole = data_of(rain(tmp_path))
    one = replace(whole, X=whole.X[:1], y=whole.y[:1], ids=whole.ids[:1])  # type: ignore[index]
    for data in (one, whole):
        report_diagnosis(regressor(), data.windows(4), cv=3)
    assert [call["cv"] for call in asked] == ["purged:3", 3]
    assert asked[0]["groups"] is None
    assert len(np.unique(asked[1]["groups"])) == len(whole.X)


def test_folds_may_put_a_group_on_both_sides_for_that_is_what_is_looked_for(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    data = data_of(labeled(tmp_path))
    with pytest.raises(DataError, match="needs every group on one side"):
        plan(classifier(), data, cv="kfold:3")
    report_diagnosis(classifier(), data, cv="kfold:3")
    assert asked[0]["cv"] == "kfold:3"


def test_data_that_a_network_cannot_be_trained_on_are_refused(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    data = data_of(labeled(tmp_path))
    with pytest.raises(DataError, match="needs a target of numbers"):
        report_diagnosis(regressor(), data)
    with pytest.raises(DataError, match="needs a target to be diagnosed; --target names its column"):
        report_diagnosis(classifier(), replace(data, y=None))
    with pytest.raises(ParameterError, match="--split needs a fraction between 0 and 1"):
        report_diagnosis(classifier(), data, 2.0)
    assert asked == []


@pytest.mark.parametrize("found", [DIAGNOSIS, BARE], ids=["whole", "bare"])
def test_a_diagnosis_is_read_as_it_was_written(found: Diagnosis, tmp_path: Path) -> None:
    save_diagnosis(report(found), tmp_path / "it")
    read = read_diagnosis(tmp_path / "it")
    assert read == found
    assert isinstance(read.effects, Records)
    assert isinstance(read.findings, Records)
    files = read_run(tmp_path / "it")
    pictures = {name for name in files.manifest.files if name.endswith(".svg")}
    assert pictures == {"effects.svg"} | ({"learning_curve.svg", "history.svg"} if found is DIAGNOSIS else set())
    for name in pictures:
        assert ElementTree.parse(tmp_path / "it" / name).getroot().tag.endswith("svg")
    assert files.json("config.json") == {"source": "here"}
    assert files.manifest.facts["kind"] == "diagnosis"


def test_what_is_not_known_is_read_as_nan_and_what_there_is_not_as_none(tmp_path: Path) -> None:
    unfitted = replace(CURVE, exponent=math.nan, high=math.inf)
    save_diagnosis(report(replace(DIAGNOSIS, learning_curve=unfitted)), tmp_path / "it")
    read = read_diagnosis(tmp_path / "it")
    assert read.learning_curve is not None
    assert math.isnan(read.learning_curve.exponent)
    assert math.isnan(read.learning_curve.high)
    assert read.learning_curve.sizes == CURVE.sizes
    assert read.findings[2].measured is None


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ({"loss": "low"}, "loss"),
        ({"verdicts": ["fine"]}, "verdicts.0"),
        ({"effects": [{}]}, "effects.0.probe"),
        ({"more": 1}, "more"),
        ({"members": 1.5}, "members"),
        ({"history": {"steps": [1], "losses": [0.1], "errors": [0.1], "needed": "all"}}, "history"),
    ],
)
def test_an_edited_diagnosis_is_refused_by_the_place_of_the_edit(
    edit: dict[str, Any], place: str, tmp_path: Path
) -> None:
    value = json_from_bytes(json_to_bytes(DIAGNOSIS)) | edit
    write_run(tmp_path / "it", {"diagnosis.json": json_to_bytes(value)}, {"kind": "diagnosis"})
    with pytest.raises(StorageError, match=rf"diagnosis\.json needs to hold a diagnosis, got {place}") as refusal:
        read_diagnosis(tmp_path / "it")
    assert "\n" not in str(refusal.value)


def test_another_run_is_no_diagnosis(tmp_path: Path) -> None:
    write_run(tmp_path / "it", {"diagnosis.json": json_to_bytes(DIAGNOSIS)}, {"kind": "fit"})
    with pytest.raises(StorageError, match="needs to be what diagnose wrote, got another run"):
        read_diagnosis(tmp_path / "it")
    with pytest.raises(StorageError, match="exists"):
        save_diagnosis(report(DIAGNOSIS), tmp_path / "it")
