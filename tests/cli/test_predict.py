"""What predict and data ask of a source: what they need, and that alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vowels import run

QUICK = ["--hidden-size", "2", "--max-epochs", "1", "--cv", "2"]
COLUMNS = ["--id", "id", "--time", "t", "--target", "y", "--group", "person", "--static", "age"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("predict")
    table().to_csv(directory / "data.csv", index=False)
    code, _, error = run("fit", directory / "data.csv", *COLUMNS, *QUICK, "--out", directory / "run")
    assert code == 0, error
    return directory


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"id": k, "t": t, "y": "ab"[k % 2], "person": k // 2, "age": 20 + k, "x": rng.normal(), "z": rng.normal()}
            for k in range(8)
            for t in range(5)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("left_out", [["person"], ["y"], ["person", "y"]])
def test_predict_needs_neither_groups_nor_targets(left_out: list[str], fitted: Path, tmp_path: Path) -> None:
    table().drop(columns=left_out).to_csv(tmp_path / "new.csv", index=False)
    for source in (fitted / "data.csv", tmp_path / "new.csv"):
        code, out, error = run("predict", fitted / "run", source, "-o", tmp_path / f"{source.stem}-out.csv")
        assert code == 0, error
    pd.testing.assert_frame_equal(*(pd.read_csv(tmp_path / f"{name}-out.csv") for name in ("data", "new")))
    assert ("accuracy" in out) == ("y" not in left_out)


@pytest.mark.parametrize("column", ["t", "x", "age"])
def test_predict_needs_what_the_network_reads(column: str, fitted: Path, tmp_path: Path) -> None:
    table().drop(columns=column).to_csv(tmp_path / "new.csv", index=False)
    code, _, error = run("predict", fitted / "run", tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    assert code == 2
    assert f"got {column!r}" in error or repr(column) in error
    assert not (tmp_path / "out.csv").exists()


def test_predict_says_once_of_values_that_training_never_missed(fitted: Path, tmp_path: Path) -> None:
    gappy = table()
    gappy.loc[[3, 9], "x"] = np.nan
    gappy.to_csv(tmp_path / "new.csv", index=False)
    code, out, error = run("predict", fitted / "run", tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    assert code == 0, error
    assert (out + error).count("X misses values in channel 'x', where training missed none") == 1


@pytest.mark.parametrize("role", ["id", "time", "target", "group", "static", "channels"])
def test_a_column_that_is_not_there_is_refused_by_data_as_by_fit(role: str, fitted: Path, tmp_path: Path) -> None:
    wrong = {"id": "idd", "time": "tt", "target": "yy", "group": "persons", "static": "agee", "channels": "xx"}[role]
    columns = [*COLUMNS, "--channels", "x,z"]
    columns[columns.index(f"--{role}") + 1] = wrong
    for command in (["data"], ["fit", *QUICK, "--out", tmp_path / "run"]):
        code, _, error = run(command[0], fitted / "data.csv", *columns, *command[1:])
        assert code == 2
        assert f"{role} (--{role}) needs a column of the table, got {wrong!r}; did you mean" in error
