"""``--bptt``, ``--k1`` and ``--k2``: a truncated run is the estimator's, and what contradicts itself is refused."""

from pathlib import Path

import numpy as np
import pytest
from vowels import COLUMNS, run

from throughtime import SequenceClassifier
from throughtime.data import Sequences

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


def test_a_truncated_run_is_the_estimators(table: Path, few: tuple[Sequences, np.ndarray], tmp_path: Path) -> None:
    flags = ["--bptt", "truncated", "--k2", "5"]
    code, _, error = run("fit", table, *COLUMNS, *QUICK, *flags, "--out", tmp_path / "run")
    assert code == 0, error
    expected = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0, bptt="truncated", k2=5).fit(*few)
    loaded = SequenceClassifier.load(tmp_path / "run")
    assert loaded.get_params() | {"verbose": 0} == expected.get_params()
    last = loaded.history_[-1].train_loss, expected.history_[-1].train_loss
    assert last[0] == pytest.approx(last[1], rel=1e-6)  # the table's text is read in float64
    full = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(*few)
    assert full.history_[-1].train_loss != pytest.approx(last[1], rel=1e-6)


def test_steps_between_updates_are_refused_without_a_target_each_step(table: Path, tmp_path: Path) -> None:
    flags = ["--bptt", "truncated", "--k1", "5", "--k2", "5"]
    code, _, error = run("fit", table, *COLUMNS, *QUICK, *flags, "--out", tmp_path / "run")
    assert code != 0
    assert "k1 needs a target at each step, got one per series" in " ".join(error.split())
