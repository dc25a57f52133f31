"""A diagnosis of shift that was written is read again, and nothing else is."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from studies import arrays, classifier

from shifted import SHIFT
from throughtime import evaluate, storage
from throughtime.data import Columns, Dataset, Sequences
from throughtime.errors import StorageError
from throughtime.records import Records
from throughtime.shift import NamedShift
from throughtime.study import (
    ShiftReport,
    outcome_of,
    read_diagnosis,
    read_shift,
    save_shift,
    saved_config,
)

X = Sequences.from_arrays(np.zeros((2, 3, 1)))
DATA = Dataset(X, None, ("0", "1"), "new", "new.csv", columns=Columns())
REPORT = ShiftReport(DATA, SHIFT, {"run": "runs/one", "source": "new.csv", "labels": True})


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    save_shift(REPORT, tmp_path / "it")
    found = read_shift(tmp_path / "it")
    for field in fields(NamedShift):
        one, other = getattr(found, field.name), getattr(outcome_of(SHIFT), field.name)
        assert type(one) is type(other)
        assert storage.json_to_bytes(one) == storage.json_to_bytes(other)  # one test has no effect: NaN
    assert (saved_config(tmp_path / "it").source, saved_config(tmp_path / "it").run) == ("new.csv", "runs/one")


def test_what_was_written_before_targets_were_kept_is_read(tmp_path: Path) -> None:
    early = {name: value for name, value in vars(outcome_of(SHIFT)).items() if name != "targets"}
    files = {"shift.json": storage.json_to_bytes(early), "config.json": storage.json_to_bytes(REPORT.config)}
    storage.write_run(tmp_path / "it", files, {"kind": "shift"})
    assert read_shift(tmp_path / "it").targets == Records()


def test_how_far_targets_moved_is_kept_with_its_picture(tmp_path: Path) -> None:
    numbers = [replace(side, target=side.outputs[:, 0]) for side in (SHIFT.reference.embedding, SHIFT.deployed)]
    moved = replace(
        SHIFT,
        targets=Records([replace(SHIFT.channels[0], channel="", summary="the target")]),
        reference=replace(SHIFT.reference, embedding=numbers[0]),
        deployed=numbers[1],
    )
    assert "targets.svg" in save_shift(replace(REPORT, diagnosis=moved), tmp_path / "it")
    assert read_shift(tmp_path / "it").targets == moved.targets


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"verdict": "some"}', b"null"])
def test_a_file_of_another_kind_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    storage.write_run(tmp_path / "it", {"shift.json": content, "config.json": content}, {"kind": "shift"})
    with pytest.raises(StorageError, match=r"shift\.json needs to hold a diagnosis of shift"):
        read_shift(tmp_path / "it")
    with pytest.raises(StorageError, match=r"config\.json needs to hold what was looked at"):
        saved_config(tmp_path / "it")


def test_another_directory_is_refused(tmp_path: Path) -> None:
    x, y = arrays(20)
    evaluate(classifier(), x, y, cv=2, baselines=False).save(tmp_path / "run")
    for read, what in ((read_shift, "what shift wrote"), (read_diagnosis, "what diagnose wrote")):
        with pytest.raises(StorageError, match=f"needs to be {what}, got another run"):
            read(tmp_path / "run")
