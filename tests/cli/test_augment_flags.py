"""``--augment``: typed, in a config file, in a grid; a run keeps it and trains as the estimator does."""

import json
from pathlib import Path

import pytest
import torch
from vowels import COLUMNS, run

from throughtime import SequenceClassifier, read

SHORT = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]
TEXT = "jitter:0.2,window_slice:0.7@0.5"


@pytest.mark.parametrize("way", ["flag", "config"])
def test_a_run_trains_as_the_estimator_does(way: str, table: Path, tmp_path: Path) -> None:
    flags = ["--augment", "jitter:0.20, window_slice:0.7@0.5"]
    if way == "config":
        (tmp_path / "config.toml").write_text(f'[model]\naugment = "{TEXT}"\n')
        flags = ["--config", str(tmp_path / "config.toml")]
    code, _, error = run("fit", table, *COLUMNS, *SHORT, *flags, "--out", tmp_path / "run")
    assert code == 0, error
    assert json.loads((tmp_path / "run" / "config.json").read_text())["parameters"]["augment"] == TEXT
    data = read(table, id="series", time="step", target="label")
    expected = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0, augment=TEXT).fit(data.X, data.y)
    loaded = SequenceClassifier.load(tmp_path / "run")
    assert loaded.augment == TEXT
    for name, weight in expected.module_.named_parameters():
        assert torch.equal(weight, loaded.module_.get_parameter(name))


def test_a_grid_tries_augmentations(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(f'augment = ["none", "jitter:0.1", "{TEXT}"]\n')
    flags = ["--grid", tmp_path / "grid.toml", "--out", tmp_path / "run"]
    code, out, error = run("search", table, *COLUMNS, *SHORT, *flags)
    assert code == 0, error
    assert TEXT in out


def test_what_is_no_augmentation_is_refused_before_training(table: Path, tmp_path: Path) -> None:
    code, _, error = run("fit", table, *COLUMNS, *SHORT, "--augment", "jiter", "--out", tmp_path / "run")
    assert code != 0
    assert "did you mean 'jitter'?" in " ".join(error.split())
    assert not (tmp_path / "run").exists()
