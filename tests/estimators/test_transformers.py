"""Features made of series: what they are, of which steps, what they are called, and what is refused."""

import pickle
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from throughtime import Differences, FourierFeatures, LagFeatures, RollingStatistics, SummaryFeatures
from throughtime.data import Sequences
from throughtime.errors import DataError, MissingDependencyError, ParameterError
from throughtime.estimators.transformers.summary import CATCH22

NAN = np.nan
LENGTHS = (1, 2, 50, 7, 33, 16)
CAUSAL = [
    Differences(),
    Differences([2, 5]),
    LagFeatures([1, 4]),
    RollingStatistics([2, 7, 11], ("mean", "std", "min", "max")),
    FourierFeatures([3.5, 12]),
]


def arrays(dtype: type = np.float64, missing: float = 0.2) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = [1e3 + rng.normal(size=(length, 2)) for length in LENGTHS]
    for array in found:
        array[rng.random(array.shape) < missing] = NAN
    return [array.astype(dtype) for array in found]


def series(**parts: Any) -> Sequences:
    return Sequences.from_arrays(arrays(), channel_names=["temp", "rain"], **parts)


def new_of(transformer: Any, X: Any) -> list[np.ndarray]:
    """What a transformer adds to each series."""
    return [array[:, 2:] for array in clone(transformer).fit_transform(X)]


@pytest.mark.parametrize("lag", [1, 3, 40])
def test_lags_and_differences_are_those_of_pandas_and_reach_no_farther_than_the_first_step(lag: int) -> None:
    later, change = new_of(LagFeatures(lag), series()), new_of(Differences(lag), series())
    for array, own_later, own_change in zip(arrays(), later, change, strict=True):
        frame = pd.DataFrame(array)
        expected = frame.shift(lag)
        expected.iloc[:lag] = frame.iloc[0]  # where there are no steps before, the first one's values stand
        np.testing.assert_array_equal(own_later, expected)
        np.testing.assert_array_equal(own_change, frame - expected)
        np.testing.assert_array_equal(own_change[lag:], frame.diff(lag)[lag:])


@pytest.mark.parametrize("window", [2, 3, 4, 7, 8, 13, 32, 100])
def test_rolling_statistics_are_those_of_pandas_over_the_steps_there_are(window: int) -> None:
    names = ("mean", "std", "min", "max")
    for array, new in zip(arrays(), new_of(RollingStatistics(window, names), series()), strict=True):
        rolling = pd.DataFrame(array).rolling(window, min_periods=1)
        # window by window: pandas' own mean and std add and take away along the series, which costs them digits
        of_windows = [rolling.apply(statistic, raw=True) for statistic in (np.nanmean, np.nanstd)]
        expected = [*of_windows, rolling.min(), rolling.max()]
        np.testing.assert_allclose(new, np.concatenate(expected, axis=1), rtol=1e-12)


def test_a_rolling_window_forgets_what_has_left_it() -> None:
    steps = np.array([1e100, 1.0, 2.0, 3.0, 5.0])
    (new,) = RollingStatistics(3, ("mean", "std")).fit_transform([steps])
    np.testing.assert_allclose(new[3:, 1], [2.0, 10 / 3], rtol=1e-15)
    np.testing.assert_allclose(new[3:, 2], [np.std([1, 2, 3]), np.std([2, 3, 5])], rtol=1e-15)


def test_constant_steps_have_a_rolling_deviation_of_zero_and_not_of_what_is_rounded() -> None:
    (new,) = RollingStatistics(7, "std").fit_transform([np.full(40, 0.1)])
    assert not new[:, 1].any()


def test_a_fourier_feature_is_sine_and_cosine_of_the_time_in_its_own_unit() -> None:
    def waves(periods: Any, **parts: Any) -> np.ndarray:
        X = Sequences.from_arrays([np.zeros(40), np.zeros(25)], **parts)
        return FourierFeatures(periods).fit_transform(X).values[:, 1:]

    step = np.concatenate([np.arange(40), np.arange(25)])
    days = np.datetime64("2001-03-04") + step * np.timedelta64(6, "h")
    since_1970 = (days - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    for clock, times in ((step, None), (since_1970, days), (2.5 * step + 3, 2.5 * step + 3)):
        parts = {} if times is None else {"times": [times[:40], times[40:]]}
        angle = 2 * np.pi * clock[:, None] / np.array([7.0, 365.25])
        expected = np.stack([np.sin(angle), np.cos(angle)], 2).reshape(len(step), 4)
        np.testing.assert_allclose(waves([7, 365.25], **parts), expected, atol=1e-11)  # sin of a large angle
    # what rounding leaves of a constant column would be blown up to deviation 1
    assert not waves(0.25, times=[days[:40], days[40:]])[:, 0].any()
    assert not waves(2)[:, 0].any()


@pytest.mark.parametrize("transformer", CAUSAL, ids=repr)
@given(cut=st.integers(0, 49), seed=st.integers(0, 9))
def test_a_later_step_changes_no_earlier_feature(transformer: Any, cut: int, seed: int) -> None:
    changed = arrays()
    rng = np.random.default_rng(seed)
    changed[2][cut + 1 :] = rng.choice([NAN, -1e9, 0.0], size=changed[2][cut + 1 :].shape)
    before, after = new_of(transformer, series())[2], new_of(transformer, changed)[2]
    np.testing.assert_array_equal(after[: cut + 1], before[: cut + 1])
    shorter = arrays()
    shorter[2] = shorter[2][: cut + 1]
    np.testing.assert_array_equal(new_of(transformer, shorter)[2], before[: cut + 1])


@pytest.mark.parametrize("transformer", [*CAUSAL, SummaryFeatures()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_series_has_the_same_bits_alone_as_among_others(transformer: Any, dtype: type) -> None:
    together = clone(transformer).fit_transform(arrays(dtype))
    for index, array in enumerate(arrays(dtype)):
        alone = clone(transformer).fit_transform([array])
        assert alone[0].tobytes() == together[index].tobytes()
        assert (alone.dtype, alone.train_dtype) == (together.dtype, together.train_dtype) == (dtype, dtype)
        if alone.static is not None and together.static is not None:
            assert alone.static[0].tobytes() == together.static[index].tobytes()
            assert alone.static.dtype == dtype


@pytest.mark.parametrize("transformer", CAUSAL, ids=repr)
def test_no_value_is_missing_at_the_beginning_of_a_series_that_misses_none(transformer: Any) -> None:
    assert not np.isnan(clone(transformer).fit_transform(arrays(missing=0)).values).any()


def test_missing_values_stay_missing_in_differences_and_are_left_out_of_windows() -> None:
    X = [np.array([NAN, 1.0, NAN, 4.0])]
    np.testing.assert_array_equal(Differences().fit_transform(X)[0][:, 1], [NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(LagFeatures().fit_transform(X)[0][:, 1], [NAN, NAN, 1, NAN])
    np.testing.assert_array_equal(RollingStatistics(2, "mean").fit_transform(X)[0][:, 1], [NAN, 1, 1, 4])


@pytest.mark.parametrize("transformer", [*CAUSAL, SummaryFeatures()], ids=repr)
def test_windows_are_transformed_as_copies_would_be_and_keep_their_source(transformer: Any) -> None:
    days = [np.datetime64("2001-01-01") + np.arange(length) for length in LENGTHS]
    whole = series(times=days, groups=list("abcdef"), static=np.arange(6.0), static_names=["height"], time_zone="UTC")
    windows = whole.windows(5, 5, history=3)[::-1]
    found = clone(transformer).fit_transform(windows)
    assert found == clone(transformer).fit_transform(windows.packed())
    for name in ("lengths", "times", "groups"):
        np.testing.assert_array_equal(getattr(found, name), getattr(windows, name))
    for name in ("series", "begins", "history"):
        np.testing.assert_array_equal(getattr(found.source, name), getattr(windows.source, name))
    assert found.time_zone == "UTC"
    np.testing.assert_array_equal(found.values[:, :2], windows.values)
    np.testing.assert_array_equal(np.asarray(found.static)[:, 0], np.asarray(windows.static)[:, 0])


def test_a_summary_is_of_all_observed_steps_and_copies_none() -> None:
    X = series(static=np.arange(6.0))
    found = SummaryFeatures().fit_transform(X)
    assert found.buffer is X.buffer
    assert found.static is not None
    expected = []
    for array in arrays():
        steps = np.arange(len(array))
        columns = []
        for name in ("mean", "std", "min", "max"):
            columns += [np.nan if np.isnan(x).all() else getattr(np, f"nan{name}")(x) for x in array.T]
        for x in array.T:
            seen = ~np.isnan(x)
            flat = 0.0 if seen.any() else np.nan
            columns.append(np.polyfit(steps[seen], x[seen], 1)[0] if seen.sum() > 1 else flat)
        expected.append(columns)
    np.testing.assert_array_equal(found.static[:, 0], np.arange(6.0))
    np.testing.assert_allclose(found.static[:, 1:], expected, rtol=1e-9, atol=1e-9)


def test_catch22_is_asked_for_the_observed_values_of_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Catch22:
        def __init__(self, *, replace_nans: bool) -> None:
            assert replace_nans

        def fit_transform(self, cases: list[np.ndarray]) -> np.ndarray:
            assert all(case.shape[0] == 1 and not np.isnan(case).any() for case in cases)
            return np.array([case.sum() + np.arange(22.0) for case in cases])

    fake = ModuleType("aeon.transformations.collection.feature_based")
    fake.Catch22 = Catch22  # type: ignore[attr-defined]
    for name in ("aeon", "aeon.transformations", "aeon.transformations.collection"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    X = [np.array([[1.0, NAN], [2.0, NAN], [NAN, NAN], [4.0, NAN]]), np.array([[1.0, 2.0], [NAN, 3.0]])]
    summary = SummaryFeatures(["max", "catch22"]).fit(X)
    static = summary.transform(X).static
    assert static is not None
    assert static.shape == (2, 2 + 44)
    np.testing.assert_array_equal(static[0, 2:24], 7 + np.arange(22.0))
    assert np.isnan(static[0, 24:]).all()  # of no value
    assert not static[1, 2:].any()  # of fewer than three
    assert list(summary.get_feature_names_out()[[2, 24]]) == [f"x0:{CATCH22[0]}", f"x1:{CATCH22[0]}"]


def test_catch22_without_aeon_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aeon", None)
    with pytest.raises(MissingDependencyError, match=r"catch22 needs aeon, .* pip install 'throughtime\[datasets\]'"):
        SummaryFeatures("catch22").fit_transform(series())


@pytest.mark.parametrize(
    ("transformer", "new"),
    [
        (Differences(7), ["temp:diff7", "rain:diff7"]),
        (LagFeatures([1, 7]), ["temp:lag1", "rain:lag1", "temp:lag7", "rain:lag7"]),
        (RollingStatistics(7, "max"), ["temp:rolling7_max", "rain:rolling7_max"]),
        (FourierFeatures(365.25), ["fourier365.25_sin", "fourier365.25_cos"]),
    ],
    ids=repr,
)
def test_new_channels_are_named_after_those_they_are_made_of(transformer: Any, new: list[str]) -> None:
    found = transformer.fit_transform(series())
    assert list(found.channel_names) == [*transformer.get_feature_names_out()] == ["temp", "rain", *new]
    unnamed = clone(transformer).fit(arrays())
    expected = [name.replace("temp", "x0").replace("rain", "x1") for name in ("temp", "rain", *new)]
    assert list(unnamed.transform(arrays()).channel_names) == [*unnamed.get_feature_names_out()] == expected
    assert list(unnamed.get_feature_names_out(["temp", "rain"])) == ["temp", "rain", *new]


def test_static_features_keep_their_names_beside_those_of_a_summary() -> None:
    X = series(static=np.arange(6.0), static_names=["height"])
    summary = SummaryFeatures("max")
    assert summary.fit_transform(X).static_names == ("height", "temp:max", "rain:max")
    assert list(summary.get_feature_names_out()) == ["height", "temp:max", "rain:max"]
    unnamed = SummaryFeatures("max").fit(series(static=np.arange(6.0)))
    assert list(unnamed.get_feature_names_out()) == ["static0", "temp:max", "rain:max"]


def test_transformers_of_transformers_go_on() -> None:
    X = RollingStatistics(3, "mean").fit_transform(Differences().fit_transform(series()))
    assert X.channel_names is not None
    assert X.channel_names[4:] == tuple(
        f"{name}:rolling3_mean" for name in ("temp", "rain", "temp:diff1", "rain:diff1")
    )


@pytest.mark.parametrize("transformer", [Differences(), SummaryFeatures()], ids=repr)
def test_every_form_of_x_is_taken(transformer: Any) -> None:
    cube = np.random.default_rng(0).normal(size=(4, 9, 2))
    expected = clone(transformer).fit_transform(Sequences.from_arrays(list(cube)))
    assert clone(transformer).fit_transform(cube) == expected
    assert clone(transformer).set_params(layout="nct").fit_transform(cube.transpose(0, 2, 1)) == expected
    flat = clone(transformer).fit(cube[:, :, 0])
    assert flat.n_features_in_ == 9
    assert flat.transform(cube[:, :, 0]) == clone(transformer).fit_transform(cube[:, :, :1])
    frame = pd.DataFrame(cube[:, :, 0], columns=[f"t{step}" for step in range(9)])
    of_frame = clone(transformer).fit(frame)
    assert of_frame.transform(frame) == flat.transform(cube[:, :, 0])
    assert list(of_frame.get_feature_names_out()) == list(flat.get_feature_names_out())
    with pytest.raises(DataError, match=r"X has 8 features, but .* is expecting 9 features"):
        flat.transform(cube[:, :8, 0])


@pytest.mark.parametrize("transformer", [*CAUSAL, SummaryFeatures()], ids=repr)
def test_a_transformer_is_scikit_learns(transformer: Any) -> None:
    assert clone(transformer).get_params() == transformer.get_params()
    with pytest.raises(NotFittedError):
        clone(transformer).transform(series())
    fitted = clone(transformer).fit(series())
    assert pickle.loads(pickle.dumps(fitted)).transform(series()) == fitted.transform(series())
    assert not hasattr(fitted, "set_output")  # no frame holds ragged series
    given = transformer.get_params()
    assert fitted.get_params() == given


@pytest.mark.parametrize("transformer", [*CAUSAL, SummaryFeatures()], ids=repr)
def test_other_channels_than_in_fit_are_refused(transformer: Any) -> None:
    fitted = clone(transformer).fit(series())
    with pytest.raises(DataError, match="feature names should match those that were passed during fit"):
        fitted.transform(series().replace(channel_names=["rain", "temp"]))
    with pytest.raises(DataError, match=r"X needs the 2 channels that .* was fitted on, got 3"):
        clone(transformer).fit(arrays()).transform([np.zeros((4, 3))])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        fitted.transform(arrays())
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(["a", "b"])
    with pytest.raises(ValueError, match=r"should have length equal to number of features \(2\), got 3"):
        clone(transformer).fit(arrays()).get_feature_names_out(["a", "b", "c"])


def test_times_of_another_kind_than_in_fit_are_refused() -> None:
    days = [np.datetime64("2001-01-01") + np.arange(length) for length in LENGTHS]
    fitted = FourierFeatures(7).fit(series(times=days))
    assert fitted.time_units_ == "days"
    with pytest.raises(DataError, match="X needs dates as times, as FourierFeatures was fitted on, got no times"):
        fitted.transform(series())
    numbers = [np.arange(length) * 1.0 for length in LENGTHS]
    with pytest.raises(DataError, match="got numbers as times"):
        fitted.transform(series(times=numbers))
    with pytest.raises(DataError, match="X needs no times"):
        FourierFeatures(7).fit(series()).transform(series(times=numbers))


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (Differences(0), "Differences needs lags, whole numbers of steps from 1 to .*, got 0"),
        (Differences(True), "got True"),
        (LagFeatures([]), "LagFeatures needs lags, .* got none"),
        (LagFeatures([1, 1]), r"each once, got \[1, 1\]"),
        (LagFeatures("7"), "got '7'"),
        (RollingStatistics(1), "RollingStatistics needs windows, whole numbers of steps from 2 to .*, got 1"),
        (RollingStatistics(7.0), "got 7.0"),
        (RollingStatistics(7, "median"), "RollingStatistics needs words among mean, std, min, max, .* got 'median'"),
        (RollingStatistics(7, None), "got None"),
        (FourierFeatures(-1), "FourierFeatures needs periods, finite numbers above 0, got -1"),
        (SummaryFeatures([]), r"SummaryFeatures needs words among .* got \[\]"),
        (Differences(layout="tnc"), "layout needs 'ntc' .* got 'tnc'"),
    ],
)
def test_parameters_that_make_no_feature_are_refused(transformer: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        transformer.fit(series())


def test_a_name_that_is_taken_is_refused() -> None:
    X = Differences().fit_transform(series())
    with pytest.raises(DataError, match="X needs channels without the name of a feature, got 'temp:diff1'"):
        Differences().fit_transform(X)
    named = series(static=np.zeros(6), static_names=["temp:max"])
    with pytest.raises(DataError, match="X needs static features without the name of a feature, got 'temp:max'"):
        SummaryFeatures("max").fit_transform(named)


def test_what_no_float_holds_is_refused() -> None:
    with pytest.raises(DataError, match=r"X needs finite values .*, got inf at series 1, step 1, channel 'x0:diff1'"):
        Differences().fit_transform([np.zeros(2, np.float32), np.array([-3e38, 3e38], np.float32)])
    with pytest.raises(DataError, match="static needs finite values, got inf at series 0, feature 0"):
        SummaryFeatures("std").fit_transform([np.array([-1e300, 1e300])])


def test_a_summary_is_refused_where_each_step_has_a_target() -> None:
    y = [np.zeros(length) for length in LENGTHS]
    with pytest.raises(DataError, match="SummaryFeatures needs one target per series, got one per step"):
        SummaryFeatures().fit(series(), y)
    SummaryFeatures().fit(series(), np.zeros(6))
