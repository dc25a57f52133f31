"""``--cell`` and ``--nonlinearity``: a run of any cell is written, and read again by ``predict``."""

from pathlib import Path

import numpy as np
import pytest
from vowels import COLUMNS, run

from throughtime import SequenceClassifier
from throughtime.data import Sequences

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


@pytest.mark.parametrize(
    "flags", [["--cell", "peephole_lstm"], ["--cell", "rnn", "--nonlinearity", "relu"]], ids=lambda flags: flags[-1]
)
def test_a_run_of_the_cell_is_the_estimators_and_predict_reads_it(
    flags: list[str], table: Path, few: tuple[Sequences, np.ndarray], tmp_path: Path
) -> None:
    code, _, error = run("fit", table, *COLUMNS, *QUICK, *flags, "--out", tmp_path / "run")
    assert code == 0, error
    options = {name[2:]: word for name, word in zip(flags[::2], flags[1::2], strict=True)}
    expected = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0, **options).fit(*few)
    loaded = SequenceClassifier.load(tmp_path / "run")
    assert loaded.get_params() | {"verbose": 0} == expected.get_params()
    assert loaded.module_.net == expected.module_.net
    code, _, error = run("predict", tmp_path / "run", table, "--output", tmp_path / "predictions.csv")
    assert code == 0, error


def test_a_nonlinearity_of_another_cell_is_refused(table: Path, tmp_path: Path) -> None:
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--nonlinearity", "relu", "--out", tmp_path / "run")
    assert code != 0
    assert "nonlinearity='relu' needs cell='rnn', got cell='gru'" in " ".join(error.split())
