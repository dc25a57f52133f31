"""``--init``, ``--init-lag`` and ``--forget-bias``: a run starts as the estimator does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from vowels import COLUMNS, run

from throughtime import SequenceClassifier
from throughtime.data import Sequences

#: a training that leaves the weights where they start
STILL = ["--hidden-size", "4", "--max-epochs", "1", "--lr", "1e-100", "--cv", "2"]


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--init", "chrono", "--init-lag", "20"], {"init": "chrono", "init_lag": 20}),
        (["--init", "orthogonal", "--forget-bias", "-1.5"], {"init": "orthogonal", "forget_bias": -1.5}),
    ],
    ids=["chrono", "forget bias"],
)
def test_a_run_starts_as_the_estimator_does(
    flags: list[str], options: dict[str, object], table: Path, few: tuple[Sequences, np.ndarray], tmp_path: Path
) -> None:
    code, _, error = run("fit", table, *COLUMNS, *STILL, *flags, "--out", tmp_path / "run")
    assert code == 0, error
    expected = SequenceClassifier(hidden_size=4, max_epochs=1, lr=1e-100, random_state=0, **options).fit(*few)
    loaded = SequenceClassifier.load(tmp_path / "run")
    assert loaded.get_params() | {"verbose": 0} == expected.get_params()
    for name, weight in expected.module_.named_parameters():
        assert torch.equal(weight, loaded.module_.get_parameter(name))


def test_what_does_not_go_together_is_refused(table: Path, tmp_path: Path) -> None:
    flags = ["--init", "chrono", "--forget-bias", "1"]
    code, _, error = run("fit", table, *COLUMNS, *STILL, *flags, "--out", tmp_path / "run")
    assert code != 0
    assert "forget_bias needs biases other than chrono's" in " ".join(error.split())
