"""What is said of the folds before anything is trained."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vowels import run

from throughtime import study

QUICK = ["--hidden-size", "2", "--max-epochs", "1", "--cv", "kfold:3"]


def windows(path: Path, stride: int) -> list[str]:
    """Windows of 8 steps that share ``8 - stride`` with the next, of 6 recordings; the columns to read them by."""
    rng = np.random.default_rng(0)
    rows = [
        {"window": f"{person}-{begin}", "t": 1000.0 * person + step, "person": person, "y": "ab"[person % 2], "x": x}
        for person in range(6)
        for recording in [rng.normal(size=40).round(3)]
        for begin in range(0, 33, stride)
        for step, x in enumerate(recording[begin : begin + 8], begin)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(path, index=False)
    return ["--id", "window", "--time", "t", "--target", "y"]


@pytest.mark.parametrize("command", ["fit", "search"])
def test_windows_that_overlap_across_folds_are_said_before_training_and_kept(command: str, tmp_path: Path) -> None:
    source = tmp_path / "windows.csv"
    columns = windows(source, stride=4)
    arguments = ["fit"]
    if command == "search":
        (tmp_path / "grid.toml").write_text("lr = [0.01, 0.1]\n")
        arguments = ["search", "--grid", str(tmp_path / "grid.toml")]
    shared = [*columns, "--channels", "x", *QUICK, "--out", tmp_path / "run"]
    code, out, error = run(arguments[0], source, *arguments[1:], *shared)
    assert code == 0, error
    assert "leakage, the scores will be too good: " in out
    assert re.search(
        r"% of the target steps of the test series of fold \d of 3 are targets in training \(GEN002\)", out
    )
    assert out.index("GEN002") < out.index("in lockstep")
    beside = out[out.index("on unseen series") :]
    assert "leakage: overlapping targets (GEN002, error)" in beside
    assert "so the scores are too good." in beside
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())["leakage"]
    assert [finding["code"] for finding in kept] == [f"GEN00{k}" for k in range(1, 9)]
    assert kept[1]["verdict"] == "found"


def test_groups_divided_by_folds_are_said_and_whole_ones_are_not(tmp_path: Path) -> None:
    source = tmp_path / "windows.csv"
    columns = [*windows(source, stride=8), "--channels", "x"]
    by_person = [*columns, "--group", "person"]
    cases = [(columns, "kfold:3", set()), (by_person, "group:3", set()), (by_person, "kfold:4", {"GEN004"})]
    for number, (asked, cv, found) in enumerate(cases):
        out_dir = tmp_path / f"run{number}"
        code, out, error = run("fit", source, *asked, *QUICK[:-1], cv, "--out", out_dir)
        if cv == "kfold:4":  # refused: what folds must not divide is checked where they are drawn
            assert (code, "a fold needs every group on one side" in error) == (2, True)
            continue
        assert code == 0, error
        assert {code for code in ("GEN001", "GEN002", "GEN004", "GEN006") if code in out} == found
        assert re.search(r"leakage: none found by [78] checks\.", out)


def test_checks_that_would_take_long_are_not_made_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = study.plan
    monkeypatch.setattr(study, "plan", lambda *data, **settings: real(*data, **settings, leakage_work=200))
    source = tmp_path / "windows.csv"
    code, out, error = run(
        "fit", source, *windows(source, stride=4), "--channels", "x", *QUICK, "--out", tmp_path / "run"
    )
    assert code == 0, error
    assert "leakage not looked for in data of this size: overlapping targets (GEN002), overlapping inputs" in out
    assert "throughtime.leakage_report does." in out


def long_series(path: Path) -> list[str]:
    """300 days of one series with a target each day, without an id; the columns to read it by."""
    days = pd.date_range("1980-01-01", periods=300).strftime("%Y-%m-%d")
    values = np.random.default_rng(0).normal(size=(300, 2)).round(3)
    pd.DataFrame({"day": days, "x": values[:, 0], "flow": values[:, 1]}).to_csv(path, index=False)
    return ["--time", "day", "--target", "flow", "--window", "20", "--hidden-size", "2", "--max-epochs", "1"]


@pytest.mark.parametrize(
    ("typed", "kept", "said"),
    [
        ([], "purged:5", "folds: 5 blocks of time (purged:5), each the test of one fold trained on the rest"),
        (
            ["--cv", "3"],
            "purged:3",
            "folds: 3 blocks of time (purged:3), each the test of one fold trained on the rest",
        ),
        (
            ["--cv", "forward:3,gap=5", "--stride", "10"],
            "forward:3,gap=5",
            "folds: 3 blocks of time after a first one (forward:3,gap=5), each the test of one fold trained on the "
            "windows before it; 2 windows near it are left out",
        ),
    ],
)
def test_one_long_series_is_divided_in_time_which_is_said_and_kept(
    typed: list[str], kept: str, said: str, tmp_path: Path
) -> None:
    source = tmp_path / "long.csv"
    code, out, error = run("fit", source, *long_series(source), *typed, "--out", tmp_path / "run")
    assert code == 0, error
    assert said in out
    assert out.index("folds: ") < out.index("in lockstep")
    assert re.search(r"1980-01-01 to 1980-\d\d-\d\d held out" if "purged" in kept else "to 1980-10-26 held out", out)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["cv"], config["columns"]["window"]) == (kept, 20)


def test_the_last_of_one_long_series_is_set_aside_which_is_said(tmp_path: Path) -> None:
    source = tmp_path / "long.csv"
    typed = [*long_series(source), "--stride", "10", "--split", "0.2", "--cv", "2"]
    code, out, error = run("fit", source, *typed, "--out", tmp_path / "run")
    assert code == 0, error
    line = next(line for line in out.splitlines() if line.startswith("set aside: "))
    assert line == (
        "set aside: 6 series for the test, the last in time (1980-08-18 to 1980-10-26), 22 series left to train on; "
        "1 between shares steps with the test and is left out"
    )


def test_one_long_series_that_is_not_cut_names_the_cure(tmp_path: Path) -> None:
    source = tmp_path / "long.csv"
    columns = long_series(source)
    pd.read_csv(source).assign(id="a").to_csv(source, index=False)
    cut = columns.index("--window")
    code, _, error = run("fit", source, "--id", "id", *columns[:cut], *columns[cut + 2 :])
    assert code == 2
    assert "5 folds need at least 5 series, got 1; --window N [--stride N] cuts long series into windows" in error
