import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

from throughtime.data import Dataset, Sequences, Spread, Target, describe, is_labels


def dataset(y=None, **extras):
    arrays = [np.array([[1, 2], [np.nan, 3]]), np.array([[4.0, 5]]), np.array([[4.0, 5]])]
    X = Sequences.from_arrays(arrays, **extras)
    return Dataset(X, y, ("a", "b", "c"), "name", "source", X.groups, "y")


def test_a_description_counts_what_is_there_and_is_json():
    record = describe(dataset(groups=["g", "g", "h"], static=[1, np.nan, 3], channel_names=["u", "v"]))
    assert json.loads(json.dumps(dataclasses.asdict(record))) == {
        "name": "name",
        "source": "source",
        "n_series": 3,
        "windows_of": None,
        "n_steps": 4,
        "n_channels": 2,
        "channels": ["u", "v"],
        "lengths": {"minimum": 1, "lower_quartile": 1, "median": 1, "upper_quartile": 1.5, "maximum": 2},
        "target": None,
        "n_groups": 2,
        "n_static": 1,
        "missing": 0.125,
        "missing_by_channel": {"u": 0.25, "v": 0.0},
        "missing_by_static": {"0": 1 / 3},
        "range_by_channel": {"u": [1.0, 4.0], "v": [2.0, 5.0]},
        "sentinels": [],
        "duplicates": 1,
        "first_time": None,
        "last_time": None,
        "spacing": None,
        "dtype": "float64",
    }
    assert record.lengths == Spread(1.0, 1.0, 1.0, 1.5, 2.0)


STEPS = Sequences.from_arrays([[np.nan, 1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("y", "want"),
    [
        (np.array(["u", "v", "u"]), Target("classes", "y", {"u": 2, "v": 1})),
        (np.array([1, 2, 1]), Target("classes", "y", {"1": 2, "2": 1})),
        (np.array([True, False, True]), Target("classes", "y", {"False": 1, "True": 2})),
        (np.array([1.0, 3, 5]), Target("values", "y", None, 3.0, float(np.std([1, 3, 5])), 1.0, 5.0)),
        (np.array([1, 3, 5]), Target("values", "y", None, 3.0, float(np.std([1, 3, 5])), 1.0, 5.0)),
        (STEPS, Target("steps", "y", None, 2.0, float(np.std([1, 2, 3])), 1.0, 3.0, 0.75)),
    ],
)
def test_a_target_is_described_by_its_kind(y, want):
    assert describe(dataset(y)).target == want


def test_windows_are_described_by_the_series_that_they_are_of():
    times = np.delete(np.arange(32.0), [15])
    X = Sequences(np.zeros((31, 1)), [0, 31], times=times)
    y = Sequences(np.where(times == 3, np.nan, 2.0)[:, None], X.offsets, times=times)
    whole = Dataset(X, y, ("river",), "name", "source")
    described = describe(whole.windows(5, history=7))
    assert (described.n_series, described.windows_of) == (7, 1)
    assert described.spacing == describe(whole).spacing
    assert described.spacing.first == ("river", "14", "16")
    # of 31 own steps one has no target; those of the history are to have none
    assert described.target.observed == describe(whole).target.observed == 30 / 31
    nameless = Dataset(X.windows(5), np.zeros(6), tuple("abcdef"), "name", "source")
    assert describe(nameless).spacing.first[0] == "0"


def test_many_windows_are_described_without_a_copy_of_their_times():
    n, length = 20_000, 128
    X = Sequences(np.zeros((n, 1), np.float32), [0, n], times=np.arange(n)).windows(length)
    data = Dataset(X, None, tuple(map(str, range(len(X)))), "name", "source")
    tracemalloc.start()
    try:
        described = describe(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * X.n_steps / 4  # a quarter of the times of all windows
    assert (described.first_time, described.last_time) == (0, n - 1)


def test_whole_numbers_are_labels_while_they_are_few():
    assert is_labels(np.arange(50).repeat(2))
    assert not is_labels(np.arange(51).repeat(2))
    assert not is_labels(np.arange(50))
    assert not is_labels(np.array([1.0, 1.0, 2.0]))


def dates(unit, *texts):
    return np.split(np.array(texts, f"M8[{unit}]"), [2, 3])


@pytest.mark.parametrize(
    ("times", "first", "last"),
    [
        ([[0, 5], [1], [2]], 0.0, 5.0),
        (dates("D", "2020-01-01", "2020-01-03", "2020-01-02", "2019-12-31"), "2019-12-31", "2020-01-03"),
        (
            dates("s", "2020-01-01T01", "2020-01-03T02", "2020-01-02T03", "2019-12-31T04"),
            "2019-12-31T04:00:00",
            "2020-01-03T02:00:00",
        ),
    ],
)
def test_the_times_of_a_data_set_are_its_first_and_last(times, first, last):
    record = describe(dataset(times=times))
    assert (record.first_time, record.last_time) == (first, last)
