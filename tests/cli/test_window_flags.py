"""Windows from the command line: a run keeps them, predicts alike, and merges what several say of a step."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vowels import run

from throughtime.storage import read_run
from throughtime.study import Run, command_of

QUICK = ["--hidden-size", "2", "--max-epochs", "1", "--cv", "group:2"]
LENGTHS = {"r0": 40, "r1": 33, "r2": 27, "r3": 9}
LABELS = ["--id", "id", "--time", "t", "--target", "label", "--channels", "x", "--window", "10", "--stride", "4"]
STEPS = ["--id", "id", "--target", "y", "--channels", "x", "--window", "10", "--history", "6"]


def recordings() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {"id": name, "t": pd.date_range("2024-01-01", periods=n, freq="h"), "x": rng.normal(size=n), "label": label}
        )
        for (name, n), label in zip(LENGTHS.items(), "abab", strict=True)
    ]
    return pd.concat(parts, ignore_index=True).assign(y=lambda rows: rows["x"] * 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, and a run on windows of them for a label and for a target each step."""
    directory = tmp_path_factory.mktemp("windows")
    recordings().to_csv(directory / "data.csv", index=False)
    for name, columns in {"labels": LABELS, "steps": STEPS}.items():
        code, said, error = run("fit", directory / "data.csv", *QUICK, *columns, "--out", directory / name)
        assert code == 0, error
        short = "1 of 4 series is shorter than a window of 10 steps and left out; with the ends of the others"
        assert said.count(short) == (name == "labels")
    return directory


def predicted(made: Path, name: str, output: Path, *options: str, source: Path | None = None) -> pd.DataFrame:
    code, said, error = run("predict", made / name, source or made / "data.csv", "-o", output, *options)
    assert code == 0, error
    table = pd.read_parquet(output)
    what = "steps" if options or name == "steps" else "windows"
    assert f"{len(table)} {what} predicted" in said.replace("\n", " ")
    return table


def test_a_run_of_windows_predicts_a_row_for_each_with_its_place(made: Path, tmp_path: Path) -> None:
    config = read_run(made / "labels").json("config.json")["columns"]
    assert (config["window"], config["stride"], config["history"]) == (10, 4, 0)
    table = predicted(made, "labels", tmp_path / "p.parquet")
    wanted = [(name, k, k + 10) for name, n in LENGTHS.items() for k in range(0, n - 9, 4)]
    assert list(table[["series", "begin", "end"]].itertuples(index=False, name=None)) == wanted
    hours = pd.Timedelta("1h") * table["begin"]
    assert (table["begin_time"] == pd.Timestamp("2024-01-01") + hours).all()

    # Windows cut by hand, as series of their own, get the same bits.
    whole = recordings().set_index("id")
    rows = [whole.loc[name].iloc[begin:end].assign(id=f"{name}-{begin}") for name, begin, end in wanted]
    pd.concat(rows).to_csv(tmp_path / "cut.csv", index=False)
    by_hand = predicted(made, "labels", tmp_path / "hand.parquet", source=tmp_path / "cut.csv")
    for column in ("prediction", "probability_a", "probability_b"):
        assert (by_hand[column] == table[column]).all()


def test_merged_predictions_are_the_mean_of_the_windows_over_a_step(made: Path, tmp_path: Path) -> None:
    windows = predicted(made, "labels", tmp_path / "p.parquet")
    merged = predicted(made, "labels", tmp_path / "m.parquet", "--merge")
    expected = []
    for name, n in LENGTHS.items():
        for step in range(n):
            over = windows[(windows["series"] == name) & (windows["begin"] <= step) & (step < windows["end"])]
            if len(over):
                means = over[["probability_a", "probability_b"]].mean()
                time = pd.Timestamp("2024-01-01") + pd.Timedelta("1h") * step
                expected.append((name, time, "ab"[int(means.argmax())], *means))
    assert len(expected) == len(merged)
    names = ["series", "time", "prediction", "probability_a", "probability_b"]
    pd.testing.assert_frame_equal(
        merged, pd.DataFrame(expected, columns=names), check_dtype=False, rtol=1e-12, atol=0
    )  # the same sums of doubles, in the same order or another


@pytest.mark.parametrize("horizon", [0, 2])
def test_merged_values_are_the_mean_of_the_windows_over_a_step(horizon: int, made: Path, tmp_path: Path) -> None:
    columns = ["--id", "id", "--target", "y", "--window", "10", "--stride", "3", "--channels"]
    columns += ["x,y", "--horizon", "2"] if horizon else ["x"]
    code, _, error = run("fit", made / "data.csv", *QUICK, *columns, "--out", tmp_path / "run")
    assert code == 0, error
    assert run("predict", tmp_path / "run", made / "data.csv", "-o", tmp_path / "p.parquet")[0] == 0
    assert run("predict", tmp_path / "run", made / "data.csv", "-o", tmp_path / "m.parquet", "--merge")[0] == 0
    windows, merged = pd.read_parquet(tmp_path / "p.parquet"), pd.read_parquet(tmp_path / "m.parquet")
    expected = windows.dropna().groupby(["series", "step"])["prediction"].mean().reset_index()
    # the first steps of a series have no forecast, those of a later window one by the window before
    assert len(windows) > len(merged) == sum(LENGTHS.values()) - len(LENGTHS) * horizon
    pd.testing.assert_frame_equal(merged, expected, rtol=1e-12, atol=0)


def test_steps_of_history_are_read_and_not_predicted(made: Path, tmp_path: Path) -> None:
    table = predicted(made, "steps", tmp_path / "p.parquet")
    wanted = [
        (name, k, min(k + 10, n), step)
        for name, n in LENGTHS.items()
        for k in range(0, n, 10)
        for step in range(k, min(k + 10, n))
    ]
    assert list(table[["series", "begin", "end", "step"]].itertuples(index=False, name=None)) == wanted
    merged = predicted(made, "steps", tmp_path / "m.parquet", "--merge")
    pd.testing.assert_frame_equal(merged, table[["series", "step", "prediction"]], check_exact=True, check_dtype=False)
    folds = pd.read_csv(made / "steps" / "out_of_fold.csv")
    for name, begin, end, step in wanted:
        row = folds[(folds["series"] == f"{name}[{begin}:{end}]") & (folds["step"] == step)]
        assert len(row) == 1


def test_a_run_of_windows_predicts_without_targets_as_with(made: Path, tmp_path: Path) -> None:
    recordings().drop(columns=["y", "label"]).to_csv(tmp_path / "new.csv", index=False)
    for name in ("labels", "steps"):
        bare = predicted(made, name, tmp_path / f"{name}.parquet", source=tmp_path / "new.csv")
        pd.testing.assert_frame_equal(bare, predicted(made, name, tmp_path / f"{name}2.parquet"))


def test_a_source_that_is_no_table_is_read_as_windows_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 23, 1))
    np.savez(tmp_path / "a.npz", X=X, y=X[..., 0])
    np.savez(tmp_path / "new.npz", X=X)
    options = [*QUICK, "--window", "10", "--stride", "10", "--history", "5"]
    np.savez(tmp_path / "test.npz", X=-X, y=X[..., 0])
    code, said, error = run(
        "fit", tmp_path / "a.npz", *options, "--test", tmp_path / "test.npz", "--out", tmp_path / "run"
    )
    assert code == 0, error
    assert "groups are in the training series too" not in said  # series 0 of another archive is another
    for name in ("a", "new"):
        code, said, error = run("predict", tmp_path / "run", tmp_path / f"{name}.npz", "-o", tmp_path / f"{name}.csv")
        assert code == 0, error
        assert "92 steps predicted" in said
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "new.csv").read_text()
    code, said, error = run("flow", tmp_path / "run", tmp_path / "new.npz")
    assert code == 0, error


def test_one_long_series_needs_no_id(tmp_path: Path) -> None:
    one = recordings().query("id == 'r0'").drop(columns=["id", "label"])
    one.to_csv(tmp_path / "river.csv", index=False)
    columns = ["--time", "t", "--target", "y", "--window", "10", "--history", "5"]
    code, said, error = run("data", tmp_path / "river.csv", *columns)
    assert code == 0, error
    assert "4 windows of 1 series, 10 to 15 steps" in said
    options = ["--hidden-size", "2", "--max-epochs", "1", *columns, "--cv", "time:2", "--out", tmp_path / "run"]
    code, _, error = run("fit", tmp_path / "river.csv", *options)
    assert code == 0, error
    table = predicted(tmp_path, "run", tmp_path / "p.parquet", "--merge", source=tmp_path / "river.csv")
    assert (table["time"] == pd.to_datetime(one["t"])).all()
    assert (table["series"] == "river").all()


def test_a_test_on_windows_of_the_training_series_is_pointed_out(made: Path, tmp_path: Path) -> None:
    options = [*QUICK, *STEPS, "--test", made / "data.csv", "--out", tmp_path / "run"]
    code, said, error = run("fit", made / "data.csv", *options)
    assert code == 0, error
    assert "4 of the test's groups are in the training series too" in said


def test_merge_needs_windows(made: Path, tmp_path: Path) -> None:
    columns = ["--id", "id", "--target", "label", "--channels", "x"]
    options = ["--hidden-size", "2", "--max-epochs", "1", "--cv", "2", "--out", tmp_path / "run"]
    code, _, error = run("fit", made / "data.csv", *columns, *options)
    assert code == 0, error
    code, _, error = run("predict", tmp_path / "run", made / "data.csv", "-o", tmp_path / "p.csv", "--merge")
    assert code == 2
    assert "--merge needs a run of windows (fit --window), got" in error


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--window", "0"], "a window (--window) needs at least 1 step, got 0"),
        (["--window", "41"], "a window (--window) needs a series of at least 41 steps, the longest has 40"),
        (["--window", "many"], "--window"),
        (["--stride", "2"], "stride (--stride) needs a window (--window), got none"),
        (["--window", "5", "--stride", "4", "--history", "2"], "history (--history) needs a stride (--stride) of at"),
        (["--window", "5", "--history", "2"], "history (--history 2) needs a target at each step, got one per series"),
    ],
)
@pytest.mark.parametrize("command", ["data", "fit", "flow"])
def test_windows_that_are_none_are_refused_by_their_flag(
    command: str, asked: list[str], message: str, made: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "run"] if command == "fit" else []
    columns = ["--id", "id", "--target", "label", "--channels", "x"]
    code, _, error = run(command, made / "data.csv", *columns, *asked, *out)
    assert code == 2
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_command_to_repeat_a_run_of_windows_names_them(made: Path) -> None:
    assert "--window 10 --stride 4" in command_of(Run.open(made / "labels").config)
