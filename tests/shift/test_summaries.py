"""What is summed up of a series, against NumPy on each channel alone."""

from typing import Any

import numpy as np
import pytest

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.shift import summarize

LENGTHS = np.random.default_rng(3).integers(1, 40, 70)


def series(**extras: Any) -> Sequences:
    rng = np.random.default_rng(0)
    arrays = [1e4 + rng.normal(size=(length, 3)).cumsum(0) for length in LENGTHS]
    return Sequences.from_arrays(arrays, **extras)


def by_numpy(x: np.ndarray) -> list[float]:
    """The five summaries of one channel of one series, step by step."""
    steps = np.flatnonzero(~np.isnan(x))
    if not len(steps):
        return [np.nan, np.nan, np.nan, np.nan, 1.0]
    seen = x[steps]
    mean, sd = seen.mean(), seen.std()
    lag_1 = slope = 0.0
    if sd > 0:
        pairs = [(x[t] - mean) * (x[t - 1] - mean) for t in steps if t - 1 in steps]
        lag_1 = np.clip(np.mean(pairs) / sd**2, -1, 1) if pairs else 0.0
        slope = np.polyfit(steps, seen, 1)[0] * steps.std()
    return [mean, sd, lag_1, slope, 1 - len(steps) / len(x)]


def test_summaries_are_those_of_each_channel_of_each_series_alone() -> None:
    X = series()
    values, names = summarize(X)
    expected = [[number for channel in x.T for number in by_numpy(channel)] + [len(x)] for x in X]
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)  # float64, values of 1e4
    assert names[:6] == ("x0 mean", "x0 sd", "x0 lag-1", "x0 slope", "x0 missing", "x1 mean")
    assert names[-1] == "length"


def test_missing_values_are_left_out() -> None:
    rng = np.random.default_rng(1)
    arrays = [np.where(rng.random(x.shape) < 0.4, np.nan, x) for x in series()]
    arrays[5][:, 1] = np.nan
    expected = [[number for channel in x.T for number in by_numpy(channel)] + [len(x)] for x in arrays]
    values, _ = summarize(Sequences.from_arrays(arrays))
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    assert np.isnan(values[5, 5:9]).all()
    assert values[5, 9] == 1


def test_a_series_has_the_same_bits_among_others_as_alone() -> None:
    X = series()
    values, _ = summarize(X)
    for number in (0, 17, 69):
        np.testing.assert_array_equal(summarize(X[number : number + 1])[0][0], values[number])


def test_a_series_far_longer_than_a_chunk_is_summed_up_with_the_others() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, 1)) for length in (3, 100_000, 5)]
    values, _ = summarize(Sequences.from_arrays(arrays))
    np.testing.assert_allclose(values[:, 0], [x.mean() for x in arrays], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 1 / 3, -7e-8])
def test_a_constant_channel_and_a_single_step_have_no_deviation_trend_or_memory(value: float) -> None:
    X = Sequences.from_arrays([np.full((11, 1), value), np.full((1, 1), value)])
    values, _ = summarize(X)
    np.testing.assert_allclose(values[:, 0], value, rtol=1e-15)
    np.testing.assert_array_equal(values[:, 1:5], 0)


def test_static_features_are_columns_of_their_own() -> None:
    static = np.arange(140.0).reshape(70, 2)
    values, names = summarize(series(static=static, static_names=["age", "weight"], channel_names=["u", "v", "w"]))
    np.testing.assert_array_equal(values[:, -2:], static)
    assert names[-3:] == ("length", "age", "weight")
    assert names[0] == "u mean"


def test_values_whose_squares_are_no_numbers_are_refused() -> None:
    X = Sequences.from_arrays([np.array([[1e200], [0.0]])])
    with pytest.raises(DataError, match=r"^a summary needs values of at most 1e\+140 in size, got 1e\+200; rescale"):
        summarize(X)
