"""A diagnosis of shift that was written is read again, and nothing else is."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from studies import arrays, classifier

from shifted import SHIFT
from throughtime import evaluate, storage
from throughtime.data import Columns, Dataset, Sequences
from throughtime.errors import StorageError
from throughtime.records import Records
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
    np.testing.assert_equal(asdict(found), asdict(outcome_of(SHIFT)))  # one test has no effect: NaN
    assert {type(getattr(found, name)) for name in ("findings", "tests", "channels")} == {Records}
    assert (saved_config(tmp_path / "it").source, saved_config(tmp_path / "it").run) == ("new.csv", "runs/one")


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
