"""A search from Python: what the command line writes, by the same steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
from scipy import stats
from studies import FLAGS, arrays, classifier, data_of, labeled
from typer.testing import CliRunner

from throughtime import LockstepSearchCV, study
from throughtime.cli.app import app
from throughtime.data import Dataset, Sequences
from throughtime.errors import ParameterError
from throughtime.storage import MANIFEST

X, Y = arrays()
DATA = Dataset(Sequences.from_arrays(X), Y, tuple(map(str, range(20))), "x", "x")


def searched(plan: study.Plan, grid: Any, **settings: Any) -> study.Study:
    ranking = study.search(plan, grid, **settings)
    return study.train(study.chosen_plan(plan, ranking), search=ranking)


def files(run: Path) -> dict[str, Any]:
    """Every file without what takes time, and without the log of training, which a command writes."""
    names = {path.name for path in run.iterdir()} - {MANIFEST, "metrics.jsonl", "search.jsonl", "report.html"}
    found: dict[str, Any] = {name: (run / name).read_bytes() for name in names}
    settings = json.loads(found.pop("config.json"))
    del settings["seconds"], settings["search"]["seconds"]
    table = pyarrow.csv.read_csv(run / "search.csv").to_pydict()
    del found["search.csv"]
    return found | {"settings": settings, "search": {name: table[name] for name in table if "time" not in name}}


def test_a_search_from_python_is_the_run_of_the_command_line(tmp_path: Path) -> None:
    source, columns = labeled(tmp_path)
    grid = {"lr": [0.01, 0.1], "num_layers": [1, 2]}
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    words = [word for name, column in columns.items() for word in (f"--{name}", column)]
    options = ["--grid", str(tmp_path / "grid.json"), "--cv", "3", "--split", ".25", "--refit", "one-standard-error"]
    typed = CliRunner().invoke(app, ["search", str(source), *words, *FLAGS, *options, "--out", str(tmp_path / "typed")])
    assert typed.exit_code == 0, typed.stderr
    plan = study.plan(classifier(), data_of((source, columns)), 0.25, cv=3)
    searched(plan, grid, refit="one-standard-error", written=grid).save(tmp_path / "saved")
    assert files(tmp_path / "typed") == files(tmp_path / "saved")


def test_drawn_settings_and_weights_are_those_of_the_search(tmp_path: Path) -> None:
    weights = np.linspace(0.5, 2, 20)
    plan = study.plan(classifier(), DATA, cv=2, scoring="accuracy", sample_weight=weights)
    grid = {"lr": stats.loguniform(0.001, 0.1), "cell": ["rnn", "gru"]}
    finished = searched(plan, grid, n_iter=3)
    expected = LockstepSearchCV(
        classifier(), param_distributions=grid, n_iter=3, random_state=0, cv=list(plan.splits), scoring="accuracy"
    ).fit(DATA.X, Y, sample_weight=weights)
    assert finished.search is not None
    assert finished.search.results["params"] == expected.cv_results_["params"]
    np.testing.assert_array_equal(
        finished.search.results["mean_test_accuracy"], expected.cv_results_["mean_test_score"]
    )
    assert finished.search.results["params"][finished.search.best] == expected.best_params_
    for name, value in finished.estimator.module_.state_dict().items():
        assert value.equal(expected.best_estimator_.module_.state_dict()[name])
    finished.save(tmp_path / "run")
    kept = study.Run.open(tmp_path / "run").config["search"]
    assert kept["n_settings"] == 3
    assert json.loads((tmp_path / "run" / "config.json").read_text())["search"]["grid"] == [
        {"lr": "loguniform(0.001, 0.1)", "cell": ["rnn", "gru"]}
    ]


@pytest.mark.parametrize(
    ("grid", "settings", "message"),
    [
        ({}, {}, "needs at least one parameter with values to try, got none"),
        ([], {}, "needs at least one parameter with values to try, got none"),
        ({"cell": ["rnn", "gru"]}, {"refit": "one-standard-error"}, "needs a parameter that tells what is simple"),
        ({"cell": ["rnn"]}, {"refit": "worst"}, "refit needs best or one-standard-error, got 'worst'"),
        ({"lr": [1e38], "clip_norm": [None], "batch_size": [2]}, {}, "no setting could be trained: "),
    ],
)
def test_a_search_that_could_not_be_ranked_is_refused(grid: Any, settings: dict[str, Any], message: str) -> None:
    plan = study.plan(classifier(cell="rnn"), DATA, cv=2)
    with pytest.raises(ParameterError, match=message):
        study.search(plan, grid, **settings)


def test_a_search_trains_one_network_per_fold() -> None:
    plan = study.plan(classifier(), DATA, cv=2, seeds=2)
    with pytest.raises(ParameterError, match="got seeds 2; fit takes seeds"):
        study.search(plan, {"lr": [0.1]})
