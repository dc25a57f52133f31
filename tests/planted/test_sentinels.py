"""Values that stand for missing ones are pointed out where they are planted, and no measured value is."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from numpy import ndarray
from numpy.random import Generator

from throughtime.data import Dataset, Sequences, available, describe, from_table, load_dataset
from throughtime.data.sentinels import sentinels_in

SEEDS = range(20)

#: Measured values, as they come.
MEASURED: dict[str, Callable[[Generator], ndarray]] = {
    "temperature": lambda rng: rng.normal(12, 8, 500).round(1),
    "pressure": lambda rng: rng.normal(1000, 20, 500),
    "discharge": lambda rng: np.exp(rng.normal(2, 1.2, 500)).round(1),
    "rain, mostly none": lambda rng: np.where(rng.random(500) < 0.8, 0.0, rng.exponential(5, 500)).round(1),
    "a flag": lambda rng: (rng.random(500) < 0.02).astype(float),
    "a class from 1 to 8": lambda rng: rng.integers(1, 9, 500).astype(float),
    "percent": lambda rng: rng.integers(0, 101, 500).astype(float),
    "audio of 16 bits": lambda rng: np.clip(rng.normal(0, 12_000, 500).round(), -32768, 32767),
    "counts": lambda rng: rng.poisson(3, 500).astype(float),
    "heavy tails": lambda rng: rng.standard_t(2, 500).round(2),
    "off, or about 230": lambda rng: np.where(rng.random(500) < 0.3, 0.0, rng.normal(230, 3, 500)),
    "clipped": lambda rng: np.minimum(rng.normal(size=500), 1.0),
    "one outlier": lambda rng: np.append(rng.normal(size=499), 1e6),
    "constant": lambda rng: np.full(500, rng.normal()),
}
CODES = [-999.0, -9999.0, 9999.0, 1e20, -1e30, 65535.0]


@pytest.mark.parametrize("kind", MEASURED)
def test_no_measured_value_is_a_sentinel(kind: str) -> None:
    for seed in SEEDS:
        assert sentinels_in("x", MEASURED[kind](np.random.default_rng(seed))) == [], seed


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", ["temperature", "pressure", "rain, mostly none", "a flag", "percent"])
def test_a_planted_code_is_found_and_counted(kind: str, code: float) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x = MEASURED[kind](rng)
        low, high = x[5:].min(), x[5:].max()
        x[:5] = code
        (found,) = sentinels_in("x", rng.permutation(x))
        assert (found.value, found.times, found.minimum, found.maximum) == (code, 5, low, high)


def test_an_unknown_value_far_from_all_others_is_found_if_it_is_there_again_and_again() -> None:
    for seed in SEEDS:
        x = MEASURED["temperature"](np.random.default_rng(seed))
        x[:2] = 555.5
        assert sentinels_in("x", x) == []
        x[2] = 555.5
        assert [one.value for one in sentinels_in("x", x)] == [555.5]


def test_two_codes_in_one_channel_are_both_found_beside_missing_values() -> None:
    x = MEASURED["temperature"](np.random.default_rng(0))
    x[:3], x[3:6], x[6:9] = -999, 9999, np.nan
    assert {one.value for one in sentinels_in("x", x)} == {-999, 9999}


def test_codes_in_single_precision_are_known() -> None:
    x = np.append(np.random.default_rng(0).normal(size=50), [1e20, 1e20]).astype(np.float32)
    assert len(sentinels_in("x", x)) == 1


def test_channels_static_features_and_targets_are_all_looked_at() -> None:
    rng = np.random.default_rng(0)
    table = {
        "id": np.repeat(np.arange(30), 10),
        "a": np.where(rng.random(300) < 0.1, -999.0, rng.normal(size=300)),
        "age": np.repeat(np.append(rng.integers(20, 80, 27), [-9999] * 3), 10),
        "y": np.repeat(np.append(rng.normal(size=26), [1e20] * 4), 10),
    }
    description = describe(from_table(pa.table(table), id="id", static=["age"], target="y"))
    assert [(one.name, one.value) for one in description.sentinels] == [("a", -999.0), ("age", -9999.0), ("y", 1e20)]


@pytest.mark.parametrize("name", [entry.name for entry in available() if entry.package == "throughtime"])
def test_nothing_is_suspect_in_built_in_data(name: str) -> None:
    assert describe(load_dataset(name)).sentinels == ()


def test_a_step_of_several_windows_counts_once_among_values_and_in_each_among_the_missing() -> None:
    x = np.arange(40.0)[:, None]
    x[[0, 20], 0] = np.nan, -999
    x[21] = -999
    windows = Sequences.from_arrays([x]).windows(20, stride=10)  # steps 20 and 21 are in two of three
    description = describe(Dataset(windows, None, ("a", "b", "c"), "x", "x"))
    (one,) = description.sentinels
    assert (one.times, description.range_by_channel) == (2, {"0": (-999.0, 39.0)})
    assert description.missing == np.isnan(windows.values).mean() == 1 / 60
