"""``--features``: a run's network reads what the estimator's does, also from a config and in a search."""

from pathlib import Path

import numpy as np
from vowels import COLUMNS, run

from throughtime import SequenceClassifier
from throughtime.data import Sequences

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


def test_a_run_with_features_is_the_estimators_and_predicts(
    table: Path, few: tuple[Sequences, np.ndarray], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[model]\nfeatures = "diff,rolling:3"\n')
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--features", "diff,rolling:3", "--out", tmp_path / "run")
    assert code == 0, error
    expected = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0, features="diff,rolling:3").fit(*few)
    loaded = SequenceClassifier.load(tmp_path / "run")
    assert loaded.get_params() | {"verbose": 0} == expected.get_params()
    named = few[0].replace(channel_names=loaded.feature_names_in_)
    np.testing.assert_allclose(loaded.predict_proba(named), expected.predict_proba(few[0]), atol=1e-5)
    code, _, error = run("predict", tmp_path / "run", table, "-o", tmp_path / "predicted.csv")
    assert code == 0, error
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--config", config, "--out", tmp_path / "other")
    assert code == 0, error
    assert SequenceClassifier.load(tmp_path / "other").features == "diff,rolling:3"


def test_what_names_no_feature_is_refused_at_once(table: Path, tmp_path: Path) -> None:
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--features", "rollin:3", "--out", tmp_path / "run")
    assert code != 0
    assert "got 'rollin:3'; did you mean rolling?" in " ".join(error.split())


def test_a_search_takes_features_and_none(table: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text('features = ["none", "diff"]\n')
    code, out, error = run("search", table, *COLUMNS, *QUICK, "--grid", grid, "--out", tmp_path / "run")
    assert code == 0, error
    assert "diff" in out
    grid.write_text('features = ["diff:0"]\n')
    code, _, error = run("search", table, *COLUMNS, *QUICK, "--grid", grid, "--out", tmp_path / "refused")
    assert code != 0
    assert "features='diff:0' needs lags, whole numbers of steps" in " ".join(error.split())
