"""The command line as a person meets it: what fit writes, what predict gives, and how a mistake is answered."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score
from vowels import COLUMNS, long_table, run

from throughtime.data import Sequences
from throughtime.estimators import SequenceClassifier
from throughtime.storage import read_run

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--seeds", "2", "--split", ".25", "--out", out)
    assert code == 0, error
    return out


@pytest.mark.parametrize("command", ["fit", "search", "compare", "predict", "data", "demo"])
def test_help_answers_without_what_takes_long_to_import(command: str) -> None:
    program = (
        "import sys\nfrom throughtime.cli.app import app\n"
        f"try:\n    app(['{command}', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'sklearn', 'pyarrow', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_a_run_holds_everything_it_says(fitted: Path) -> None:
    names = set(read_run(fitted).manifest.files)
    expected = {"config.json", "data.json", "folds.json", "metrics.json", "metrics.jsonl", "curves.csv", "curves.png",
                "report.html", "test_shift.json"}  # fmt: skip
    expected |= {"model.json", "model.safetensors", "members.json", "members.safetensors", "flow.safetensors"}
    expected |= {"shift.json", "shift.safetensors"}
    for held in ("out_of_fold", "test_predictions"):
        expected |= {f"{held}.csv", f"{held}.png", f"{held}_calibration.png"}
    assert expected == names
    members = read_run(fitted).json("members.json")
    assert [(member["seed"], member["fold"]) for member in members] == [
        (seed, fold) for seed in (0, 1) for fold in (0, 1, None)
    ]


def test_a_test_set_of_a_class_never_seen_costs_no_run(few: Any, tmp_path: Path) -> None:
    X, y = few
    for name, rows in {"train": y != 3, "test": y == 3}.items():
        long_table(X[rows], y[rows]).to_csv(tmp_path / f"{name}.csv", index=False)
    out = tmp_path / "run"
    code, _, error = run("fit", tmp_path / "train.csv", "--test", tmp_path / "test.csv", *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    assert {"test_predictions.png", "test_predictions_calibration.png"} <= set(read_run(out).manifest.files)


def test_the_scores_of_a_run_are_those_of_its_out_of_fold_predictions(fitted: Path) -> None:
    opened = read_run(fitted)
    net = next(model for model in opened.json("metrics.json")["models"] if model["name"] == "GRU")
    rows = list(csv.DictReader(opened.bytes("out_of_fold.csv").decode().splitlines()))
    for seed in (0, 1):
        for fold in (0, 1):
            own = [row for row in rows if (row["seed"], row["fold"]) == (str(seed), str(fold))]
            assert len(own) == len(opened.json("folds.json")[fold]["test"])
            score = accuracy_score([row["truth"] for row in own], [row["prediction"] for row in own])
            assert net["validation"]["accuracy"][seed][fold] == pytest.approx(score)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_predict_gives_what_the_saved_network_predicts(fitted: Path, table: Path, kind: str, tmp_path: Path) -> None:
    output = tmp_path / f"new.{kind}"
    unlabeled = tmp_path / "unlabeled.csv"
    pd.read_csv(table).drop(columns="label").to_csv(unlabeled, index=False)
    assert run("predict", fitted, unlabeled, "-o", output)[0] == 0
    found = pd.read_csv(output) if kind == "csv" else pd.read_parquet(output)
    rows = pd.read_csv(table, float_precision="round_trip")
    X = Sequences.from_arrays([part.filter(like="c") for _, part in rows.groupby("series", sort=False)])
    model = SequenceClassifier.load(fitted)
    assert found["prediction"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(found.filter(like="probability").to_numpy(), model.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_the_precision_to_train_in_is_a_flag(dtype: str, table: Path, tmp_path: Path) -> None:
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--dtype", dtype, "--out", tmp_path / "run")
    assert code == 0, error
    module = SequenceClassifier.load(tmp_path / "run").module_
    expected = torch.float32 if dtype == "auto" else torch.float64
    assert {weight.dtype for weight in module.parameters()} == {expected}
    assert module.shift.dtype == torch.float64


def test_every_form_of_the_same_data_gives_the_same_scores(
    few: tuple[Sequences, np.ndarray], table: Path, tmp_path: Path
) -> None:
    X, y = few
    pd.read_csv(table, dtype={f"c{k}": "float32" for k in range(X.n_channels)}).to_parquet(tmp_path / "v.parquet")
    np.savez(tmp_path / "v.npz", values=X.values, offsets=X.offsets, y=y)
    lines = ["@problemname v", "@timestamps false", "@missing false", "@univariate false", "@dimensions 12"]
    lines += ["@equallength false", "@classlabel true 1 2 3", "@data"]
    lines += [
        ":".join(",".join(map(str, channel)) for channel in x.T) + f":{label}" for x, label in zip(X, y, strict=True)
    ]
    (tmp_path / "v.ts").write_text("\n".join(lines) + "\n")
    scores = []
    sources = [(table, COLUMNS), (tmp_path / "v.parquet", COLUMNS), (tmp_path / "v.npz", []), (tmp_path / "v.ts", [])]
    for number, (source, columns) in enumerate(sources):
        code, _, error = run("fit", source, *columns, *QUICK, "--out", tmp_path / f"run{number}")
        assert code == 0, error
        scores.append(read_run(tmp_path / f"run{number}").json("metrics.json")["models"])
    assert all(score == scores[0] for score in scores)


def test_a_config_file_says_what_flags_would_and_flags_win(table: Path, tmp_path: Path) -> None:
    config = tmp_path / "fit.toml"
    config.write_text(
        '[model]\nhidden_size = 5\nmax_epochs = 2\nclip_norm = "none"\n'
        '[data]\nid = "series"\ntime = "step"\ntarget = "label"\n[validation]\ncv = 2\n'
    )
    code, _, error = run("fit", table, "--config", config, "--hidden-size", "3", "--out", tmp_path / "run")
    assert code == 0, error
    parameters = json.loads((tmp_path / "run" / "config.json").read_text())["parameters"]
    assert (parameters["hidden_size"], parameters["max_epochs"], parameters["clip_norm"]) == (3, 2, None)


def test_a_target_each_step_is_scored_over_the_observed_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 20, 2))
    target = x[..., 0].cumsum(1)
    rows = pd.DataFrame(x.reshape(-1, 2), columns=["a", "b"])
    rows["id"], rows["t"], rows["q"] = np.repeat(np.arange(12), 20), np.tile(np.arange(20), 12), target.ravel()
    rows.loc[rows["t"] < 5, "q"] = np.nan
    rows.to_csv(tmp_path / "steps.csv", index=False)
    columns = ["--id", "id", "--time", "t", "--target", "q"]
    code, _, error = run("fit", tmp_path / "steps.csv", *columns, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    out_of_fold = pd.read_csv(tmp_path / "run" / "out_of_fold.csv")
    assert len(out_of_fold) == 12 * 15
    assert run("predict", tmp_path / "run", tmp_path / "steps.csv", "-o", tmp_path / "p.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "p.csv")) == 12 * 20


def test_weights_of_numbered_classes_are_kept_in_the_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "two.npz", X=rng.normal(size=(12, 5, 1)), y=np.tile([1, 2], 6))
    code, _, error = run("fit", tmp_path / "two.npz", *QUICK, "--class-weight", "1=2,2=1", "--out", tmp_path / "run")
    assert code == 0, error
    assert read_run(tmp_path / "run").json("config.json")["parameters"]["class_weight"] == {"1": 2.0, "2": 1.0}
    assert SequenceClassifier.load(tmp_path / "run").class_weight == {1: 2.0, 2: 1.0}


MISTAKES = {
    "missing file": (["none.csv"], "nothing of that name"),
    "wrong column": (["DATA", "--id", "serie"], "serie"),
    "unknown cell": (["DATA", *COLUMNS, "--cell", "gruu"], "cell needs one of"),
    "value out of bounds": (["DATA", *COLUMNS, "--batch-size", "0"], "batch_size needs"),
    "not a number": (["DATA", *COLUMNS, "--lr", "nan"], "lr needs"),
    "too many folds": (["DATA", *COLUMNS, "--cv", "stratified:9"], "at least 9"),
    "no such folds": (["DATA", *COLUMNS, "--cv", "tenfold"], "--cv needs"),
    "no groups": (["DATA", *COLUMNS, "--cv", "group:2"], "group"),
    "both tests": (["DATA", *COLUMNS, "--split", ".2", "--test", "DATA"], "choose one"),
    "unknown scorer": (["DATA", *COLUMNS, "--scoring", "accurate"], "accurate"),
    "no device": (["DATA", *COLUMNS, "--device", "nowhere"], "device needs"),
    "divergence": (["DATA", *COLUMNS, "--cell", "rnn", "--lr", "1e38", "--clip-norm", "none"], "finite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_message_and_leaves_nothing(mistake: str, table: Path, tmp_path: Path) -> None:
    arguments, told = MISTAKES[mistake]
    named = [str(table) if argument == "DATA" else argument for argument in arguments]
    cv = [] if "--cv" in arguments else ["--cv", "2"]
    code, _, error = run("fit", *named, *cv, "--hidden-size", "4", "--max-epochs", "2", "--out", tmp_path / "run")
    assert code == 2
    assert error.count("error: ") == 1
    assert told in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_bad_values_are_named_by_series_step_and_channel(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows.loc[rows.index[rows["series"] == "s001"][3], "c2"] = np.inf
    rows.to_csv(tmp_path / "inf.csv", index=False)
    code, _, error = run("fit", tmp_path / "inf.csv", *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert "step 3" in error
    assert "c2" in error
    assert not (tmp_path / "run").exists()


def test_an_existing_output_is_left_as_it_is(table: Path, tmp_path: Path) -> None:
    kept = tmp_path / "run"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--out", kept)
    assert code == 2
    assert "exists" in error
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]


def test_a_damaged_run_is_not_predicted_with(fitted: Path, table: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(fitted, broken)
    weights = bytearray((broken / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (broken / "model.safetensors").write_bytes(weights)
    code, _, error = run("predict", broken, table, "-o", tmp_path / "p.csv")
    assert code == 2
    assert "model.safetensors" in error
    assert not (tmp_path / "p.csv").exists()


def test_data_lists_what_is_built_in_and_describes_a_source(table: Path, tmp_path: Path) -> None:
    code, listed, _ = run("data")
    assert code == 0
    assert "japanese-vowels" in listed
    code, described, _ = run("data", table, *COLUMNS)
    assert code == 0
    assert "24" in described
    assert "3 classes" in described
    assert " to " in next(line for line in described.splitlines() if line.split()[:1] == ["range"])
    assert "suspect" not in described
    rows = pd.read_csv(table)
    rows.loc[:4, "c1"] = -999
    rows.to_csv(tmp_path / "marked.csv", index=False)
    _, described, _ = run("data", tmp_path / "marked.csv", *COLUMNS)
    assert re.search(r"suspect +c1: -999, 5 times, others ", described)
