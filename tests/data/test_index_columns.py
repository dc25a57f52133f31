"""A row's number is no channel, however a data frame with its index came to be read, unless it is asked for."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime import SequenceClassifier, cross_validate
from throughtime.data import Sequences, as_sequences, read
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
    "csv, rows drawn": lambda path: as_csv(
        path, frame(60).sample(40, random_state=0).sort_index().reset_index(), index=False
    ),
    "csv, index named": lambda path: as_csv(path, frame().rename_axis("line")),
    "csv, index reset": lambda path: as_csv(path, FILTERED.reset_index(), index=False),
    "csv, from 1": lambda path: as_csv(path, renamed(frame(), "nr").eval("nr = nr + 1"), index=False),
    "csv, R": lambda path: as_csv(path, renamed(frame(), "X"), index=False),
    "csv, readr": lambda path: as_csv(path, renamed(frame(), "...1"), index=False),
    "csv, polars": lambda path: as_csv(path, pl.DataFrame(frame()).with_row_index().to_pandas(), index=False),
    "parquet": lambda path: as_parquet(path, SORTED),
    "parquet, through polars": lambda path: pl.read_parquet(as_parquet(path, SORTED)),
    "pandas": lambda _: SORTED,
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
    rows["index"] = 4000 + np.arange(120) % 7  # an index of prices, say
    rows["row"] = np.random.default_rng(1).permutation(10_000)[:120]
    rows["level_0"] = np.arange(120)[::-1] - 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(rows, **ROLES).X.channel_names == ("x", "count", "X", "index", "row", "level_0")
        alone = rows.drop(columns="state").assign(patient="p", hour=np.arange(120), trend=np.arange(120))
        assert "trend" in read(alone, id="patient", time="hour", target="x").X.channel_names


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "...4"])
@pytest.mark.parametrize("values", [np.linspace(0, 1, 120), [f"r{k}" for k in range(120)], [True] * 120])
def test_measurements_without_a_name_are_refused(name, values):
    shown = f"'{name}'" if name else "the column without a name"
    with pytest.raises(DataError, match=rf"channels needs columns with a name, got {shown} .*--channels"):
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


def frames(name, restart=False, n=30):
    """The rows of `frame`, a patient each, with the number of the row."""
    rows = renamed(frame(n), name)[[name, "x"]]
    parts = [part for _, part in rows.groupby(rows.index // 4)]
    return [part.assign(**{name: range(4)}) for part in parts] if restart else parts


TAKEN = {
    "pandas": lambda parts: parts,
    "object array": lambda parts: np.fromiter(parts, object, len(parts)),
    "polars": lambda parts: [pl.from_pandas(part) for part in parts],
    "pyarrow": lambda parts: [pa.Table.from_pandas(part, preserve_index=False) for part in parts],
}


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "__index_level_0__", "nr", "...1"])
@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("take", [as_sequences, Sequences.from_arrays])
def test_a_list_of_frames_has_no_channel_that_numbers_the_rows(take, kind, name):
    parts = TAKEN[kind](frames(name))
    with pytest.warns(DataWarning, match="row numbers|index of a data frame is left out"):
        X = take(parts)
    assert X.channel_names == ("x",)
    np.testing.assert_array_equal(X.values[:, 0], frame()["x"])


def test_a_list_of_frames_is_taken_as_their_table_is():
    for name in ("", "Unnamed: 0", "index", "nr", "x2"):
        for restart in (False, True):
            parts = frames(name, restart)
            table = pd.concat(parts).assign(id=np.repeat(np.arange(30), 4))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                of_table = read(table, id="id", require_target=False).X.channel_names
                of_list = as_sequences(parts).channel_names
            counted = not restart or name in ("", "Unnamed: 0")
            assert of_list == of_table == (("x",) if counted else (name, "x"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Sequences.from_arrays(frames("nr"), channel_names=["nr", "x"]).channel_names == ("nr", "x")


@pytest.mark.parametrize("name", ["Unnamed: 0", "nr"])
def test_folds_of_a_list_of_frames_have_no_channel_that_numbers_the_rows(name):
    estimator, parts, y = SequenceClassifier(max_epochs=1, hidden_size=2), frames(name), np.repeat([0, 1], 15)
    with pytest.warns(DataWarning, match=f"'{name}': taken for row numbers"):
        result = cross_validate(estimator, parts, y, cv=2, return_estimator=True)
    assert [fitted.feature_names_in_.tolist() for fitted in result["estimator"]] == [["x"], ["x"]]


def test_an_index_that_pandas_wrote_down_is_no_channel_of_a_list_of_tables():
    tables = [pa.Table.from_pandas(part.set_index(part.pop("when") ** 2)) for part in frames("when", restart=True)]
    for take in (as_sequences, Sequences.from_arrays):
        with pytest.warns(DataWarning, match="'when': the index of a data frame is left out"):
            assert take(tables).channel_names == ("x",)


def test_a_list_of_frames_of_measurements_without_a_name_is_refused():
    parts = [part.rename(columns={"x": "Unnamed: 0"}) for part in frames("nr", restart=True)]
    with pytest.raises(DataError, match="columns with a name, got 'Unnamed: 0'"):
        as_sequences(parts)
    with pytest.raises(DataError, match="at least one channel, got row numbers alone: 'index'"):
        as_sequences([part[["index"]] for part in frames("index")])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            pd.date_range("2020", periods=120),
            r"the index 'when' .* left out; time='when' \(--time when\) orders by it$",
        ),
        (
            np.arange(120) ** 2,
            r"left out; time='when' \(--time when\) orders by it, channels= \(--channels\) takes it as an",
        ),
        (np.linspace(0, 1, 120), r"left out; channels= \(--channels\) takes it as an input$"),
        ([f"r{k}" for k in range(120)], "the index 'when' of the data frame is left out$"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "pandas", "directory"])
def test_an_index_with_a_name_is_called_what_it_is(kind, values, told, tmp_path):
    rows, roles = frame().set_index(pd.Index(values, name="when")), ROLES
    if kind == "directory":
        roles = {name: column for name, column in ROLES.items() if name != "id"}
        for name, part in rows.groupby("patient"):
            part.drop(columns="patient").to_parquet(tmp_path / f"{name}.parquet")
    source = {"parquet": lambda: as_parquet(tmp_path, rows), "pandas": lambda: rows, "directory": lambda: tmp_path}
    with pytest.warns(DataWarning, match=told):
        data = read(source[kind](), **roles)
    assert data.X.channel_names == ("x",)
    if "time=" in told:
        assert read(source[kind](), **{**roles, "time": "when"}, channels=["x"]).X.times is not None


def test_a_column_of_dates_without_a_name_orders_the_rows_when_asked(tmp_path):
    path = as_csv(tmp_path, frame().set_index(pd.date_range("2020", periods=120)))
    with pytest.raises(DataError, match=r"got the column without a name \(.*; time='' \(--time ''\) orders by it"):
        read(path, **ROLES)
    assert read(path, **{**ROLES, "time": ""}, channels=["x"]).X.times.dtype.kind == "M"


def test_a_few_rows_number_themselves_only_in_order():
    rows = frame(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shuffled = read(rows.assign(index=np.arange(8)[::-1]), **ROLES, require_target=False)
        assert shuffled.X.channel_names == ("x", "index")
    with pytest.warns(DataWarning, match="row numbers"):
        assert read(rows.assign(index=np.arange(8)), **ROLES).X.channel_names == ("x",)


@pytest.mark.parametrize("name", ["index", "row_number"])
def test_the_row_number_of_an_archive_or_of_a_wide_frame_is_refused(name, tmp_path):
    X = np.stack([np.arange(40), np.ones(40)], 1).reshape(4, 10, 2)
    np.savez(tmp_path / "x.npz", X=X, y=[0, 1, 0, 1], channel_names=[name, "x"])
    with pytest.raises(DataError, match=f"got '{name}', as the index of a data frame"):
        read(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", X=X[:, ::-1] * 0.5, y=[0, 1, 0, 1], channel_names=[name, "x"])
    assert read(tmp_path / "x.npz").X.n_channels == 2
    with pytest.raises(DataError, match=f"a column for each step, got '{name}'"):
        as_sequences(pd.DataFrame({name: range(30), "a": 0.5, "b": 1.5}))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__", "...1"])
def test_an_index_among_the_channels_of_an_archive_is_refused(name, tmp_path):
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 3, 2)), y=[0, 1], channel_names=[name, "x"])
    with pytest.raises(DataError, match=f"got {name!r}, as the index of a data frame"):
        read(tmp_path / "x.npz")
