import ast
import re
import shlex

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime.cli.columns import split_words
from throughtime.data import Sequences, as_targets, from_table, read
from throughtime.errors import DataError, DataWarning, ParameterError

# Series "b" comes first and out of order; "a" has one step without flow.
ROWS = {
    "unit": ["b", "a", "b", "a", "b"],
    "t": [3, 1, 1, 2, 2],
    "flow": [30.0, 1.0, 10.0, None, 20.0],
    "heat": [3, 4, 1, 5, 2],
    "site": ["x", "y", "x", "y", "x"],
    "area": [7.5, 2.5, 7.5, 2.5, 7.5],
    "label": ["bad", "good", "bad", "good", "bad"],
}
NAMED = {"id": "unit", "time": "t", "group": "site", "static": ["area"]}


def changed(**columns):
    return pa.table({**ROWS, **columns})


@pytest.mark.parametrize("wrap", [pa.table, pd.DataFrame, pl.DataFrame], ids=["pyarrow", "pandas", "polars"])
def test_a_long_table_becomes_series_by_first_appearance_each_sorted_by_time(wrap):
    data = read(wrap(ROWS), target="label", **NAMED)
    want = Sequences.from_arrays(
        [np.array([[10.0, 1], [20, 2], [30, 3]]), np.array([[1, 4], [np.nan, 5]])],
        times=[[1, 2, 3], [1, 2]],
        groups=["x", "y"],
        static=[7.5, 2.5],
        channel_names=["flow", "heat"],
        train_dtype="f4",
        static_names=["area"],
    )
    assert want == data.X
    assert data.y.tolist() == ["bad", "good"]
    assert data.ids == ("b", "a")
    assert data.groups.tolist() == ["x", "y"]
    assert data.columns.channels == ("flow", "heat")
    assert data.columns.target_kind == "series"


def test_the_frozen_columns_read_later_data_with_more_columns_and_without_the_target():
    data = read(pa.table(ROWS), target="label", **NAMED)
    later = pa.table({"new": ["?"] * 5, **{name: ROWS[name] for name in reversed(ROWS) if name != "label"}})
    again = read(later, require_target=False, **vars(data.columns))
    assert again.X == data.X
    assert again.y is None
    with pytest.raises(DataError, match=r"target \(--target\) needs a column of the table, got 'label'"):
        read(later, **vars(data.columns))


def test_rows_keep_their_order_without_a_time_column():
    data = from_table(pa.table(ROWS), id="unit", channels=["heat"], require_target=False)
    assert [series[:, 0].tolist() for series in data.X] == [[3, 1, 2], [4, 5]]


def test_channels_come_in_the_order_asked_for_and_in_the_dtype_asked_for():
    data = from_table(pa.table(ROWS), id="unit", channels=["heat", "flow"], require_target=False, dtype="float64")
    assert data.X.dtype == np.float64
    assert data.X[0][0].tolist() == [3, 30]


@pytest.mark.parametrize(
    ("values", "kind", "want"),
    [
        ([1, 2, 1, 2, 1], "auto", np.array([1, 2])),
        ([1.5, 2.5, 1.5, 2.5, 1.5], "auto", np.array([1.5, 2.5])),
        ([True, False, True, False, True], "auto", np.array([True, False])),
        (["u", "v", "u", "v", "u"], "auto", np.array(["u", "v"], object)),
        (["u", None, None, "v", ""], "auto", np.array(["u", "v"], object)),
        ([1, None, None, 2, 1], "auto", np.array([1, 2])),
        ([1.0, None, None, 2.0, 1.0], "series", np.array([1.0, 2.0])),
        ([3, 1, 1, 2, 2], "auto", [[1, 2, 3], [1, 2]]),
        ([1.0, None, None, 2.0, 1.0], "auto", [[np.nan, 1, 1], [np.nan, 2]]),
        ([1, 2, 1, 2, 1], "step", [[1, 1, 1], [2, 2]]),
    ],
)
def test_a_target_is_one_a_series_when_constant_and_one_a_step_when_not(values, kind, want):
    data = from_table(changed(y=values), id="unit", time="t", target="y", channels=["heat"], target_kind=kind)
    if isinstance(want, np.ndarray):
        assert data.y.dtype == want.dtype
        np.testing.assert_array_equal(data.y, want)
        assert data.columns.target_kind == "series"
    else:
        assert data.y == Sequences.from_arrays(
            [np.array(part, "f8") for part in want], times=[[1, 2, 3], [1, 2]], channel_names=["y"]
        )
        assert data.columns.target_kind == "step"


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["u", "v", "u", "v", "w"], "auto", r"got u and w in series 'b'; text and booleans are never one per step"),
        ([True, False, True, True, True], "auto", "in series 'a'"),
        ([1.0, 2.0, 1.0, 2.0, 3.0], "series", r"got 1.0 and 3.0 in series 'b'"),
        (["u", "v", "u", "v", "u"], "step", "needs numbers to be one per step"),
        (["u", None, "u", None, "u"], "auto", "series 'a' has none"),
        ([1.0, None, 1.0, None, 1.0], "auto", "series 'a' has none"),
        ([1.0, None, 2.0, np.nan, 1.0], "auto", "series 'a' has none"),
        ([None] * 5, "auto", "needs a value in some series, got none in any"),
        ([np.inf, 1.0, np.inf, 1.0, np.inf], "auto", "finite values, got inf in series 'b'"),
        ([np.inf, 1.0, 2.0, 3.0, 4.0], "auto", "inf at series 'b', step 2"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused_by_series(values, kind, message):
    columns = {"id": "unit", "time": "t", "target": "y", "target_kind": kind}
    with pytest.raises(DataError, match=message):
        from_table(changed(y=values), channels=["heat"], targets="error", **columns)


@pytest.mark.parametrize("channels", [None, ["flow", "heat"], ["flow"]])
def test_a_targets_own_past_is_a_channel_when_asked_for_and_the_columns_keep_it(channels):
    names = {"id": "unit", "time": "t", "static": ["area"], "target": "flow"}
    table = pa.table({name: ROWS[name] for name in ("unit", "t", "flow", "heat", "area")})
    data = read(table, **names, channels=channels, own_past=True)
    assert data.X.channel_names == (("heat", "flow") if channels is None else tuple(channels))
    flow = data.X.values[:, data.X.channel_names.index("flow")]
    np.testing.assert_array_equal(flow, data.y.values[:, 0])
    assert read(table, **vars(data.columns)).X == data.X
    with pytest.raises(DataError, match=r"^channels \(--channels\) needs columns other than the target, got 'flow'$"):
        read(table, **names, channels=["flow"])


def test_one_target_a_series_has_no_past():
    with pytest.raises(DataError, match=r"^own_past needs a target at each step, got one per series"):
        from_table(changed(area=[7.5, 2.5, 7.5, 2.5, 7.5]), id="unit", target="area", channels=["heat"], own_past=True)
    with pytest.raises(DataError, match=r"^own_past needs a target at each step, got one per series$"):
        read("japanese-vowels:train", own_past=True)


def test_data_to_predict_may_leave_the_target_empty():
    empty = changed(y=[None, 1.0, None, 2.0, None])
    assert from_table(empty, id="unit", target="y", channels=["heat"], require_target=False).y is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": None}, r"id \(--id\) needs the column that tells series apart.*'unit', 't'"),
        ({"id": "Unit"}, r"got 'Unit'; did you mean 'unit'\? the columns are 'unit', 't'"),
        ({"time": "when"}, r"time \(--time\) needs a column"),
        ({"target": None}, r"target \(--target\) needs the column to predict"),
        ({"group": "grp"}, r"group \(--group\) needs a column"),
        ({"static": "areas"}, "did you mean 'area'"),
        ({"channels": ["flow", "flow"]}, "each column once"),
        ({"channels": ["flow", "label"]}, r"channels \(--channels\) needs columns other than the target"),
        ({"channels": ["site"]}, r"needs numeric columns, got 'site' \(string\)$"),
        ({"group": None}, r"got 'site' \(string\); channels=\['flow', 'heat'\] \(--channels flow,heat\)"),
        ({"static": ["flow"]}, "got 10.0 and 20.0 in series 'b'; a column that changes"),
        ({"static": ["site"]}, "needs numbers, got string"),
        ({"group": "heat", "channels": ["flow"]}, "group .* needs one value per series, got 3 and 2 in series 'b'"),
        ({"time": "site"}, r"numbers, dates or timestamps .* got string \('x'\)"),
        ({"time": "area"}, r"got 7.5 twice in series 'b'"),
        ({"channels": []}, "needs at least one column"),
    ],
)
def test_a_column_that_cannot_play_its_part_is_refused_by_name(arguments, message):
    with pytest.raises(DataError, match=message):
        from_table(pa.table(ROWS), **{**NAMED, "target": "label", **arguments})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"unit": ["b", "a", None, "a", "b"]}, r"id \(--id unit\) needs a value in every row, got none in row 3"),
        ({"unit": ["b", "a", "", "a", "b"]}, "none in row 3"),
        ({"unit": [[1], [1], [1], [1], [1]]}, "needs text, integers or dates, got list"),
        ({"t": [3, None, 1, 2, 2]}, r"none in row 2 \(series 'a'\)"),
        ({"t": [3.0, np.nan, 1, 2, 2]}, r"none in row 2 \(series 'a'\)"),
        ({"t": [3, 1, 1, 2, 2**60]}, r"at most 2\*\*53"),
        ({"t": pa.array([300_000_000_000] * 5, pa.timestamp("s"))}, "fit timestamp"),
        ({"site": ["x", None, "x", "y", "x"]}, "none in series 'a'"),
        ({"flow": [1.0, 2.0, np.inf, 3.0, 4.0]}, r"inf at series 'b', step 0, channel 'flow' \(0\)"),
        ({"area": [np.inf, 2.5, np.inf, 2.5, np.inf]}, "inf at series 'b'"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_series(columns, message):
    with pytest.raises(DataError, match=message):
        from_table(changed(**columns), target="label", **NAMED)


@pytest.mark.usefixtures("types_unchecked")
def test_a_table_without_rows_or_an_option_that_is_none_is_refused():
    with pytest.raises(DataError, match="at least one row"):
        from_table(pa.table(ROWS)[:0], target="label", **NAMED)
    with pytest.raises(ParameterError, match="float32 or float64, got int32"):
        from_table(pa.table(ROWS), target="label", dtype="int32", **NAMED)
    with pytest.raises(ParameterError, match="target_kind needs"):
        from_table(pa.table(ROWS), target="label", target_kind="steps", **NAMED)
    with pytest.raises(DataError, match="__arrow_c_stream__"):
        from_table(ROWS, target="label", **NAMED)


@pytest.mark.parametrize(
    ("stamps", "dtype"),
    [
        (pa.array([3, 1, 1, 2, 2], pa.timestamp("s")), "datetime64[ns]"),
        (pa.array([3, 1, 1, 2, 2], pa.timestamp("us", "Europe/Berlin")), "datetime64[ns]"),
        (pa.array([3, 1, 1, 2, 2], pa.int32()).cast(pa.date32()), "datetime64[ns]"),
        (pa.array([3, 1, 1, 2, 2], pa.uint8()), "float64"),
    ],
)
def test_dates_and_timestamps_are_nanoseconds_and_numbers_are_floats(stamps, dtype):
    data = from_table(changed(t=stamps), target="label", **NAMED)
    assert data.X.times.dtype == dtype
    assert [series[:, 1].tolist() for series in data.X] == [[1, 2, 3], [4, 5]]


def test_times_of_a_zone_are_kept_in_utc_with_the_zone():
    stamps = pa.array([3, 1, 1, 2, 2], pa.timestamp("us", "Europe/Berlin"))
    data = from_table(
        changed(t=stamps, y=[1.0, 2.0, 3.0, 4.0, 5.0]), target="y", channels=["heat"], id="unit", time="t"
    )
    assert data.X.time_zone == data.y.time_zone == "Europe/Berlin"
    assert data.X.times[2] == np.datetime64(3000, "ns")
    assert from_table(changed(t=stamps.cast(pa.timestamp("us"))), target="label", **NAMED).X.time_zone is None
    unknown = changed(t=pa.array([3, 1, 1, 2, 2], pa.timestamp("us", "Nowhere/Land")))
    assert from_table(unknown, target="label", **NAMED).X.time_zone == "UTC"


def test_series_without_a_target_are_left_out_with_their_count_or_refused():
    columns = {"id": "unit", "time": "t", "channels": ["heat"], "target": "y"}
    for values, want in (([None, 2, None, 2, None], [2]), ([None, "u", None, "u", ""], ["u"])):
        with pytest.warns(DataWarning, match=r"1 of 2 series has no target and is left out, such as 'b'; targets='err"):
            data = from_table(changed(y=values), **columns)
        assert data.ids == ("a",)
        assert data.y.tolist() == want
        assert data.X == from_table(changed(y=values).take([1, 3]), **columns).X
        with pytest.raises(
            DataError, match=r"target \(--target y\) needs a value in every series, series 'b' has none"
        ):
            from_table(changed(y=values), targets="error", **columns)
    with pytest.warns(DataWarning, match="1 of 2 series has no target"):
        data = from_table(changed(y=[None, 1.0, None, 2.0, np.nan]), **columns)
    assert data.y == Sequences.from_arrays([[[1.0], [2.0]]], times=[[1, 2]], channel_names=["y"])


@pytest.mark.parametrize("role", ["channels", "static", "time", "target"])
@pytest.mark.parametrize("encode", [lambda column: column, pa.Array.dictionary_encode], ids=["plain", "dictionary"])
def test_a_word_among_numbers_is_named_with_its_row_and_the_cure(role, encode):
    values = {
        "static": ["1", "2", "<0.01", "2", "1"],
        "time": ["3", "1", "<0.01", "4", "2"],
        "target": ["1.5", "2", "unknown", "1", "7"],
    }
    column = values.get(role, ["3.5", "1", "<0.01", None, "2"])
    arguments = {"id": "unit", "target": "label", "channels": ["heat"], role: "y"}
    stray = "unknown" if role == "target" else "<0.01"
    told = (
        f"{role} .*got string.*; '{stray}' in row 3 \\(series 'b'\\) made text of it: write a number there, or nothing"
    )
    with pytest.raises(DataError, match=told.replace("got string", "got .*string")):
        from_table(changed(y=encode(pa.array(column))), **arguments)


def test_labels_that_are_numbers_and_words_stay_labels():
    stages = ["1", "2", "3", "R", "W"] * 4
    table = pa.table({"id": range(20), "x": [0.5] * 20, "y": stages})
    assert from_table(table, id="id", target="y").y.tolist() == stages
    table = pa.table({"id": range(3), "x": [0.5] * 3, "y": ["0.5", "unknown", "1.2"]})
    with pytest.raises(DataError, match=r"'unknown' in row 2 \(series '1'\)"):
        from_table(table, id="id", target="y")


def test_the_cure_named_for_columns_of_text_is_a_cure():
    table = changed(**{"a, b": [1, 2, 3, 4, 5], "note": ["p", "q", "r", "s", "t"]})
    with pytest.raises(DataError, match=r"got 'note' \(string\); channels=") as caught:
        from_table(table, target="label", **NAMED)
    python, shell = re.search(r"; channels=(.*) \(--channels (.*)\) goes on without", str(caught.value)).groups()
    data = from_table(table, target="label", **NAMED, channels=ast.literal_eval(python))
    assert data.X.channel_names == ("flow", "heat", "a, b")
    assert split_words(*shlex.split(shell)) == list(data.X.channel_names)


def test_names_that_end_in_nul_stay_apart():
    names = ["n\0", "n", "n\0", "n", "n\0"]
    for column in (pa.array(names), pa.array(names).dictionary_encode()):
        data = from_table(
            changed(unit=column, site=column, y=column), id="unit", group="site", target="y", channels=["heat"]
        )
        assert data.ids == ("n\0", "n")
        assert data.groups.tolist() == data.y.tolist() == ["n\0", "n"]
        assert len(np.unique(data.groups)) == len(np.unique(as_targets(data.y, data.X))) == 2
        assert data.X[[1, 0]].groups.tolist() == ["n", "n\0"]


class Watched:
    """A table that counts how often its names are listed, or looked through."""

    __arrow_c_stream__ = None  # which says that it is one

    def __init__(self, table):
        self.table, self.listed = table, 0

    @property
    def column_names(self):
        self.listed += 1
        return NamesWatched(self.table.column_names, self)

    def __getattr__(self, name):
        return getattr(self.table, name)

    def __getitem__(self, name):
        return self.table[name]

    def __len__(self):
        return len(self.table)


class NamesWatched(list):
    def __init__(self, names, watched):
        super().__init__(names)
        self.watched = watched

    def __contains__(self, name):
        self.watched.listed += 1
        return super().__contains__(name)

    def count(self, name):
        self.watched.listed += 1
        return super().count(name)


@pytest.mark.parametrize("named", [False, True])
def test_a_wide_tables_names_are_not_looked_through_once_per_column(named, monkeypatch):
    monkeypatch.setattr(pa, "table", lambda table: table)
    listed = []
    for n in (10, 1000):
        names = [f"c{k}" for k in range(n)]
        watched = Watched(pa.Table.from_pydict({**ROWS, **dict.fromkeys(names, [0.5] * 5)}))
        data = from_table(watched, target="label", channels=["heat", *names] if named else None, **NAMED)
        assert data.X.n_channels == n + 2 - named
        listed.append(watched.listed)
    assert listed[0] == listed[1]


def test_encodings_that_save_space_change_nothing():
    table = pa.table(ROWS)
    for column in ("unit", "site", "label"):
        index = table.column_names.index(column)
        table = table.set_column(index, column, table[column].dictionary_encode())
    table = pa.concat_tables([table[2:4], table[:2], table[4:]])  # the dictionary no longer in order of appearance
    moved = pa.table(ROWS).take([2, 3, 0, 1, 4])
    for encoded in (table, moved.set_column(0, "unit", moved["unit"].cast(pa.string_view()))):
        got, want = (from_table(t, target="label", **NAMED) for t in (encoded, moved))
        assert got.X == want.X
        assert got.ids == want.ids == ("b", "a")
        assert got.y.tolist() == want.y.tolist() == ["bad", "good"]


def test_the_dictionary_of_a_part_of_a_table_adds_no_series():
    table = pa.table({**ROWS, "unit": pa.array(["z", *ROWS["unit"][1:]]).dictionary_encode()})[1:]
    data = from_table(table, target="label", **NAMED)
    assert data.ids == ("a", "b")
    assert data.X.lengths.tolist() == [2, 2]
    gap = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, None, 0]), ["b", "a"])
    with pytest.raises(DataError, match="none in row 4"):
        from_table(pa.table({**ROWS, "unit": gap}), target="label", **NAMED)


def test_numbers_of_any_width_are_channels():
    table = changed(
        flow=pa.array([1, 2, 3, 4, 5], pa.decimal128(5, 1)), heat=pa.array([True, None, False, True, True])
    ).append_column("none", pa.nulls(5))
    data = from_table(table, target="label", **NAMED)
    np.testing.assert_array_equal(data.X[1], [[2, np.nan, np.nan], [4, 1, np.nan]])
