"""Scores of baselines come back as they were kept."""

import math
from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import StorageError, StorageWarning
from throughtime.storage import json_to_bytes, seal
from throughtime.study.kept_baselines import KeptBaselines
from throughtime.study.scores import ModelScores

RIDGE = ModelScores("ridge", {"R2": [[0.5, 0.25]]}, {"R2": [[0.75, 1.0]]}, {"R2": [0.3]}, {"R2": [0.2]})
DUMMY = ModelScores("dummy", {"R2": [[0.0, -0.1]]}, {"R2": [[0.0, 0.0]]}, {"R2": [0.0]}, {"R2": [-0.5]})


def test_scores_that_are_no_finite_number_come_back_as_they_were(tmp_path: Path) -> None:
    folds = [[0.1 + 0.2, math.inf], [-math.inf, math.nan]]
    scores = ModelScores("inf-ridge", {"log_loss": folds}, {}, {"log_loss": [math.inf, 1.0]}, {})
    KeptBaselines(tmp_path / "baselines.json").keep(scores)
    found = KeptBaselines(tmp_path / "baselines.json").get("inf-ridge")
    assert found is not None
    np.testing.assert_array_equal(found.validation["log_loss"], folds)
    assert (found.pooled, found.training, found.test) == (scores.pooled, {}, {})
    assert KeptBaselines(tmp_path / "other.json").get("inf-ridge") is None


def test_all_that_were_kept_are_there_each_with_all_its_scores(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "baselines.json"  # a folder that the first makes
    for k, scores in enumerate((RIDGE, DUMMY)):
        kept = KeptBaselines(path)
        kept.keep(scores)
        assert kept.get(scores.name) == scores
        assert (KeptBaselines(path).get("ridge"), KeptBaselines(path).get("dummy")) == (RIDGE, DUMMY if k else None)
    nowhere = KeptBaselines(None)
    nowhere.keep(RIDGE)
    assert nowhere.get("ridge") == RIDGE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        seal({}, b"{"),
        seal({}, json_to_bytes({"name": "ridge"})),
        seal({}, json_to_bytes([{}])),
        seal({}, json_to_bytes([{"name": "ridge", "of another version": 1}])),
    ],
)
def test_a_file_that_is_damaged_is_said_to_be_and_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "baselines.json"
    path.write_bytes(content)
    with pytest.warns(StorageWarning, match="; baselines are scored again"):
        kept = KeptBaselines(path)
    assert kept.get("ridge") is None
    kept.keep(RIDGE)
    assert KeptBaselines(path).get("ridge") == RIDGE


def test_where_none_can_be_kept_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file/checkpoints/baselines\.json could not be written"):
        KeptBaselines(tmp_path / "file" / "checkpoints" / "baselines.json").keep(RIDGE)
