"""Columns of every kind of source are matched by name with those that a network was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_main_job import QUICK, run

from throughtime.estimators import SequenceRegressor

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 5, 2)).astype("float32")
STATIC = RNG.normal(size=(24, 2)).astype("float32")
Y = X[:, :, 0].mean(1) + STATIC[:, 1]
NAMES = {"channel_names": ["heat", "flow"], "static_names": ["age", "size"]}
SWAPPED = {"X": X[:, :, ::-1], "static": STATIC[:, ::-1], "y": Y,
           "channel_names": ["flow", "heat"], "static_names": ["size", "age"]}  # fmt: skip
MORE = {"X": np.concatenate([X[:, :, ::-1], 9 * X], 2), "static": STATIC, "y": Y, "static_names": NAMES["static_names"],
        "channel_names": ["flow", "heat", "more", "most"]}  # fmt: skip


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def table(path: Path, columns: list[str]) -> Path:
    steps = {"id": np.repeat(np.arange(24), 5), "heat": X[:, :, 0].ravel(), "flow": X[:, :, 1].ravel()}
    constant = {"age": STATIC[:, 0], "size": STATIC[:, 1], "y": Y}
    frame = pd.DataFrame(steps | {name: np.repeat(values, 5) for name, values in constant.items()})
    frame[["id", *columns, "y"]].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run on an archive with names, one on a table, one on an archive without."""
    directory = tmp_path_factory.mktemp("names")
    plain = {"X": X, "static": STATIC, "y": Y}
    sources = {
        "archive": [archive(directory / "named.npz", **plain, **NAMES)],
        "table": [table(directory / "t.csv", ["heat", "flow", "age", "size"]), "--id", "id", "--target", "y",
                  "--static", "age,size"],
        "unnamed": [archive(directory / "unnamed.npz", **plain)],
    }  # fmt: skip
    for name, source in sources.items():
        code, _, error = run("fit", *source, *QUICK, "--out", directory / name)
        assert code == 0, error
    return {name: directory / name for name in sources} | {"directory": directory}


def predicted(model: Path, source: Path, output: Path) -> tuple[np.ndarray, str]:
    code, told, error = run("predict", model, source, "-o", output)
    assert code == 0, error
    return pd.read_csv(output)["prediction"].to_numpy(), told


@pytest.mark.parametrize("model", ["archive", "table"])
@pytest.mark.parametrize("arrays", [SWAPPED, MORE], ids=["swapped", "more"])
def test_predict_takes_columns_by_name(
    runs: dict[str, Path], model: str, arrays: dict[str, Any], tmp_path: Path
) -> None:
    want, _ = predicted(runs[model], runs["directory"] / "named.npz", tmp_path / "want.csv")
    found, told = predicted(runs[model], archive(tmp_path / "new.npz", **arrays), tmp_path / "found.csv")
    np.testing.assert_array_equal(found, want)
    assert "have no names" not in told


def test_predict_takes_the_columns_of_a_table_by_name(runs: dict[str, Path], tmp_path: Path) -> None:
    want, _ = predicted(runs["table"], runs["directory"] / "t.csv", tmp_path / "want.csv")
    other = table(tmp_path / "other.csv", ["size", "flow", "age", "heat"])
    np.testing.assert_array_equal(predicted(runs["table"], other, tmp_path / "found.csv")[0], want)


def test_predict_says_when_columns_are_taken_by_their_place(runs: dict[str, Path], tmp_path: Path) -> None:
    named, unnamed = runs["directory"] / "named.npz", runs["directory"] / "unnamed.npz"
    want, silent = predicted(runs["archive"], named, tmp_path / "1.csv")
    found, told = predicted(runs["archive"], unnamed, tmp_path / "2.csv")
    np.testing.assert_array_equal(found, want)
    told = " ".join(told.split())
    assert "unnamed.npz have no names: they are taken in the order heat, flow." in told
    assert "unnamed.npz have no names: they are taken in the order age, size." in told
    assert "have no names" not in silent
    _, told = predicted(runs["unnamed"], named, tmp_path / "3.csv")
    assert "the channels that the network was trained on have no names: they are taken in the order heat" in told


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channel_names": ["heat", "wind"]}, "needs one of each of the channels heat, flow, got none called 'flow'"),
        ({"channel_names": ["heat", "heat"]}, "got 2 of it called 'heat' among heat, heat"),
        (
            {"static_names": ["age", "sex"]},
            "needs one of each of the static features age, size, got none called 'size'",
        ),
    ],
)
def test_names_that_are_not_the_networks_are_refused(
    runs: dict[str, Path], changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    source = archive(tmp_path / "new.npz", **{"X": X, "static": STATIC, "y": Y, **NAMES, **changed})
    code, _, error = run("predict", runs["archive"], source, "-o", tmp_path / "p.csv")
    assert code == 2
    assert message in error
    code, _, error = run("fit", runs["directory"] / "named.npz", "--test", source, *QUICK, "--out", tmp_path / "run")
    assert code == 2
    assert message in error


def test_test_series_are_taken_by_name(runs: dict[str, Path], tmp_path: Path) -> None:
    named = runs["directory"] / "named.npz"
    scores = []
    for number, test in enumerate([named, archive(tmp_path / "swapped.npz", **SWAPPED)]):
        code, _, error = run("fit", named, "--test", test, *QUICK, "--out", tmp_path / f"run{number}")
        assert code == 0, error
        scores.append(pd.read_csv(tmp_path / f"run{number}" / "test_predictions.csv")["prediction"].tolist())
    assert scores[0] == scores[1]


def test_a_run_of_an_earlier_version_has_the_names_in_its_settings(runs: dict[str, Path], tmp_path: Path) -> None:
    from throughtime import storage

    saved = storage.read_run(runs["table"])
    files = {name: (runs["table"] / name).read_bytes() for name in ("config.json", "model.safetensors")}
    facts = {key: value for key, value in saved.json("model.json").items() if key != "names"}
    storage.write_run(tmp_path / "old", files | {"model.json": storage.json_to_bytes(facts)}, {"kind": "fit"})
    assert not hasattr(SequenceRegressor.load(tmp_path / "old"), "feature_names_in_")
    want, _ = predicted(runs["table"], runs["directory"] / "named.npz", tmp_path / "1.csv")
    found, told = predicted(tmp_path / "old", archive(tmp_path / "new.npz", **SWAPPED), tmp_path / "2.csv")
    np.testing.assert_array_equal(found, want)
    assert "have no names" not in told


def test_the_past_of_a_target_under_another_name_is_the_targets_past(tmp_path: Path) -> None:
    both = X.astype("float64")  # whose digits a table spells out
    steps = {"id": np.repeat(np.arange(24), 5), "heat": both[:, :, 0].ravel(), "sales": both[:, :, 1].ravel()}
    pd.DataFrame(steps).to_csv(tmp_path / "t.csv", index=False)
    code, _, error = run("fit", tmp_path / "t.csv", "--id", "id", "--target", "sales", "--target-kind", "step",
                         "--horizon", "1", *QUICK, "--out", tmp_path / "run")  # fmt: skip
    assert code == 0, error
    want, _ = predicted(tmp_path / "run", tmp_path / "t.csv", tmp_path / "1.csv")
    source = archive(tmp_path / "n.npz", X=both[:, :, :1], y=both[:, :, 1], channel_names=["heat"])
    np.testing.assert_array_equal(predicted(tmp_path / "run", source, tmp_path / "2.csv")[0], want)


def test_predict_reads_an_archive_in_the_layout_of_the_run(tmp_path: Path) -> None:
    source = archive(tmp_path / "nct.npz", X=RNG.normal(size=(24, 3, 3)), y=Y)
    code, _, error = run("fit", source, "--layout", "nct", *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    found, _ = predicted(tmp_path / "run", source, tmp_path / "p.csv")
    model = SequenceRegressor.load(tmp_path / "run")
    # the table may have rounded them to float32
    np.testing.assert_allclose(found, model.predict(np.load(source)["X"].astype("float32")), rtol=1e-6)


@pytest.mark.filterwarnings("default::throughtime.errors.DataWarning")
def test_a_warning_of_data_is_one_line(tmp_path: Path) -> None:
    source = archive(tmp_path / "nct.npz", X=RNG.normal(size=(24, 1, 4)), y=Y)
    code, screen, _ = run("data", source)
    assert code == 0
    told, line, _ = screen.partition("X has one step and 4 channels in every series as layout='ntc' reads it")
    assert line
    assert not told.strip()
