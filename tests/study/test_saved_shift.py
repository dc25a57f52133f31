"""A shift that was written is read again, each value of its type, and drawn as the diagnosis is."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shifted import NO_SHIFT, SHIFT
from throughtime.data import Dataset, Sequences
from throughtime.displays import ClassPriorsDisplay
from throughtime.errors import StorageError
from throughtime.records import Records
from throughtime.shift import NamedShift, ShiftDiagnosis
from throughtime.storage import json_from_bytes, json_to_bytes, write_run
from throughtime.study import ShiftReport, read_shift, save_shift

DATA = Dataset(Sequences.from_arrays([np.zeros((2, 1))]), None, ("0",), "here", None)


def report(found: ShiftDiagnosis) -> ShiftReport:
    return ShiftReport(DATA, found, {"source": "here"})


def written(place: Path, found: ShiftDiagnosis) -> NamedShift:
    save_shift(report(found), place / "it")
    return read_shift(place / "it")


#: Without the test that has NaN, which equals nothing.
KNOWN = replace(SHIFT, tests=Records(SHIFT.tests[:2]))


@pytest.mark.parametrize("found", [KNOWN, replace(NO_SHIFT, tests=Records())], ids=["shift", "no shift"])
def test_a_shift_is_read_as_it_was_written(found: ShiftDiagnosis, tmp_path: Path) -> None:
    read = written(tmp_path, found)
    for field in fields(NamedShift):
        assert getattr(read, field.name) == getattr(found, field.name)
        assert type(getattr(read, field.name)) is type(getattr(found, field.name))
    assert str(read) == str(found)
    assert isinstance(read.tests, Records)


def test_what_was_read_is_drawn(tmp_path: Path) -> None:
    drawn = ClassPriorsDisplay.from_diagnosis(written(tmp_path, SHIFT))
    assert list(drawn.classes) == list(SHIFT.classes)


def test_what_a_test_does_not_tell_is_nan(tmp_path: Path) -> None:
    bare = replace(SHIFT.tests[0], effect=math.nan, high=math.inf)
    (test,) = written(tmp_path, replace(SHIFT, tests=Records([bare]))).tests
    assert math.isnan(test.effect)
    assert math.isnan(test.high)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ({"verdict": "fine"}, "verdict"),
        ({"labeled": 1}, "labeled"),
        ({"tests": [{}]}, "tests.0.name"),
        ({"deployed": []}, "deployed"),
    ],
)
def test_an_edited_shift_is_refused_by_the_place_of_the_edit(edit: dict[str, Any], place: str, tmp_path: Path) -> None:
    save_shift(report(SHIFT), tmp_path / "plain")
    value = json_from_bytes((tmp_path / "plain" / "shift.json").read_bytes()) | edit
    write_run(tmp_path / "it", {"shift.json": json_to_bytes(value)}, {"kind": "shift"})
    with pytest.raises(StorageError, match=rf"shift\.json needs to hold a shift, got {place}"):
        read_shift(tmp_path / "it")


def test_another_run_is_no_shift(tmp_path: Path) -> None:
    write_run(tmp_path / "it", {"shift.json": b"{}"}, {"kind": "fit"})
    with pytest.raises(StorageError, match="needs to be what shift wrote, got another run"):
        read_shift(tmp_path / "it")
