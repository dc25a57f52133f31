"""The command ``search``: what it finds, what it writes, and how a bad grid file is answered."""

import csv
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.model_selection import StratifiedKFold
from vowels import COLUMNS, run

from throughtime import LockstepSearchCV, SequenceClassifier, one_standard_error, regularization_path
from throughtime.cli.grid import Grid, fitting, read_grid
from throughtime.data import Sequences, read
from throughtime.errors import ParameterError
from throughtime.generalization import corrected_interval
from throughtime.storage import read_run

GRID = {"lr": [0.001, 0.05], "hidden_size": [3, 5]}
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
QUICK = ["--max-epochs", "3", "--cv", "3"]

Labeled = tuple[Sequences, np.ndarray]


@pytest.fixture(scope="module")
def searched(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run of a small search, and what it printed."""
    place = tmp_path_factory.mktemp("search")
    (place / "grid.toml").write_text("lr = [0.001, 0.05]\nhidden_size = [3, 5]\n")
    code, told, error = run("search", table, *COLUMNS, *QUICK, "--grid", place / "grid.toml", "--out", place / "run")
    assert code == 0, error
    return place / "run", told


@pytest.fixture(scope="module")
def as_read(table: Path) -> Sequences:
    """The series of the table, held in float64, as text has more digits than float32."""
    return read(table, id="series", time="step", target="label").X


@pytest.fixture(scope="module")
def in_python(as_read: Sequences, few: Labeled) -> LockstepSearchCV:
    X, y = as_read, few[1]
    net = SequenceClassifier(max_epochs=3, random_state=0)
    return LockstepSearchCV(net, GRID, cv=FOLDS, scoring="accuracy").fit(X, y)


def results_of(directory: Path) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(read_run(directory).bytes("search.csv")), float_precision="round_trip")


def test_a_search_gives_what_lockstep_search_cv_gives_in_python(
    searched: tuple[Path, str], in_python: LockstepSearchCV
) -> None:
    directory, _ = searched
    found, expected = results_of(directory), in_python.cv_results_
    assert found["param_lr"].tolist() == list(expected["param_lr"])
    assert found["param_hidden_size"].tolist() == list(expected["param_hidden_size"])
    for name in ("split0_test", "split1_test", "split2_test", "mean_test", "std_test", "rank_test"):
        np.testing.assert_array_equal(found[f"{name}_accuracy"], expected[f"{name}_score"])
    parameters = read_run(directory).json("config.json")["parameters"]
    assert {name: parameters[name] for name in GRID} == in_python.best_params_


def test_the_network_of_a_search_is_the_best_estimator_refitted(
    searched: tuple[Path, str], in_python: LockstepSearchCV, as_read: Sequences, table: Path, tmp_path: Path
) -> None:
    directory, _ = searched
    np.testing.assert_array_equal(
        SequenceClassifier.load(directory).predict_proba(as_read), in_python.best_estimator_.predict_proba(as_read)
    )
    assert run("predict", directory, table, "-o", tmp_path / "p.csv")[0] == 0
    assert pd.read_csv(tmp_path / "p.csv")["prediction"].tolist() == in_python.predict(as_read).tolist()


def test_the_table_has_the_corrected_interval_of_every_setting(
    searched: tuple[Path, str], in_python: LockstepSearchCV
) -> None:
    results = in_python.cv_results_
    for index in range(4):
        scores = [results[f"split{fold}_test_score"][index] for fold in range(3)]
        interval = corrected_interval(scores, 16, 8)
        assert interval.low is not None
        assert interval.high is not None
        error = np.sqrt(np.var(scores, ddof=1) * (1 / 3 + 8 / 16))
        # no accuracy is below 0 or above 1
        row = f"{np.mean(scores):.3f} {error:.3f} {max(interval.low, 0):.3f} to {min(interval.high, 1):.3f}"
        assert any(row in " ".join(line.split()) for line in searched[1].splitlines())


def test_the_folds_of_the_chosen_setting_have_the_scores_it_was_chosen_for(
    searched: tuple[Path, str], in_python: LockstepSearchCV
) -> None:
    net = read_run(searched[0]).json("metrics.json")["models"][-1]
    own = [in_python.cv_results_[f"split{fold}_test_score"][in_python.best_index_] for fold in range(3)]
    assert net["validation"]["accuracy"] == [own]


def test_a_search_says_that_its_best_score_is_optimistic_and_what_is_not(searched: tuple[Path, str]) -> None:
    directory, told = searched
    words = " ".join(told.split())
    assert "chosen among 4 on these very folds, so its score on them is optimistic" in words
    assert "nested_cross_validate" in words
    assert "4 settings x 3 folds = 12 networks in lockstep, as many at a time as 2 GiB hold" in words
    assert read_run(directory).bytes("search.png").startswith(b"\x89PNG")


def test_one_standard_error_chooses_what_the_rule_chooses_in_python(table: Path, few: Labeled, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(json.dumps({"grid": {"weight_decay": [0.0, 1e-3, 1e4]}}))
    arguments = ["--grid", tmp_path / "grid.json", "--refit", "one-standard-error", "--hidden-size", "5", "--lr", ".05"]
    code, _, error = run("search", table, *COLUMNS, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    net = SequenceClassifier(max_epochs=3, random_state=0, hidden_size=5, lr=0.05)
    rule = partial(one_standard_error, test_to_train=8 / 16)
    expected = LockstepSearchCV(net, {"weight_decay": [0.0, 1e-3, 1e4]}, cv=FOLDS, refit=rule).fit(*few)
    chosen = read_run(tmp_path / "run").json("config.json")["parameters"]["weight_decay"]
    assert chosen == expected.best_params_["weight_decay"]
    assert expected.best_index_ != int(np.argmax(expected.cv_results_["mean_test_score"]))  # the rule has a say


def test_a_sampled_search_draws_what_lockstep_search_cv_draws(table: Path, few: Labeled, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        "lr = {loguniform = [0.001, 0.1]}\ndropout = {uniform = [0.1, 0.4]}\nhidden_size = {randint = [2, 5]}\n"
        'cell = ["gru", "rnn"]\n'
    )
    arguments = ["--grid", tmp_path / "grid.toml", "--n-iter", "4", "--random-state", "7"]
    code, _, error = run("search", table, *COLUMNS, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    drawn = {
        "lr": stats.loguniform(0.001, 0.1),
        "dropout": stats.uniform(0.1, 0.4 - 0.1),
        "hidden_size": stats.randint(2, 5),
        "cell": ["gru", "rnn"],
    }
    net = SequenceClassifier(max_epochs=3, random_state=7)
    folds = StratifiedKFold(3, shuffle=True, random_state=7)
    expected = LockstepSearchCV(net, param_distributions=drawn, n_iter=4, random_state=7, cv=folds).fit(*few)
    found = results_of(tmp_path / "run")
    for name in drawn:
        assert found[f"param_{name}"].tolist() == list(expected.cv_results_[f"param_{name}"])
    assert found["mean_test_accuracy"].tolist() == list(expected.cv_results_["mean_test_score"])


def test_several_tables_are_tried_one_after_the_other(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\ncell = ["rnn"]\nclip_norm = ["none", 0.5]\n[[grid]]\ncell = ["gru"]\n'
    )
    arguments = ["--grid", tmp_path / "grid.toml", "--hidden-size", "3", "--scoring", "f1_macro"]
    code, told, error = run("search", table, *COLUMNS, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    rows = list(csv.DictReader(read_run(tmp_path / "run").bytes("search.csv").decode().splitlines()))
    assert [(row["param_cell"], row["param_clip_norm"]) for row in rows] == [("rnn", ""), ("rnn", "0.5"), ("gru", "")]
    assert any(line.split()[1:3] == ["gru", "1"] for line in told.splitlines() if line)  # clip_norm's default


def test_a_path_in_the_grid_is_the_regularization_path_of_the_model(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("weight_decay = {path = 4}\n")
    arguments = [*QUICK, "--grid", tmp_path / "grid.toml", "--optimizer", "adamw", "--refit", "one-standard-error"]
    code, told, error = run("search", table, *COLUMNS, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    assert "4 settings x 3 folds" in told
    wanted = regularization_path(SequenceClassifier(optimizer="adamw"), "weight_decay", 4)
    assert results_of(tmp_path / "run")["param_weight_decay"].tolist() == wanted
    assert read_run(tmp_path / "run").json("config.json")["search"]["grid"] == {"weight_decay": {"path": 4}}


def test_each_table_has_the_path_of_its_own_optimizer(table: Path, tmp_path: Path) -> None:
    data, net = read(table, id="series", time="step", target="label"), SequenceClassifier()
    tables = [
        {"optimizer": ["adamw"], "weight_decay": {"path": 3}},
        {"optimizer": ["adam", "sgd"], "weight_decay": {"path": 3}},
        {"optimizer": ["adam", "adamw"], "dropout": {"path": 3}},
    ]

    def fitted_grid() -> Grid:
        (tmp_path / "grid.json").write_text(json.dumps({"grid": tables}))
        return fitting(read_grid(tmp_path / "grid.json", 9, {}), "classification", data, net)

    assert [list(own.values())[1] for own in fitted_grid().tables] == [[0, 0.001, 3], [0, 0.1, 100], [0, 0.05, 0.8]]
    tables[0]["optimizer"].append("adam")
    with pytest.raises(ParameterError, match=r"weight_decay\.path needs optimizers of one kind .* table .* of its own"):
        fitted_grid()


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('[[grid]]\nlr = [0.1]\nclip_norm = ["none", 1]\n[[grid]]\ncell = ["rnn"]\n')
    (tmp_path / "grid.json").write_text('[{"lr": [0.1], "clip_norm": [null, 1]}, {"cell": ["rnn"]}]')
    tables = [read_grid(tmp_path / f"grid.{kind}", None, {}).tables for kind in ("toml", "json")]
    assert tables[0] == tables[1] == [{"lr": [0.1], "clip_norm": [None, 1]}, {"cell": ["rnn"]}]


def test_a_memory_budget_changes_no_result(searched: tuple[Path, str], table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("lr = [0.001, 0.05]\nhidden_size = [3, 5]\n")
    arguments = ["--grid", tmp_path / "grid.toml", "--memory-budget", "1e-6"]
    code, _, error = run("search", table, *COLUMNS, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    assert "run 12 of 12" in error  # one network at a time
    timed = ["mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time"]
    pd.testing.assert_frame_equal(
        results_of(tmp_path / "run").drop(columns=timed), results_of(searched[0]).drop(columns=timed)
    )


def test_a_setting_that_diverges_ranks_last_and_the_others_are_kept(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("lr = [1e38, 0.05]\n")
    arguments = ["--grid", tmp_path / "grid.toml", "--cell", "rnn", "--clip-norm", "none", "--hidden-size", "3"]
    code, told, error = run("search", table, *COLUMNS, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, error
    assert "some networks failed" in told
    assert np.isnan(results_of(tmp_path / "run")["mean_test_accuracy"]).tolist() == [True, False]
    assert read_run(tmp_path / "run").json("config.json")["parameters"]["lr"] == 0.05


BAD_GRIDS = {
    "unknown parameter": ("toml", "hiden_size = [4]", "hiden_size is not a parameter; did you mean hidden_size?"),
    "wrong type": ("toml", 'lr = ["fast"]', "lr needs a finite number above 0, got 'fast'"),
    "fraction of a unit": ("toml", "hidden_size = [4.5]", "hidden_size needs a whole number"),
    "wrong word": ("toml", 'cell = ["gruu"]', "did you mean 'gru'?"),
    "no list": ("toml", "lr = 0.1", "lr needs a list of values"),
    "empty list": ("toml", "lr = []", "lr needs at least one value, got []; leave it out"),
    "same value": ("toml", "lr = [0.1, 0.1]", "lr needs each value once, got 0.1 twice"),
    "same key": ("toml", "lr = [0.1]\nlr = [0.2]", "needs each key once in a table, got 'lr = [0.2]' again in line 2"),
    "same key in JSON": ("json", '{"lr": [0.1], "lr": [0.2]}', "needs each key once in a table, got 'lr' 2 times"),
    "no TOML": ("toml", "lr = [0.1", "needs TOML, got"),
    "no JSON": ("json", "lr = [0.1]", "needs JSON, got"),
    "neither": ("yaml", "lr: [0.1]", "--grid needs a file that ends in .toml or .json"),
    "nothing": ("toml", "", "needs a table of parameters with the values to try"),
    "empty table": ("toml", "[[grid]]", "needs a table of parameters with the values to try"),
    "beside": ("toml", "lr = [0.1]\n[[grid]]\ncell = ['rnn']", "lr stands beside grid"),
    "for all": ("toml", 'device = ["cpu"]', "device is one for all networks; --device sets it"),
    "no seed": ("toml", 'random_state = ["none"]', "random_state needs seeds"),
    "typed too": ("toml", "max_epochs = [2]", "max_epochs is typed as --max-epochs too"),
    "other task": ("toml", 'target_transform = ["log"]', "target_transform is not a parameter for classification"),
    "no such class": ("toml", "class_weight = [{ 9 = 2 }]", "class_weight needs classes among 1, 2, 3, got 9"),
    "path of no regularizer": ("toml", "lr = {path = 8}", "lr.path: regularization_path needs a regularizer"),
    "path of one": ("toml", "dropout = {path = 1}", "dropout.path: regularization_path needs n from 3 to 100"),
    "needs n_iter": ("toml", "lr = {uniform = [0.1, 0.2]}", "needs --n-iter"),
}
BAD_DRAWS = {
    "unknown distribution": ("lr = {normal = [0, 1]}", 'got {"normal": [0, 1]}'),
    "one end": ("lr = {uniform = [0.1]}", "lr.uniform needs two numbers, [lowest, highest], got [0.1]"),
    "no numbers": ("lr = {uniform = ['a', 'b']}", "lr.uniform needs two numbers"),
    "turned round": ("lr = {uniform = [2, 1]}", "lr.uniform needs its lowest value below its highest, got [2, 1]"),
    "log of zero": ("lr = {loguniform = [0, 1]}", "lr.loguniform needs values above 0, got [0, 1]"),
    "out of bounds": ("dropout = {uniform = [0, 2]}", "dropout needs a finite number"),
    "fractions of units": ("hidden_size = {uniform = [2, 9]}", "hidden_size needs a list of values or {randint"),
    "whole rates": ("lr = {randint = [1, 2]}", "lr needs a list of values or {loguniform"),
    "words": ("cell = {randint = [1, 2]}", "cell needs a list of values"),
    "too many": ("lr = [0.1, 0.2]", "--n-iter needs at most 2, all the settings of"),
}


@pytest.mark.parametrize("mistake", BAD_GRIDS)
def test_a_bad_grid_gets_one_message_and_leaves_nothing(mistake: str, table: Path, tmp_path: Path) -> None:
    kind, text, told = BAD_GRIDS[mistake]
    refused(tmp_path, f"grid.{kind}", text, told, table)


@pytest.mark.parametrize("mistake", BAD_DRAWS)
def test_a_bad_distribution_gets_one_message_and_leaves_nothing(mistake: str, table: Path, tmp_path: Path) -> None:
    text, told = BAD_DRAWS[mistake]
    refused(tmp_path, "grid.toml", text, told, table, "--n-iter", "5")


def refused(place: Path, name: str, text: str, told: str, table: Path, *more: str) -> None:
    grid = place / name
    grid.write_text(text)
    code, _, error = run("search", table, *COLUMNS, *QUICK, "--grid", grid, *more, "--out", place / "run")
    assert code == 2
    assert error.count("error: ") == 1
    assert told in error
    assert str(grid) in error
    assert "Traceback" not in error
    assert list(place.iterdir()) == [grid]


MISTAKES = {
    "no file": (["--grid", "none.toml"], "--grid needs a file that can be read, got none.toml"),
    "no draws": (["--n-iter", "0"], "--n-iter needs at least 1, got 0"),
    "no memory": (["--memory-budget", "0"], "--memory-budget needs a number of GiB above 0, got 0"),
    "no order": (["--refit", "one-standard-error"], "needs a parameter that tells what is simple"),
    "no folds": (["--cv", "tenfold"], "--cv needs"),
    "all diverge": (["--lr", "1e38", "--clip-norm", "none"], "no setting could be trained"),
    "no score": (["--cv", "loo", "--task", "regression"], "a search by R2 needs at least 2 targets in every fold"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_message_and_leaves_nothing(mistake: str, table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('cell = ["rnn"]\n')
    arguments, told = MISTAKES[mistake]
    grid = [] if "--grid" in arguments else ["--grid", str(tmp_path / "grid.toml")]
    code, _, error = run("search", table, *COLUMNS, *QUICK, *grid, *arguments, "--out", tmp_path / "run")
    assert code == 2
    assert error.count("error: ") == 1
    assert told in error
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_seeds_of_a_config_are_refused(table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('cell = ["rnn"]\n')
    (tmp_path / "config.toml").write_text("[validation]\nseeds = 2\n")
    arguments = ["--grid", tmp_path / "grid.toml", "--config", tmp_path / "config.toml", "--out", tmp_path / "run"]
    code, _, error = run("search", table, *COLUMNS, *QUICK, *arguments)
    assert code == 2
    assert "got seeds 2; fit takes seeds" in error
    assert not (tmp_path / "run").exists()
