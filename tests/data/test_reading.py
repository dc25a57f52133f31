import re
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_forms import write_all

from throughtime.data import Sequences, from_table, limits, load, read, reads_columns
from throughtime.errors import DataError, DataWarning, ParameterError


@pytest.fixture(scope="module")
def vowels():
    return load("japanese-vowels", "train")


@pytest.fixture(scope="module")
def forms(vowels, tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("forms"), *vowels)


@pytest.mark.parametrize("form", ["csv", "parquet", "npz", "ts", "csv directory", "parquet directory"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_form_of_the_same_data_reads_the_same(form, dtype, forms, vowels):
    path, columns = forms[form]
    data = read(path, dtype=dtype, **columns)
    assert data.X.train_dtype == dtype
    # what comes as text, or is to be trained on in float64, is held in float64; what comes as float32 needs no more
    assert data.X.dtype == ("float32" if dtype == "float32" and "csv" not in form and form != "ts" else "float64")
    np.testing.assert_array_equal(data.X.lengths, vowels[0].lengths)
    np.testing.assert_array_equal(data.X.values.astype("f4"), vowels[0].values)
    np.testing.assert_array_equal(data.y, vowels[1])
    assert data.y.dtype == np.int64
    assert data.name == path.stem
    assert data.source == str(path)
    if form not in ("npz", "ts"):
        assert data.ids[:11] == ("u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9", "u10")
        assert data.X.channel_names[:2] == ("c0", "c1")
    assert read(path, dtype=dtype, **vars(data.columns)).X == data.X or "directory" in form


def test_an_archive_of_one_length_is_also_read_from_a_3d_array(vowels, tmp_path):
    X = np.stack([series[:7] for series in vowels[0]])
    want = Sequences.from_arrays(list(X))
    np.savez(tmp_path / "ntc.npz", X=X, y=vowels[1])
    np.savez(tmp_path / "nct.npz", X=X.transpose(0, 2, 1), y=vowels[1])
    np.savez(tmp_path / "2d.npz", X=np.asfortranarray(X[:, :, 0]), y=X[:, :, 1])
    assert want == read(tmp_path / "ntc.npz").X
    assert want == read(tmp_path / "nct.npz", layout="nct").X
    two = read(tmp_path / "2d.npz")
    np.testing.assert_array_equal(np.asarray(two.X)[:, :, 0], X[:, :, 0])
    np.testing.assert_array_equal(np.asarray(two.y)[:, :, 0], X[:, :, 1])


def test_an_archive_may_hold_all_that_belongs_to_the_series(tmp_path):
    parts = {
        "values": np.arange(10.0).reshape(5, 2),
        "offsets": np.array([0, 2, 5]),
        "y": np.array([1, np.nan, 2, 3, 4]),
        "groups": np.array(["a", "b"]),
        "static": np.array([[1, 2], [3, 4]]),
        "times": np.array([0, 1, 0, 1, 2]),
        "ids": np.array(["first", "second"]),
        "channel_names": np.array(["u", "v"]),
    }
    np.savez(tmp_path / "all.npz", **parts)
    data = read(tmp_path / "all.npz", dtype="float64")
    want = {name: parts[name] for name in ("groups", "static", "times", "channel_names")}
    assert Sequences(parts["values"], parts["offsets"], **want) == data.X
    assert data.ids == ("first", "second")
    np.testing.assert_array_equal(data.y.values[:, 0], parts["y"])
    np.testing.assert_array_equal(data.groups, parts["groups"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": [1]}, "needs X, or values and offsets, got y"),
        ({"X": np.zeros((1, 2)), "values": np.zeros((2, 1)), "offsets": [0, 2]}, "needs X, or values and offsets"),
        ({"values": np.zeros((2, 1))}, "needs X, or values and offsets"),
        ({"X": np.zeros((1, 2))}, "needs an array y"),
        ({"X": np.zeros((1, 2)), "y": [1], "group": [1]}, "got group"),
        ({"X": np.zeros((1, 2)), "y": np.array([{}])}, "pickled objects"),
        ({"X": np.zeros((1, 2)), "y": [1, 2]}, r"\[1, 2\]"),
        ({"X": np.zeros((1, 2)), "y": [np.nan]}, "Input y contains NaN"),
        ({"X": np.full((1, 2), np.inf), "y": [1]}, "series 0, step 0"),
        ({"X": np.array([["a"]]), "y": [1]}, "dtype <U1"),
        ({"X": np.zeros((1, 2)), "y": [1], "channel_names": "ab"}, "channel_names needs one axis"),
        ({"values": np.zeros((2, 1)), "offsets": [0, 0, 2], "y": [1, 2]}, "series 0 has none"),
        ({"X": np.zeros(2, [("a", "f4")]), "y": [1]}, "an array of one dtype, got fields"),
    ],
)
def test_an_archive_of_other_content_is_refused(arrays, message, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_an_archive_cannot_claim_more_than_it_holds_or_than_the_budget(tmp_path, monkeypatch):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4)}"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("X.npy", member)
    with pytest.raises(DataError, match="as large as its header says"):
        read(tmp_path / "claim.npz")

    np.savez_compressed(tmp_path / "bomb.npz", X=np.zeros((1000, 1000)), y=np.zeros(1000))
    monkeypatch.setattr(limits, "BUDGET", 10_000_000)
    with pytest.raises(DataError, match="at most 10000000 bytes of memory to be read, got 16024000; read parts of"):
        read(tmp_path / "bomb.npz")

    pq.write_table(pa.table({"id": np.zeros(10**6, int), "v": np.zeros(10**6)}), tmp_path / "bomb.parquet")
    for budget in (100_000_000, 130_000_000):
        monkeypatch.setattr(limits, "BUDGET", budget)
        with pytest.raises(DataError, match=f"a Parquet file needs at most {budget} bytes of memory"):
            read(tmp_path / "bomb.parquet", id="id", require_target=False)


def test_a_long_text_in_every_row_of_a_parquet_file_is_not_spelled_out(tmp_path):
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), ["x" * 1_000_000])  # 100 GB
    pq.write_table(pa.table({"id": text, "v": np.zeros(100_000)}), tmp_path / "x.parquet", store_schema=False)
    assert read(tmp_path / "x.parquet", id="id", require_target=False).ids == ("x" * 1_000_000,)


TS = """@problemName p
@timeStamps false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
1,2,3:4,5,?:up
-1e-3,.5:NaN, 7.:down
"""


def test_ts_reads_ragged_multivariate_cases_with_missing_values(tmp_path):
    path = tmp_path / "p.ts"
    path.write_bytes(b"# \xe9 in some old encoding\n\n" + TS.encode())
    data = read(path)
    want = [np.array([[1, 4], [2, 5], [3, np.nan]]), np.array([[-1e-3, np.nan], [0.5, 7]])]
    assert Sequences.from_arrays(want, train_dtype="f4") == data.X
    assert data.y.tolist() == ["up", "down"]


def test_ts_reads_regression_targets_and_cases_without_any(tmp_path):
    path = tmp_path / "p.ts"
    path.write_text("@univariate true\n@targetlabel true\n@data\n1,2:0.5\n3,4,5:-1e2\n")
    assert read(path).y.tolist() == [0.5, -100.0]
    path.write_text("@univariate true\n@classlabel false\n@data\n1,2\n3,4,5\n")
    assert read(path, require_target=False).y is None
    with pytest.raises(DataError, match="@classLabel true or @targetLabel true"):
        read(path)


@pytest.mark.parametrize(
    ("labels", "dtype", "values"),
    [("1 2", "i8", [1, 2]), ("-1 1", "i8", [-1, 1]), ("01 2", "O", ["01", "2"]), ("1.0 2", "O", ["1.0", "2"])],
)
def test_ts_labels_are_integers_only_when_all_are_written_as_integers(labels, dtype, values, tmp_path):
    first, second = labels.split()
    (tmp_path / "p.ts").write_text(f"@univariate true\n@classLabel true {labels}\n@data\n1,2:{first}\n3,4:{second}\n")
    y = read(tmp_path / "p.ts").y
    assert y.dtype == dtype
    assert y.tolist() == values


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@timeStamps false", "@timeStamps true", "line 2: @timeStamps needs to be false.*--time"),
        ("@timeStamps false", "@timeStamps maybe", "line 2: @timestamps needs true or false, got 'maybe'"),
        ("@problemName p", "@relation p", "line 1 needs a tag of the .ts format, got @relation"),
        ("@problemName p", "problemName p", "line 1 needs a tag such as"),
        ("@timeStamps false", "@univariate true", "line 3 needs a tag that is not there yet"),
        ("@univariate false", "@univariate true", "@univariate true needs @dimensions 1, got 2"),
        ("@dimensions 2", "@dimensions two", "line 4: @dimensions needs a whole number"),
        ("@dimensions 2", "@dimensions 3", "line 8 needs 3 channels, got 2"),
        ("@equalLength false", "@equalLength true", "line 9 needs 3 values per channel, got 2"),
        ("@equalLength false", "@equalLength true\n@seriesLength 4", "line 9 needs 4 values per channel, got 3"),
        ("@equalLength false", "@missing false", "line 8 needs a value everywhere"),
        ("@equalLength false", "@targetLabel true", "exclude each other"),
        ("true up down", "true", "line 6: @classLabel true needs the labels"),
        ("@classLabel true up down", "@targetLabel true", "line 8 needs a number to predict.* got 'up'"),
        (":down", ":left", "line 9 needs one of the labels of @classLabel, got 'left'"),
        (":down", "", "line 9 needs one of the labels"),
        ("1,2,3:", "1,2:", "line 8 needs channels of one length, got 2, 3"),
        ("1,2,3:", "1,,3:", "line 8 needs numbers between commas, got ''"),
        ("1,2,3:", "1,2_0,3:", "got '2_0'"),
        ("1,2,3:", "1,0x1,3:", "got '0x1'"),
        ("1,2,3:", "1,inf,3:", "line 8 needs numbers between commas, got 'inf'"),
        ("1,2,3:", "1,1e999,3:", "line 8 needs finite numbers, got 1e999"),
        ("1,2,3:", "1,1e400,3:", "finite numbers, got 1e400"),
        ("1,2,3:", "(0,1),(1,2),(2,3):", r"got '\(0'; time stamps are not read"),
        ("@data", "# data", "line 8 needs a tag such as"),
        (TS.partition("@data\n")[2], "", "at least one case after @data"),
        (TS.partition("@data")[1] + TS.partition("@data")[2], "", "needs a line @data"),
        ("1,2,3", "\u00b2,2,3", "got '\u00b2'"),
    ],
)
def test_ts_refuses_what_does_not_keep_to_the_format_by_line(old, new, message, tmp_path):
    assert old in TS
    (tmp_path / "p.ts").write_text(TS.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "p.ts")


CSV = "unit,day,rain,label\n007,2020-01-02,1,a\n007,2020-01-01,,a\n7,2020-01-01,2.5,b\n"


def csv_file(tmp_path, text=CSV):
    (tmp_path / "x.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / "x.csv"


def test_csv_ids_stay_text_empty_cells_are_nan_and_dates_are_times(tmp_path):
    data = read(csv_file(tmp_path), id="unit", time="day", target="label")
    assert data.ids == ("007", "7")
    np.testing.assert_array_equal(data.X.values[:, 0], [np.nan, 1, 2.5])
    np.testing.assert_array_equal(data.X.times[:2], np.array(["2020-01-01", "2020-01-02"], "M8[ns]"))


def test_a_column_may_turn_from_integers_to_floats_far_into_a_csv(tmp_path):
    rows = "\n".join(["a,1"] * 400_000 + ["a,1.5"])
    data = read(csv_file(tmp_path, f"id,v\n{rows}\n"), id="id", require_target=False)
    assert data.X.values[-1, 0] == 1.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Empty CSV file"),
        ("unit,rain,label\n", "at least one row"),
        ("unit,rain,label\na,1\n", "Expected 3 columns, got 2"),
        ("unit,unit\na,1\n", "got 'unit' twice"),
        ("unit,rain,label\na,oops,b\n", r"numeric columns, got 'rain' \(string\)"),
        (b"unit,rain,label\na,1,\xff\n", "needs UTF-8 text, got other bytes in column 'label'"),
        ("unit,rain,label\na,inf,b\n", "inf at series 'a', step 0, channel 'rain'"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(csv_file(tmp_path, text), id="unit", target="label")


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_what_parts_columns_is_seen_in_the_heading_and_decimal_commas_are_read_when_asked_for(sign, tmp_path):
    text = CSV.replace(",", sign)
    want = read(csv_file(tmp_path), id="unit", time="day", target="label")
    assert read(csv_file(tmp_path, text), id="unit", time="day", target="label").X == want.X
    commas = text.replace("2.5", "2,5")
    data = read(csv_file(tmp_path, commas), id="unit", time="day", target="label", decimal=",")
    assert data.X == want.X
    assert data.columns.decimal == ","
    with pytest.raises(DataError, match=r"'2,5' in row 3 \(series '7'\) made text of it: decimal=',' \(--decimal ,\)"):
        read(csv_file(tmp_path, commas), id="unit", time="day", target="label")


@pytest.mark.parametrize("role", ["target", "static", "time", "channels"])
def test_decimal_commas_are_never_taken_for_text_whatever_the_column_is(role, tmp_path):
    path = csv_file(tmp_path, "id;x;y\na;1;0,5\nb;2;1,5\nc;3;2\n")
    for folder in (None, tmp_path / "d"):
        if folder is not None:
            folder.mkdir()
            (folder / "a.csv").write_text("x;y\n1;0,5\n2;0,5\n")
        arguments = {"target": "y"} if role == "target" else {"target": "x", role: ["y"] if role == "channels" else "y"}
        arguments |= {} if folder else {"id": "id"}
        source = folder or path
        if role in ("static", "time"):
            arguments |= {"require_target": False, "target": None, "channels": ["x"]}
        with pytest.raises(DataError, match=r"'0,5' in row 1 \(series 'a'\).*--decimal ,"):
            read(source, **{**arguments, "target_kind": "step"} if role == "target" else arguments)
        if role != "time" or folder is None:
            read(source, decimal=",", **arguments)


@pytest.mark.parametrize("cell", ["<0,01", "1.234,5", "1.5"])
@pytest.mark.parametrize("folder", [False, True])
def test_of_decimal_commas_the_cell_that_is_no_number_is_named(cell, folder, tmp_path):
    path = csv_file(tmp_path, f"id;x\na;81,0\na;2,5\nb;{cell}\nb;3,5\n")
    where, columns = (path.parent, {}) if folder else (path, {"id": "id"})
    if folder:
        path.write_text(f"x;z\n81,0;1\n2,5;2\n{cell};3\n3,5;5\n")
    with pytest.raises(DataError, match=rf"; '{re.escape(cell)}' in row 3 \(series .*: write a number there") as error:
        read(where, **columns, decimal=",", require_target=False)
    assert "decimal=" not in str(error.value)


@pytest.mark.parametrize("sign", [",", ";"])
def test_decimal_points_read_as_commas_offer_points(sign, tmp_path):
    path = csv_file(tmp_path, "id,x\na,1\na,2.5\nb,3.5\n".replace(",", sign))
    with pytest.raises(
        DataError, match=r"'2\.5' in row 2 \(series 'a'\) made text of it: decimal='\.' \(--decimal \.\)"
    ):
        read(path, id="id", decimal=",", require_target=False)


@pytest.mark.parametrize("kind", ["frame", "parquet"])
def test_decimal_commas_of_what_is_no_csv_are_to_be_converted(kind, tmp_path):
    table = pa.table({"id": ["a", "b"], "x": ["1,5", "2,5"]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"'1,5' in row 1 .*convert the column to numbers") as error:
        read(table if kind == "frame" else tmp_path / "x.parquet", id="id", require_target=False)
    assert "decimal=" not in str(error.value)


def test_quoted_decimal_commas_between_commas_are_read_too(tmp_path):
    path = csv_file(tmp_path, 'id,x\na,"0,5"\nb,2\n')
    assert read(path, id="id", require_target=False, decimal=",").X.values[:, 0].tolist() == [0.5, 2]


def test_a_heading_of_both_signs_that_cannot_be_read_names_the_other(tmp_path):
    path = csv_file(tmp_path, "id;flow, m3;x\na;1,5;2\nb;2;3\n")
    with pytest.raises(DataError, match=r"its heading, which has both ',' and ';'; decimal=',' \(--decimal ,\)"):
        read(path, id="id", require_target=False)
    assert read(path, id="id", require_target=False, decimal=",").X.channel_names == ("flow, m3", "x")


@pytest.mark.parametrize("cell", ["0x1F", "0X1f", '"0x1F"', " 0x1F"])
def test_hexadecimal_is_no_number_in_a_csv(cell, tmp_path):
    with pytest.raises(DataError, match=r"needs decimal numbers, got ' ?-?0[xX].*' in row 2 of column 'v'"):
        read(csv_file(tmp_path, f"id,v\na,1\na,{cell}\n"), id="id", require_target=False)
    text = csv_file(tmp_path, "id,v,note\n0x1F,1,see 0x1\n0x1F,2,0x1\n")
    assert read(text, id="id", channels=["v"], require_target=False).ids == ("0x1F",)


def test_groups_written_as_different_numbers_stay_apart(tmp_path):
    path = csv_file(tmp_path, "id,g,v\na,007,1\nb,7,1\nc,10,1\n")
    assert read(path, id="id", group="g", require_target=False).groups.tolist() == ["007", "7", "10"]
    source = directory(tmp_path / "d", a="g,v\n07,1\n", b="g,v\n10,1\n", c="g,v\n7,1\n")
    assert read(source, group="g", require_target=False).groups.tolist() == ["07", "10", "7"]
    path = csv_file(tmp_path, "id,g,v\na,0,1\nb,7,1\n")
    assert read(path, id="id", group="g", require_target=False).groups.tolist() == [0, 7]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_times_keep_their_zone_in_files(kind, tmp_path):
    stamps = pa.array([0, 3_600], pa.timestamp("s", "UTC"))
    if kind == "csv":
        path = csv_file(tmp_path, "id,t,v\na,1970-01-01T02:00:00+02:00,1\na,1970-01-01T01:00:00Z,2\n")
    else:
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"id": ["a", "a"], "t": stamps, "v": [1, 2]}), path)
    X = read(path, id="id", time="t", require_target=False).X
    assert X.time_zone == "UTC"
    assert X.times.astype("i8").tolist() == [0, 3_600 * 10**9]
    mixed = csv_file(tmp_path, "id,t,v\na,1970-01-01T02:00:00+02:00,1\na,1970-01-01T01:00:00,2\n")
    with pytest.raises(DataError, match="needs numbers, dates or timestamps"):
        read(mixed, id="id", time="t", require_target=False)


def test_series_without_a_target_are_left_out_of_an_archive_too(tmp_path):
    X = np.arange(12.0).reshape(3, 4)
    flat = {"values": X.reshape(-1, 1), "offsets": [0, 4, 8, 12]}
    steps = np.array([[1, 2, 3, np.nan], [np.nan] * 4, [1, 2, 3, 4]])
    forms = [
        {"X": X, "y": [1.5, np.nan, 2]},
        {"X": X, "y": ["a", "", "b"]},
        {"X": X, "y": steps},
        {"X": X, "y": steps[:, :, None]},
        {**flat, "y": steps.reshape(-1)},
        {**flat, "y": [1.5, np.nan, 2]},
    ]
    for arrays in forms:
        np.savez(tmp_path / "x.npz", **arrays, ids=["p", "q", "r"], groups=[1, 2, 3])
        with pytest.warns(DataWarning, match="1 of 3 series has no target and is left out, such as 'q'"):
            data = read(tmp_path / "x.npz")
        assert data.ids == ("p", "r")
        assert data.X[1][:, 0].tolist() == [8, 9, 10, 11]
        assert data.groups.tolist() == [1, 3]
        assert len(data.y) == 2
        assert not isinstance(data.y, Sequences) or data.y[1][:, 0].tolist() == [1, 2, 3, 4]
        with pytest.raises(DataError, match="needs a value in every series, series 'q' has none"):
            read(tmp_path / "x.npz", targets="error")
        whole = read(tmp_path / "x.npz", require_target=False)
        assert (len(whole.X), whole.y) == (3, None)


def directory(tmp_path, **files):
    tmp_path.mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_a_directory_is_read_in_natural_order_and_other_files_are_left_alone(tmp_path):
    source = directory(tmp_path, s10="v,y\n1,5\n", s2="y,v\n6,2.5\n6,\n")
    (tmp_path / "README.txt").write_text("no series")
    (tmp_path / ".hidden.csv").write_text("no series")
    data = read(source, target="y")
    assert data.ids == ("s2", "s10")
    want = Sequences.from_arrays([[[2.5], [np.nan]], [[1.0]]], channel_names=["v"], train_dtype="f4")
    assert want == data.X
    assert data.y.tolist() == [6, 5]
    assert data.y.dtype == np.int64


@pytest.mark.parametrize(
    ("files", "arguments", "error", "message"),
    [
        ({}, {}, DataError, "needs .csv or .parquet files, one per series, got neither"),
        ({"a": "v,y\n1,2\n", "b": "v,z\n1,2\n"}, {}, DataError, r"b.csv needs the columns of a.csv.*differ in y, z"),
        ({"a": "v,y\n1,2\n", "b": "v,y\n"}, {}, DataError, "b.csv needs at least one row"),
        ({"a": "v,y\n1,2\n", "b": ""}, {}, DataError, "b.csv: .*Empty CSV"),
        ({"a": "v,y\n1,2\n", "b": "v,y\nw,3\n"}, {}, DataError, "one type in every file"),
        ({"a": "v,y\n1,2\n"}, {"id": "v"}, ParameterError, r"id \(--id\) needs a single table"),
    ],
)
def test_a_directory_whose_files_differ_is_refused_by_file(files, arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read(directory(tmp_path, **files), target="y", **arguments)


def test_a_source_that_is_not_there_names_what_there_is(tmp_path):
    with pytest.raises(DataError, match=r"japanese-vowel: .*japanese-vowels, fulda.*did you mean 'japanese-vowels'"):
        read("japanese-vowel")
    with pytest.raises(DataError, match="nothing of that name"):
        read(tmp_path / "absent.csv", id="a", target="b")
    (tmp_path / "x.arff").write_text("")
    with pytest.raises(DataError, match=r"needs to be \.csv, \.parquet, \.npz or \.ts, got \.arff"):
        read(tmp_path / "x.arff")
    with pytest.raises(DataError):
        read("a\0b")


def test_columns_are_refused_where_there_are_none_to_name(tmp_path):
    for source in ("japanese-vowels:train", tmp_path / "x.npz", tmp_path / "x.ts"):
        assert not reads_columns(source)
        with pytest.raises(ParameterError, match="id, target needs a table"):
            read(source, id="a", target="b")
    assert reads_columns("x.csv")
    assert reads_columns(tmp_path)


@pytest.mark.usefixtures("types_unchecked")
def test_a_sign_or_a_choice_that_is_none_is_refused():
    table = pa.table({"id": ["a"], "v": [1.0], "y": [1]})
    for source in (table, "japanese-vowels:train"):
        with pytest.raises(ParameterError, match=r"decimal needs '\.' or ',', got ';'"):
            read(source, decimal=";")
        with pytest.raises(ParameterError, match="targets needs 'drop' or 'error', got 'keep'"):
            read(source, targets="keep")
    with pytest.raises(ParameterError, match="targets needs 'drop' or 'error', got 'keep'"):
        from_table(table, id="id", target="y", targets="keep")
    with pytest.raises(ParameterError, match="decimal needs a table"):
        read("japanese-vowels:train", decimal=",")


def test_built_in_names_take_a_split_and_a_dtype(vowels):
    data = read("japanese-vowels:train", dtype="float64")
    assert data.X.astype("f4") == vowels[0]
    assert data.source == "japanese-vowels:train"
    assert len(read("japanese-vowels").X) == 640
    with pytest.raises(ParameterError, match=":train or :test"):
        read("japanese-vowels:val")


def test_importing_the_room_imports_neither_torch_nor_pyarrow():
    import subprocess

    code = "import sys, throughtime.data; print([m for m in ('torch', 'pyarrow', 'sklearn') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
