import importlib.util
from pathlib import Path

import numpy as np
import pytest

from throughtime.data import Sequences, available, datasets, load, load_dataset, read
from throughtime.errors import DataError, MissingDependencyError, ParameterError

ENTRIES = {entry.name: entry for entry in available()}


def installed(package):
    return importlib.util.find_spec(package) is not None


def test_the_names_by_which_sets_are_loaded_stay():
    assert [*ENTRIES] == [
        "japanese-vowels",
        "fulda",
        "basic-motions",
        "italy-power-demand",
        "gunpoint",
        "arrow-head",
        "pickup-gesture",
        "covid-3month",
        "cardano-sentiment",
        "digits",
        "digits-pixels",
        "spoken-digits",
        "watch",
    ]


@pytest.mark.parametrize("name", ENTRIES)
def test_each_set_is_what_the_list_says_and_its_splits_make_up_the_whole(name):
    entry = ENTRIES[name]
    if not installed(entry.package):
        pytest.skip(f"{entry.package} is not installed")
    train, test, both = (load_dataset(name, split) for split in ("train", "test", None))
    assert len(train.X) == len(train.y) == entry.n_train
    assert len(test.X) == len(test.y) == entry.n_test
    assert both.X.n_channels == train.X.n_channels == test.X.n_channels == entry.n_channels
    low, high = both.X.lengths.min(), both.X.lengths.max()
    assert (f"{low}" if low == high else f"{low}-{high}") == entry.lengths
    np.testing.assert_array_equal(both.X.values, np.concatenate([train.X.values, test.X.values]))
    assert train.X.train_dtype == test.X.train_dtype == np.float32
    assert train.source == f"{name}:train"
    if entry.task == "classification":
        assert set(np.unique(test.y)) <= set(np.unique(train.y))
        np.testing.assert_array_equal(both.y, np.concatenate([train.y, test.y]))
    elif entry.task == "regression":
        assert train.y.dtype == np.float64
    else:
        assert isinstance(train.y, Sequences)
    X, y = load(name, "test")
    assert X == test.X
    assert isinstance(y, Sequences) or (y == test.y).all()


@pytest.mark.skipif(not installed("aeon"), reason="aeon is not installed")
@pytest.mark.parametrize("split", ["train", "test"])
def test_japanese_vowels_equal_aeons_copy_through_our_reader(split):
    root = Path(importlib.util.find_spec("aeon").submodule_search_locations[0], "datasets/data/JapaneseVowels")
    theirs = read(root / f"JapaneseVowels_{split.upper()}.ts")
    X, y = load("japanese-vowels", split)
    assert theirs.X.astype("f4") == X
    np.testing.assert_array_equal(y, theirs.y)


@pytest.mark.skipif(not installed("aeon"), reason="aeon is not installed")
@pytest.mark.parametrize(
    ("name", "file"), [("pickup-gesture", "PickupGestureWiimoteZ"), ("basic-motions", "BasicMotions")]
)
def test_our_ts_reader_reads_what_aeons_reads(name, file):
    from aeon.datasets import load_from_ts_file

    root = Path(importlib.util.find_spec("aeon").submodule_search_locations[0], f"datasets/data/{file}")
    theirs, labels = load_from_ts_file(root / f"{file}_TRAIN.ts")
    X, y = load(name, "train")
    assert Sequences.from_arrays([series.T for series in theirs], train_dtype="f4") == X
    assert [str(label).lower() for label in y] == list(labels)  # aeon writes them in lower case


fulda = pytest.mark.skipif(not installed("spotpy"), reason="spotpy is not installed")


@fulda
def test_fulda_predicts_each_day_once_and_from_the_days_before_it():
    train, test = load_dataset("fulda", "train"), load_dataset("fulda", "test")
    for data, years in ((train, range(1980, 1986)), (test, range(1986, 1989))):
        observed = ~np.isnan(data.y.values[:, 0])
        days = data.y.times[observed]
        want = np.arange(f"{years[0]}-01-01", f"{years[-1] + 1}-01-01", dtype="M8[D]")
        np.testing.assert_array_equal(days, want)
        np.testing.assert_array_equal(data.groups, np.repeat(years, 12))
        assert not np.isnan(data.X.values).any()
        for index in range(len(data.X)):
            begun = np.isnan(data.y[index][:, 0])
            assert begun[:90].all()
            assert not begun[90:].any()
            month = data.X.times_of(index)[90].astype("M8[M]")
            assert str(month) == data.ids[index]
            assert (np.diff(data.X.times_of(index)) == np.timedelta64(1, "D")).all()


@fulda
def test_fulda_has_the_numbers_of_spotpys_file_and_copies_no_weather():
    data = load_dataset("fulda", "test")
    assert data.X.channel_names == ("tmax", "tmin", "tmean", "Prec")
    np.testing.assert_allclose(data.X[-1][-1], [4.8, 3.1, 3.95, 0.3], rtol=1e-6)  # 31 December 1988
    np.testing.assert_allclose(data.y[-1][-1], [30.5], rtol=1e-6)
    assert len(data.X.buffer) == 3653
    assert len(load_dataset("fulda").X.buffer) == 3653


@fulda
def test_the_history_of_fulda_is_a_parameter():
    X, y = load("fulda", "train", history=0)
    assert X.lengths.max() == 31
    assert not np.isnan(y.values).any()
    assert load("fulda", "train", history=365)[0].times_of(0)[0] == np.datetime64("1979-01-01")
    for history in (-1, 366):
        with pytest.raises(ParameterError, match="0 to 365 days"):
            load("fulda", history=history)
    with pytest.raises(ParameterError, match="history needs the data set fulda"):
        load("japanese-vowels", history=3)


@pytest.mark.usefixtures("types_unchecked")
def test_a_name_or_a_split_that_is_none_is_refused():
    with pytest.raises(DataError, match=r"japanese-vowels, fulda, .* got 'fulda-river' \(did you mean 'fulda'\?\)"):
        load("fulda-river")
    with pytest.raises(ParameterError, match="split needs 'train', 'test' or None, got 'all'"):
        load("japanese-vowels", "all")


def test_a_set_whose_package_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(datasets.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDependencyError, match=r'fulda needs the package spotpy: pip install "throughtime\[demo\]"'
    ):
        load("fulda")
    with pytest.raises(MissingDependencyError, match=r'pip install "throughtime\[datasets\]"'):
        load("gunpoint")
    assert len(load("japanese-vowels")[0]) == 640


def test_the_license_of_the_data_inside_the_package_stands_beside_them():
    text = Path(datasets.__file__).with_name("files").joinpath("japanese_vowels.txt").read_text()
    for needed in ("Kudo", "https://doi.org/10.24432/C5NS47", "Attribution 4.0", "Changes:"):
        assert needed in text
