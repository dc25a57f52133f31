"""The command ``compare``: the paired test of two runs, and what is refused."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from vowels import COLUMNS, long_table, run

from throughtime import SequenceClassifier, compare_estimators
from throughtime.cli.compare import compare
from throughtime.data import Sequences
from throughtime.storage import read_run, write_run
from throughtime.study import command_of

QUICK = ["--max-epochs", "4", "--lr", "0.05", "--cv", "3"]

Labeled = tuple[Sequences, np.ndarray]


def fit(table: Path, directory: Path, *arguments: str) -> Path:
    code, _, error = run("fit", table, *COLUMNS, *QUICK, *arguments, "--out", directory)
    assert code == 0, error
    return directory


@pytest.fixture(scope="module")
def gru(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(table, tmp_path_factory.mktemp("gru") / "run", "--hidden-size", "6")


@pytest.fixture(scope="module")
def rnn(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(table, tmp_path_factory.mktemp("rnn") / "run", "--hidden-size", "3", "--cell", "rnn")


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_comparison_of_runs_is_that_of_their_estimators(gru: Path, rnn: Path, few: Labeled) -> None:
    found = compare(gru, rnn)["accuracy"]
    nets = [
        SequenceClassifier(max_epochs=4, lr=0.05, hidden_size=size, cell=cell, random_state=0)
        for size, cell in ((6, "gru"), (3, "rnn"))
    ]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    expected = compare_estimators(*nets, *few, cv=folds, scoring="accuracy")
    assert found == expected
    assert found.difference.mean != 0
    assert found.p_value is not None


def test_a_comparison_turned_round_changes_the_sign_alone(gru: Path, rnn: Path) -> None:
    there, back = compare(gru, rnn)["accuracy"], compare(rnn, gru)["accuracy"]
    assert there.difference.mean == -back.difference.mean
    assert there.p_value == back.p_value


def test_a_run_does_not_differ_from_itself_and_that_is_said(gru: Path) -> None:
    found = compare(gru, gru)["accuracy"]
    assert (found.difference.mean, found.difference.low, found.difference.high, found.p_value) == (0, 0, 0, 1)
    code, told, _ = run("compare", gru, gru)
    assert code == 0
    assert "first less second 0.000 (0.000 to 0.000), p = 1.000: no fold differs." in words(told)
    assert "First and second are the same run." in told
    assert told.count("leakage: none found by 6 checks.") == 1


def test_only_the_settings_that_differ_are_listed(gru: Path, rnn: Path) -> None:
    code, told, _ = run("compare", gru, rnn)
    assert code == 0
    listed = told[told.index("setting ") : told.index("All other settings")].splitlines()[1:]
    assert [line.split() for line in listed] == [["cell", "gru", "rnn"], ["hidden_size", "6", "3"]]
    assert "corrected resampled t (Nadeau & Bengio 2003), 3 folds" in words(told)
    assert "about normal" in words(told)


def test_fewer_channels_of_the_same_series_are_a_setting(gru: Path, table: Path, tmp_path: Path) -> None:
    fewer = fit(table, tmp_path / "run", "--hidden-size", "6", "--channels", "c0,c1")
    code, told, error = run("compare", gru, fewer)
    assert code == 0, error
    assert any(line.split()[:2] == ["channels", "c0,"] for line in told.splitlines() if line)


def test_seeds_are_averaged_within_a_fold(gru: Path, table: Path, tmp_path: Path) -> None:
    seeds = fit(table, tmp_path / "run", "--hidden-size", "6", "--seeds", "2")
    by_seed = read_run(seeds).json("metrics.json")["models"][-1]["validation"]["accuracy"]
    assert compare(gru, seeds)["accuracy"].second == pytest.approx(np.mean(by_seed, axis=0))


def test_groups_are_what_the_correction_counts(few: Labeled, tmp_path: Path) -> None:
    rows = long_table(*few)
    rows["who"] = rows["series"].str[1:].astype(int) // 4
    rows.to_csv(tmp_path / "grouped.csv", index=False)
    run_ = fit(tmp_path / "grouped.csv", tmp_path / "run", "--hidden-size", "3", "--group", "who", "--cv", "group:2")
    folds = read_run(run_).json("folds.json")
    assert [(fold["n_train"], fold["n_test"]) for fold in folds] == [(3, 3), (3, 3)]


def test_a_searched_run_is_compared_and_said_to_be_optimistic(gru: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("hidden_size = [3, 6]\n")
    found = tmp_path / "run"
    assert run("search", table, *COLUMNS, *QUICK, "--grid", tmp_path / "grid.toml", "--out", found)[0] == 0
    code, told, error = run("compare", found, gru)
    assert code == 0, error
    assert f"The setting of {found} was chosen among 2 on these very folds" in words(told).replace("- ", "-")


def refused(first: Path, second: Path) -> str:
    code, told, error = run("compare", first, second)
    assert code == 2
    assert told == ""
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    return error


def test_other_folds_are_refused_with_the_command_that_has_the_same(gru: Path, table: Path, tmp_path: Path) -> None:
    other = fit(table, tmp_path / "run", "--hidden-size", "3", "--random-state", "1")
    error = refused(gru, other)
    assert "need the same folds to be compared" in error
    assert "3 folds of --cv 3 --random-state 1" in error
    command = shlex.split(error[error.index("throughtime fit") :])[1:]
    assert run(*command, "--out", tmp_path / "again")[0] == 0
    assert read_run(tmp_path / "again").json("config.json")["parameters"]["hidden_size"] == 3
    assert run("compare", gru, tmp_path / "again")[0] == 0


def test_other_series_are_refused(gru: Path, few: Labeled, tmp_path: Path) -> None:
    X, y = few
    long_table(X, np.roll(y, 1)).to_csv(tmp_path / "other.csv", index=False)
    error = refused(gru, fit(tmp_path / "other.csv", tmp_path / "run", "--hidden-size", "3"))
    assert "need the same series, targets and groups to be compared" in error
    assert "other.csv (24 series), which differ" in error


def test_changed_values_are_refused(gru: Path, few: Labeled, tmp_path: Path) -> None:
    rows = long_table(*few)
    rows.loc[5, "c3"] += 1
    rows.to_csv(tmp_path / "changed.csv", index=False)
    error = refused(gru, fit(tmp_path / "changed.csv", tmp_path / "run", "--hidden-size", "3"))
    assert "need the same values in the channels" in error


def test_other_scores_are_refused_with_the_command_that_has_the_same(gru: Path, table: Path, tmp_path: Path) -> None:
    other = fit(table, tmp_path / "run", "--hidden-size", "3", "--scoring", "f1_macro")
    error = refused(other, gru)
    assert "need a score in common to be compared, got f1_macro and accuracy" in error
    assert "--scoring f1_macro" in error


def test_a_network_without_folds_is_refused_with_the_command_to_type(gru: Path, tmp_path: Path) -> None:
    SequenceClassifier.load(gru).save(tmp_path / "alone")
    error = refused(tmp_path / "alone", gru)
    assert f"{tmp_path / 'alone'} needs the scores of folds to be compared" in error
    assert "throughtime fit SOURCE --cv 5" in error


def test_a_run_without_a_fingerprint_is_refused(gru: Path, tmp_path: Path) -> None:
    opened = read_run(gru)
    files = {name: opened.bytes(name) for name in opened.manifest.files}
    files["data.json"] = b"{}"
    write_run(tmp_path / "old", files, {})
    assert "needs the fingerprint of its series" in refused(gru, tmp_path / "old")


def test_what_is_no_run_is_refused(gru: Path, tmp_path: Path) -> None:
    assert "needs to be the directory of a run" in refused(gru, tmp_path / "none")


def test_the_command_of_a_run_makes_the_same_run(table: Path, tmp_path: Path) -> None:
    arguments = ["--class-weight", "1=2,2=1,3=1", "--clip-norm", "none", "--bidirectional", "--channels", "c0,c2"]
    first = fit(table, tmp_path / "first", "--hidden-size", "2", *arguments, "--seeds", "2", "--split", ".25")
    command = shlex.split(command_of(read_run(first).json("config.json")))[1:]
    assert run(*command, "--out", tmp_path / "second")[0] == 0
    for name in ("metrics.json", "folds.json", "data.json", "model.safetensors"):
        assert read_run(first).bytes(name) == read_run(tmp_path / "second").bytes(name)
