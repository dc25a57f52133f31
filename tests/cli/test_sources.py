"""What the readers say of a source, as a person sees it, and that a run's source is read alike by all commands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vowels import COLUMNS, run

from throughtime.storage import read_run
from throughtime.study.fingerprint import digest_of

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


def test_row_numbers_are_no_channel_and_a_line_says_so(table: Path, tmp_path: Path) -> None:
    indexed = tmp_path / "indexed.csv"
    pd.read_csv(table).to_csv(indexed)
    code, said, error = run("fit", indexed, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    assert "the column without a name: taken for row numbers" in said
    assert "" not in read_run(tmp_path / "run").json("config.json")["channels"]
    for command in (["data", indexed, *COLUMNS], ["predict", tmp_path / "run", indexed, "-o", tmp_path / "p.csv"]):
        code, said, error = run(*command)
        assert code == 0, error
        assert ("row numbers" in said) == (command[0] == "data")  # a run names its channels


def rain(zone: str | None = None) -> pd.DataFrame:
    """A target each step, days in a zone over the change of the clocks."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-03-01", periods=60, freq="D", tz=zone)
    rows = pd.DataFrame({"site": np.repeat([f"s{k}" for k in range(6)], 10), "when": days, "v": rng.normal(size=60)})
    rows["flow"] = rows["v"].round(2) * 2 + 0.5
    return rows


RAIN = ["--id", "site", "--time", "when", "--target", "flow"]


@pytest.mark.parametrize(
    ("zone", "kind"), [("Europe/Berlin", "csv"), ("Europe/Berlin", "parquet"), ("UTC", "parquet"), (None, "csv")]
)
def test_predictions_merge_with_the_source_by_time(zone: str | None, kind: str, tmp_path: Path) -> None:
    rows, source = rain(zone), tmp_path / f"rain.{kind}"
    rows.to_csv(source, index=False) if kind == "csv" else rows.to_parquet(source)
    code, said, error = run("fit", source, *RAIN, *QUICK, "--split", ".5", "--out", tmp_path / "run")
    assert code == 0, error
    first = "2024-02-29T23:00:00Z" if zone == "Europe/Berlin" else "2024-03-01" + ("" if zone is None else "T00:00:00Z")
    assert f"{first} to " in said
    for output in ("p.csv", "p.parquet"):
        assert run("predict", tmp_path / "run", source, "-o", tmp_path / output)[0] == 0
    tables = [(pd.read_csv(tmp_path / "p.csv"), 60), (pd.read_parquet(tmp_path / "p.parquet"), 60)]
    tables += [(pd.read_csv(tmp_path / "run" / f"{name}.csv"), 30) for name in ("out_of_fold", "test_predictions")]
    for table, n in tables:
        table["when"] = pd.to_datetime(table["time"])
        assert (table["when"].dt.tz is None) == (zone is None)
        merged = rows.merge(table, left_on=["site", "when"], right_on=["series", "when"])
        assert len(merged) == n
        if "truth" in merged:
            np.testing.assert_allclose(merged["truth"], merged["flow"], rtol=1e-6)
    parquet = pd.read_parquet(tmp_path / "p.parquet")["time"].dt.tz
    assert str(parquet) == (str(zone) if kind == "parquet" or zone is None else "UTC")


def test_a_run_of_decimal_commas_predicts_from_decimal_commas(tmp_path: Path) -> None:
    source = tmp_path / "rain.csv"
    rain().to_csv(source, index=False, sep=";", decimal=",")
    code, _, error = run("fit", source, *RAIN, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert "--decimal ," in error
    config = tmp_path / "fit.toml"
    config.write_text('[data]\ndecimal = ","\ntargets = "error"\n')
    code, _, error = run("fit", source, *RAIN, *QUICK, "--config", config, "--out", tmp_path / "run")
    assert code == 0, error
    columns = read_run(tmp_path / "run").json("config.json")["columns"]
    assert (columns["decimal"], columns["targets"]) == (",", "error")
    rain().to_csv(tmp_path / "points.csv", index=False)
    for name, options in (("rain", []), ("points", ["--decimal", "."])):
        code, _, error = run(
            "predict", tmp_path / "run", tmp_path / f"{name}.csv", "-o", tmp_path / f"p{name}.csv", *options
        )
        assert code == 0, error
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "prain.csv"), pd.read_csv(tmp_path / "ppoints.csv"))
    code, said, error = run("data", source, *RAIN, "--decimal", ",")
    assert code == 0, error
    assert "mean" in said


def test_series_without_a_target_are_left_out_and_a_line_says_so(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows["label"] = rows["label"].astype("Int64")
    rows.loc[rows["series"].isin(["s003", "s009"]), "label"] = None
    rows.to_csv(tmp_path / "gaps.csv", index=False)
    code, said, error = run("fit", tmp_path / "gaps.csv", *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    assert "2 of 24 series have no target and are left out, such as 's003'" in said
    assert read_run(tmp_path / "run").json("data.json")["train"]["n_series"] == 22
    code, said, error = run("predict", tmp_path / "run", tmp_path / "gaps.csv", "-o", tmp_path / "p.csv")
    assert code == 0, error
    assert "24 series predicted" in said
    options = ["--targets", "error", "--out", tmp_path / "other"]
    code, _, error = run("fit", tmp_path / "gaps.csv", *COLUMNS, *QUICK, *options)
    assert code == 2
    assert "series 's003' has none" in error


@pytest.mark.parametrize("y", [["a", "b", "a", ""], [0.5, 1.5, 2.5, np.nan]])
def test_data_shows_the_target_and_counts_the_series_without(y: list[object], table: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=np.random.default_rng(0).normal(size=(4, 5, 1)), y=y)
    rows = pd.read_csv(table)
    rows.loc[rows["series"] == "s003", "label"] = None
    rows.to_csv(tmp_path / "x.csv", index=False)
    for source, options in ((tmp_path / "x.npz", []), (tmp_path / "x.csv", COLUMNS)):
        code, said, error = run("data", source, *options)
        assert code == 0, error
        assert "series has no target and is left out" in said
        assert "\n  target " in said
        code, _, error = run("data", source, *options, "--targets", "error")  # as the line offers
        assert code == 2
        assert "has none" in error


def test_what_is_missing_counts_static_features(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows["age"] = np.where(rows["series"].isin(["s000", "s001", "s002"]), np.nan, 30)
    rows.to_csv(tmp_path / "age.csv", index=False)
    code, said, error = run("data", tmp_path / "age.csv", *COLUMNS, "--static", "age")
    assert code == 0, error
    assert "of the static features (" in said
    assert "12.5%" in said


@pytest.mark.parametrize("words", [["a", "bcd", ""], ["", ""], [], ["x" * 2_000_000, "y"]])
def test_a_fingerprint_of_text_is_that_of_numpys_own_text(words: list[str]) -> None:
    assert digest_of([np.array(words, object)]) == digest_of([np.array(words, np.str_)])
