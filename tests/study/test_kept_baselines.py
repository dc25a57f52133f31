"""Scores of baselines come back as they were kept."""

import math
from pathlib import Path

import numpy as np

from throughtime.study.kept_baselines import KeptBaselines
from throughtime.study.scores import ModelScores


def test_scores_that_are_no_finite_number_come_back_as_they_were(tmp_path: Path) -> None:
    folds = [[0.1 + 0.2, math.inf], [-math.inf, math.nan]]
    scores = ModelScores("inf-ridge", {"log_loss": folds}, {}, {"log_loss": [math.inf, 1.0]}, {})
    KeptBaselines(tmp_path / "baselines.json").keep(scores)
    found = KeptBaselines(tmp_path / "baselines.json").get("inf-ridge")
    assert found is not None
    np.testing.assert_array_equal(found.validation["log_loss"], folds)
    assert (found.pooled, found.training, found.test) == (scores.pooled, {}, {})
    assert KeptBaselines(tmp_path / "other.json").get("inf-ridge") is None
