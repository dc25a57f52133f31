"""A page takes in what was found of its run afterwards, and of no other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from read_html import sections_of
from reported_runs import run_of

from diagnosed import DIAGNOSIS
from shifted import SHIFT
from throughtime.data import Dataset, Sequences
from throughtime.errors import ParameterError, StorageError
from throughtime.records import Records
from throughtime.report import subject_of, write_report
from throughtime.report.parts import Table
from throughtime.report.shift import _outcome
from throughtime.study import DiagnosisReport, Run, ShiftReport, Study, save_diagnosis, save_shift

DATA = Dataset(Sequences.from_arrays(np.zeros((2, 3, 1))), None, ("0", "1"), "new", "new.csv")


@pytest.fixture(scope="module")
def run(studies: dict[str, Study]) -> Run:
    return run_of(studies["values"])


def diagnosed(run: Run, place: Path, **other: Any) -> Path:
    config = {"source": run.config["source"], "parameters": run.config["parameters"]} | other
    save_diagnosis(DiagnosisReport(run.estimator, DATA, DIAGNOSIS, config), place)
    return place


def shifted(place: Path, run: str) -> Path:
    save_shift(ShiftReport(DATA, SHIFT, {"run": run, "source": "new.csv"}), place)
    return place


def test_a_page_has_the_diagnosis_and_the_shift_that_are_named(run: Run, tmp_path: Path) -> None:
    found = diagnosed(run, tmp_path / "diagnosis"), shifted(tmp_path / "shift", "elsewhere/small")
    write_report(run, tmp_path / "page.html", diagnosis=found[0], shift=found[1])
    sections = sections_of((tmp_path / "page.html").read_text())
    assert DIAGNOSIS.sentence in sections["verdict"].text
    assert "Verdict: over-fit" in sections["diagnosis"].text
    assert "Other series (new.csv) against those of training: covariate" in sections["shift"].text


def test_a_seed_or_a_device_makes_no_other_network(run: Run, tmp_path: Path) -> None:
    other = run.config["parameters"] | {"random_state": 7, "verbose": 1}
    assert subject_of(run, diagnosed(run, tmp_path / "it", parameters=other)).diagnosis is not None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"source": "other.csv"}, "of other.csv"),
        ({"parameters": {"hidden_size": 9}}, "with hidden_size 9"),
        ({"fingerprint": {"inputs": "0" * 64}}, "of other series in .*: it has changed"),
    ],
)
def test_a_diagnosis_of_something_else_is_refused(
    other: dict[str, Any], message: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=f"--diagnosis needs what diagnose wrote of .*{message}"):
        subject_of(run, diagnosed(run, tmp_path / "it", **other))


def test_a_diagnosis_of_the_same_series_is_shown(run: Run, tmp_path: Path) -> None:
    same = diagnosed(run, tmp_path / "it", fingerprint=run.data.fingerprint)
    assert subject_of(run, same).diagnosis is not None


def test_how_far_targets_moved_is_a_table_of_its_own() -> None:
    moved = replace(SHIFT, targets=Records([replace(SHIFT.channels[0], channel="", summary="the target")]))
    tables = [part for part in _outcome(moved, "Others") if isinstance(part, Table)]
    assert "what moved most of the targets" in tables[-1].caption
    assert tables[-1].rows == (("the target", "+1.20", "+1.00 to +1.40", "0.005"),)
    assert "of the targets" not in " ".join(
        part.caption for part in _outcome(SHIFT, "Others") if isinstance(part, Table)
    )


def test_a_shift_from_another_run_says_from_which(run: Run, tmp_path: Path) -> None:
    assert subject_of(run, shift=shifted(tmp_path / "one", "a/small")).shifted == "new.csv"
    other = subject_of(run, shift=shifted(tmp_path / "two", "a/large"))
    assert other.shifted == "new.csv, compared with run large"


def test_a_directory_of_another_kind_is_refused(run: Run, tmp_path: Path) -> None:
    found = diagnosed(run, tmp_path / "diagnosis"), shifted(tmp_path / "shift", "small")
    with pytest.raises(StorageError, match="needs to be what diagnose wrote"):
        subject_of(run, diagnosis=found[1])
    with pytest.raises(StorageError, match="needs to be what shift wrote"):
        subject_of(run, shift=found[0])


def test_a_file_that_is_there_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(StorageError, match=r"page\.html exists"):
        write_report(run, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "mine"
