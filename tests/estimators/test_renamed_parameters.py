"""A parameter's name of an earlier version works for one more, with a warning."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimator_data import ragged, steps
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import SequenceClassifier, SequenceRegressor, leakage_report, storage
from throughtime.cli.config import read_config
from throughtime.cli.options import given
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import FACTS, WEIGHTS

SMALL: dict[str, Any] = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
WARNS = r"^warmup is called burn_in now; the next version will not know the old name$"


@pytest.mark.parametrize("cls", [SequenceClassifier, SequenceRegressor])
def test_the_old_name_sets_the_parameter_and_warns_where_it_was_written(cls: Any) -> None:
    with pytest.warns(FutureWarning, match=WARNS) as caught:
        estimator = cls(warmup=3)
    assert caught[0].filename == __file__
    assert estimator.burn_in == 3
    assert "warmup" not in estimator.get_params()
    assert clone(estimator).burn_in == 3  # without a warning
    with pytest.warns(FutureWarning, match=WARNS) as caught:
        estimator.set_params(warmup=4)
    assert caught[0].filename == __file__
    assert estimator.burn_in == 4
    with pytest.warns(FutureWarning, match=WARNS):
        assert estimator.warmup == 4
    with pytest.warns(FutureWarning, match=WARNS):
        estimator.warmup = 5
    assert estimator.burn_in == 5
    with pytest.warns(FutureWarning, match=WARNS):
        make_pipeline(FunctionTransformer(), estimator).set_params(**{f"{cls.__name__.lower()}__warmup": 6})
    assert estimator.burn_in == 6


def test_both_names_need_one_value() -> None:
    with pytest.warns(FutureWarning, match=WARNS):
        assert SequenceRegressor(burn_in=2, warmup=2).burn_in == 2
    with (
        pytest.warns(FutureWarning, match=WARNS),
        pytest.raises(ParameterError, match=r"^burn_in needs one value, got 1, and 2 under its old name warmup$"),
    ):
        SequenceRegressor(burn_in=1, warmup=2)


def test_a_grid_of_the_old_name_searches_the_new_one() -> None:
    x = np.random.default_rng(0).normal(size=(12, 6, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GridSearchCV(SequenceRegressor(**SMALL), {"warmup": [1, 2]}, cv=2).fit(x, list(x))
    assert {one.category for one in caught} == {FutureWarning}
    assert search.best_estimator_.burn_in == search.best_params_["warmup"]


def test_what_was_saved_under_the_old_name_is_loaded(tmp_path: Path) -> None:
    fitted = SequenceRegressor(**SMALL, burn_in=2).fit(ragged(), steps())
    fitted.save(tmp_path / "new")
    facts = json.loads((tmp_path / "new" / FACTS).read_text())
    weights = (tmp_path / "new" / WEIGHTS).read_bytes()
    facts["parameters"]["warmup"] = facts["parameters"].pop("burn_in")
    storage.write_run(tmp_path / "old", {FACTS: storage.json_to_bytes(facts), WEIGHTS: weights}, {})
    loaded = SequenceRegressor.load(tmp_path / "old")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.score(ragged(), steps()) == fitted.score(ragged(), steps())
    facts["parameters"]["burn_in"] = 3
    storage.write_run(tmp_path / "both", {FACTS: storage.json_to_bytes(facts), WEIGHTS: weights}, {})
    with pytest.raises(StorageError, match=r"burn_in needs one value, got 3, and 2 under its old name warmup$"):
        SequenceRegressor.load(tmp_path / "both")


def test_the_command_line_and_a_config_take_the_old_name(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match=WARNS):
        assert given({"warmup": "2"}) == {"burn_in": 2}
    with pytest.warns(FutureWarning, match=WARNS), pytest.raises(ParameterError, match=r"^burn_in needs one value"):
        given({"warmup": "2", "burn_in": "3"})
    (tmp_path / "old.toml").write_text("[model]\nwarmup = 2\n")
    with pytest.warns(FutureWarning, match=WARNS):
        assert read_config(tmp_path / "old.toml")["model"] == {"burn_in": 2}


def test_the_report_of_leaks_takes_the_old_name() -> None:
    x = np.random.default_rng(0).normal(size=(8, 6, 1))
    new = leakage_report(x, list(x), cv=2, burn_in=2)
    with pytest.warns(FutureWarning, match=WARNS):
        assert leakage_report(x, list(x), cv=2, warmup=2) == new
