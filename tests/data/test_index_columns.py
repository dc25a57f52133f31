"""A row's number is no channel, however a data frame with its index came to be read, unless it is asked for."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime.data import as_sequences, read
from throughtime.errors import DataError, DataWarning

ROLES = {"id": "patient", "time": "hour", "target": "state"}


def frame(n=30):
    rng = np.random.default_rng(0)
    patient, hour = np.repeat([f"p{k}" for k in range(n)], 4), np.tile(np.arange(4), n)
    state = np.where(np.arange(4 * n) < 2 * n, "ill", "well")
    return pd.DataFrame({"patient": patient, "hour": hour, "x": rng.normal(size=4 * n), "state": state})


def as_csv(path, rows, **options):
    rows.to_csv(path / "rows.csv", **options)
    return path / "rows.csv"


def as_parquet(path, rows):
    rows.to_parquet(path / "rows.parquet")
    return path / "rows.parquet"


def renamed(rows, name):
    """The rows with their number as a column of their own, of some name."""
    return pd.concat([pd.Series(range(len(rows)), name=name), rows], axis=1)


SORTED = frame().sort_values("x")  # its index is no range
FILTERED = frame().query("x > -1")
STACKED = pd.concat([part.reset_index(drop=True) for _, part in frame().groupby("patient")])  # 0 1 2 3 0 1 2 3 ...
PATHS = {
    "csv": lambda path: as_csv(path, frame()),
    "csv, sorted": lambda path: as_csv(path, SORTED),
    "csv, filtered": lambda path: as_csv(path, FILTERED),
    "csv, stacked": lambda path: as_csv(path, STACKED),
    "csv, twice": lambda path: as_csv(path, pd.read_csv(as_csv(path, SORTED)), index=False),
    "csv, index named": lambda path: as_csv(path, frame().rename_axis("line")),
    "csv, index reset": lambda path: as_csv(path, FILTERED.reset_index(), index=False),
    "csv, from 1": lambda path: as_csv(path, renamed(frame(), "nr").eval("nr = nr + 1"), index=False),
    "csv, R": lambda path: as_csv(path, renamed(frame(), "X"), index=False),
    "csv, readr": lambda path: as_csv(path, renamed(frame(), "...1"), index=False),
    "csv, polars": lambda path: as_csv(path, pl.DataFrame(frame()).with_row_index().to_pandas(), index=False),
    "parquet": lambda path: as_parquet(path, SORTED),
    "parquet, index named": lambda path: as_parquet(path, SORTED.rename_axis("line")),
    "parquet, dates as index": lambda path: as_parquet(path, frame().set_index(pd.date_range("2020", periods=120))),
    "parquet, through polars": lambda path: pl.read_parquet(as_parquet(path, SORTED)),
    "pandas": lambda _: SORTED,
    "pandas, index named": lambda _: SORTED.rename_axis("line"),
    "pandas, read from csv": lambda path: pd.read_csv(as_csv(path, SORTED)),
    "polars": lambda _: pl.DataFrame(frame()).with_row_index().sample(fraction=1, shuffle=True, seed=0),
    "pyarrow": lambda _: pa.Table.from_pandas(SORTED, preserve_index=True),
}


@pytest.mark.parametrize("source", PATHS)
def test_row_numbers_are_left_out_and_said(source, tmp_path):
    with pytest.warns(DataWarning, match=r"taken for row numbers.* left out; channels= \(--channels\)"):
        data = read(PATHS[source](tmp_path), **ROLES)
    assert data.X.channel_names == ("x",)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_row_numbers_of_a_directory_are_left_out_even_where_only_some_files_have_them(kind, tmp_path):
    for name, rows in SORTED.groupby("patient"):
        rows = rows.sort_values("hour").drop(columns="patient")
        if kind == "csv":
            rows.to_csv(tmp_path / f"{name}.csv")
        else:
            (rows.reset_index(drop=True) if name == "p7" else rows).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.warns(DataWarning, match="taken for row numbers"):
        data = read(tmp_path, time="hour", target="state")
    assert data.X.channel_names == ("x",)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__", "index", "nr"])
def test_a_row_number_that_is_asked_for_is_used_without_a_word(name):
    table = pa.Table.from_pandas(renamed(frame(), name), preserve_index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = read(table, channels=[name, "x"], **ROLES)
        np.testing.assert_array_equal(data.X.values[:, 0], np.arange(120))
        by_number = read(table, id="patient", time=name, target="state", channels=["x"])
    np.testing.assert_array_equal(by_number.X.times, np.arange(120))


def test_what_only_resembles_a_row_number_stays_a_channel():
    rows = frame()
    rows["count"] = np.arange(120) // 2
    rows["X"] = np.arange(120)[::-1]
    rows["index"] = np.arange(120) % 7  # an index of prices, say
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(rows, **ROLES).X.channel_names == ("x", "count", "X", "index")
        alone = rows.drop(columns="state").assign(patient="p", hour=np.arange(120), trend=np.arange(120))
        assert "trend" in read(alone, id="patient", time="hour", target="x").X.channel_names


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "...4"])
@pytest.mark.parametrize("values", [np.linspace(0, 1, 120), [f"r{k}" for k in range(120)], [True] * 120])
def test_measurements_without_a_name_are_refused(name, values):
    with pytest.raises(DataError, match=rf"channels needs columns with a name, got '{name}' .*--channels"):
        read(frame().assign(**{name: values}), **ROLES)


def test_an_index_named_like_a_column_is_refused(tmp_path):
    path = as_csv(tmp_path, frame().rename_axis("x"))
    with pytest.raises(DataError, match="a different name for every column, got 'x' twice"):
        read(path, **ROLES)


def test_a_wide_frame_has_no_step_that_is_its_index():
    wide = pd.DataFrame({"Unnamed: 0": [0, 1], "0": [1.0, 2.0], "1": [3.0, 4.0]})
    with pytest.raises(DataError, match=r"a column for each step, got 'Unnamed: 0'.*X\.drop\(columns="):
        as_sequences(wide)
    assert as_sequences(wide.drop(columns="Unnamed: 0")).lengths.tolist() == [2, 2]


@pytest.mark.parametrize("name", ["Unnamed: 0", "__index_level_0__", "...1"])
def test_an_index_among_the_channels_of_an_archive_is_refused(name, tmp_path):
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 3, 2)), y=[0, 1], channel_names=[name, "x"])
    with pytest.raises(DataError, match=f"got {name!r}, as the index of a data frame"):
        read(tmp_path / "x.npz")
