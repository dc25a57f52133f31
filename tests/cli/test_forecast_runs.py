"""A forecast on the command line: its flags, its baselines, and that a run keeps its horizon."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_main_job import QUICK, run

from throughtime.data import read
from throughtime.estimators import SequenceRegressor

COLUMNS = ["--id", "shop", "--time", "day", "--target", "sales"]
AHEAD = ["--horizon", "3", "--known", "price, weekday", "--season", "7", "--missing", "error"]


def sales(n: int = 6, length: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    day = np.tile(np.arange(length), n)
    table = pd.DataFrame({"shop": np.repeat([f"s{k}" for k in range(n)], length), "day": day, "weekday": day % 7})
    table["price"], table["visitors"] = rng.choice([0.8, 1.0], len(day)), rng.normal(size=len(day)).round(3)
    table["sales"] = np.sin(day * 2 * np.pi / 7).round(3) - table["price"] + table["visitors"]
    return table


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("forecast")
    sales().to_csv(directory / "sales.csv", index=False)
    code, out, error = run("fit", directory / "sales.csv", *COLUMNS, *AHEAD, *QUICK, "--out", directory / "run")
    assert code == 0, error
    assert "forecast 3 steps ahead; known till then: price, weekday" in out
    for line in ("seasonal naive, 7 ", "ridge on lags ", "GRU "):
        assert line in out
    return directory


def test_a_run_keeps_horizon_known_channels_and_season(fitted: Path) -> None:
    config = json.loads((fitted / "run" / "config.json").read_text())
    assert config["parameters"]["horizon"] == 3
    assert config["parameters"]["known"] == ["price", "weekday"]
    assert config["season"] == 7
    assert config["channels"] == ["weekday", "price", "visitors", "sales"]  # the target's past with them
    out_of_fold = pd.read_csv(fitted / "run" / "out_of_fold.csv")
    assert len(out_of_fold) == 6 * (30 - 3)
    assert out_of_fold.notna().all().all()


def test_predict_forecasts_rows_that_hold_only_what_is_known(fitted: Path, tmp_path: Path) -> None:
    table = sales()
    ahead = table["day"] >= 27
    table.loc[ahead, ["visitors", "sales"]] = np.nan
    table.to_csv(tmp_path / "new.csv", index=False)
    for source, name in ((fitted / "sales.csv", "whole"), (tmp_path / "new.csv", "new")):
        code, out, error = run("predict", fitted / "run", source, "-o", tmp_path / f"{name}-out.csv")
        assert code == 0, error
        assert f"{6 * 27} steps predicted" in out
    found, whole = (pd.read_csv(tmp_path / f"{name}-out.csv") for name in ("new", "whole"))
    pd.testing.assert_frame_equal(found, whole)
    assert (found["prediction"].isna() == (found["time"] < 3)).all()
    X = read(fitted / "sales.csv", id="shop", time="day", target="sales", own_past=True).X
    model = SequenceRegressor.load(fitted / "run")
    np.testing.assert_allclose(found["prediction"], model.predict(X).values[:, 0], rtol=1e-5)  # float32 as text


@pytest.mark.parametrize("kind", ["univariate", "npz", "named"])
def test_the_targets_past_is_a_channel_of_every_form_of_data(kind: str, tmp_path: Path) -> None:
    table = sales()
    source, columns = tmp_path / "data.csv", COLUMNS
    if kind == "univariate":
        table = table[["shop", "day", "sales"]]
    if kind == "named":
        columns = [*COLUMNS, "--channels", "sales,price"]
    if kind == "npz":
        source, columns = tmp_path / "data.npz", []
        cube = table["sales"].to_numpy("float32").reshape(6, 30, 1)
        np.savez(source, X=np.zeros((6, 30, 2), "float32"), y=cube[:, :, 0])
    else:
        table.to_csv(source, index=False)
    options = ["--horizon", "1", "--known", "0"] if kind == "npz" else ["--horizon", "1"]
    code, out, error = run("fit", source, *columns, *options, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    assert "forecast 1 step ahead" in out
    assert "persistence " in out
    code, _, error = run("predict", tmp_path / "run", source, "-o", tmp_path / "p.csv")
    assert code == 0, error
    inputs = SequenceRegressor.load(tmp_path / "run").n_features_in_
    assert inputs == {"univariate": 1, "npz": 3, "named": 2}[kind]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--known", "price"], "known needs a horizon of at least 1"),
        (["--horizon", "3", "--known", "prize"], "known needs channels of X, got 'prize'; did you mean 'price'?"),
        (["--horizon", "30"], "horizon=30 needs more than 30 steps in every series, got 30 in series 0"),
        (["--horizon", "soon"], "horizon needs a whole number of at least 0"),
        (["--known", ","], "known needs a list of channels"),
        (["--season", "0"], "season needs at least 1 step, got 0"),
        (["--channels", "sales,price"], "needs columns other than the target"),
    ],
)
def test_a_forecast_that_cannot_be_is_one_message(
    arguments: list[str], told: str, fitted: Path, tmp_path: Path
) -> None:
    code, _, error = run("fit", fitted / "sales.csv", *COLUMNS, *arguments, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert error.count("error: ") == 1
    assert told in error
    assert list(tmp_path.iterdir()) == []


def test_a_config_says_a_forecast_too(fitted: Path, tmp_path: Path) -> None:
    config = tmp_path / "fit.toml"
    config.write_text('[model]\nhorizon = 2\nknown = ["price", 0]\n[validation]\nseason = 7\n')
    options = ["--config", config, *QUICK, "--out", tmp_path / "run"]
    code, out, error = run("fit", fitted / "sales.csv", *COLUMNS, *options)
    assert code == 0, error
    assert "known till then: price, 0" in out
    assert SequenceRegressor.load(tmp_path / "run").known_ == [0, 1]


@pytest.mark.parametrize("arguments", [["--horizon", "3"], ["--season", "7"]])
def test_rows_that_lack_are_said_and_refused_where_they_would_be_counted(arguments: list[str], tmp_path: Path) -> None:
    table = sales()
    table["day"] = pd.Timestamp("2023-01-01") + pd.to_timedelta(table["day"], "D")
    lacking = table[~((table["shop"] == "s2") & table["day"].dt.strftime("%m%d").isin(["0109", "0120"]))]
    lacking.to_csv(tmp_path / "lacking.csv", index=False)
    told = "1 day; 1.1% of the steps are lacking in 1 of 6 series, the first after 2023-01-08 in series s2"
    code, out, error = run("data", tmp_path / "lacking.csv", *COLUMNS)
    assert code == 0, error
    assert told in " ".join(out.split())
    code, out, error = run("fit", tmp_path / "lacking.csv", *COLUMNS, *arguments, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert told in " ".join(out.split())
    assert f"lacking.csv: {' '.join(arguments)} counts steps and needs times without gaps, got 2023-01-08" in error
    assert "in series 's2'" in error
    assert not (tmp_path / "run").exists()
    table.loc[~table.index.isin(lacking.index), ["price", "visitors", "sales"]] = np.nan  # the cure
    table.to_csv(tmp_path / "whole.csv", index=False)
    code, out, error = run("fit", tmp_path / "whole.csv", *COLUMNS, *arguments, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    code, _, error = run("predict", tmp_path / "run", tmp_path / "lacking.csv", "-o", tmp_path / "p.csv")
    assert (code == 0) == (arguments[0] == "--season")  # the network of a regression counts no steps ahead
    assert "in series 's2'" in error or code == 0
