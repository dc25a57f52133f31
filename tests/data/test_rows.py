"""Series, and steps with their history, as rows of one length."""

import numpy as np
import pytest

from throughtime.data import Sequences, SeriesRows, StepRows, steps_within

RNG = np.random.default_rng(0)
RAGGED = Sequences.from_arrays([RNG.normal(3, 2, size=(n, 2)) for n in (1, 2, 5, 9, 40, 17)], static=RNG.normal(size=6))
TOLERANCE = 1e-10  # float64; the running sums of 74 scaled steps lose a few digits


def scaled(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return (values - reference.mean(0)) / reference.std(0)


def test_a_series_row_is_the_interpolated_series_its_summaries_and_its_static_features() -> None:
    rows = SeriesRows(summaries=True).fit(RAGGED)
    found = rows.transform(RAGGED)
    assert rows.n_points_ == 7  # the median length
    assert RAGGED.static is not None
    for i, series in enumerate(RAGGED):
        x, n = scaled(series, RAGGED.values), len(series)
        points = [np.interp(np.linspace(0, n - 1, 7), np.arange(n), channel) for channel in x.T]
        slope = np.polyfit(np.arange(n), x, 1)[0] if n > 1 else np.zeros(2)
        summaries = [x.mean(0), x.std(0), x.min(0), x.max(0), x[0], x[-1], slope, [np.log(n)]]
        static = scaled(RAGGED.static[i], RAGGED.static)
        expected = np.concatenate([np.transpose(points).ravel(), *summaries, static])
        np.testing.assert_allclose(found[i], expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_series_of_one_length_keep_their_steps() -> None:
    X = Sequences.from_arrays(RNG.normal(size=(4, 8, 3)))
    found = SeriesRows(summaries=False).fit(X).transform(X)
    expected = scaled(X.values, X.values).reshape(4, 24)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_step_row_is_the_mean_of_the_inputs_in_windows_that_double() -> None:
    every = np.arange(RAGGED.n_steps)
    rows = StepRows().fit(RAGGED, np.flatnonzero(every >= RAGGED.n_steps - 57))  # those of the long series
    assert rows.windows_ == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 7), (8, 15)]
    found = rows.transform(RAGGED, every)
    assert RAGGED.static is not None
    expected = []
    for series, static in zip(RAGGED, RAGGED.static, strict=True):
        x = scaled(series, RAGGED.values)
        for t in range(len(x)):
            parts = [scaled(static, RAGGED.static)]
            for nearest, farthest in rows.windows_:
                parts.append(x[[t - min(lag, t) for lag in range(nearest, max(nearest, min(farthest, t)) + 1)]].mean(0))
            expected.append(np.concatenate(parts))
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert rows.widths_ == [1 + 2 * n for n in (1, 4, 5, 6)]


def test_step_rows_reach_no_farther_than_half_of_the_training_steps_can() -> None:
    X = Sequences.from_arrays(np.zeros((3, 50, 1)))
    for first, last_window in ((0, (16, 31)), (40, (32, 63)), (49, (32, 63))):
        rows = np.concatenate([np.arange(first, 50) + 50 * i for i in range(3)])
        assert StepRows().fit(X, rows).windows_[-1] == last_window
    short = Sequences.from_arrays(np.zeros((3, 2, 1)))
    fitted = StepRows().fit(short, np.arange(6))
    assert fitted.windows_ == [(0, 0)]
    assert fitted.widths_ == [1]


def test_a_row_depends_on_no_other_series() -> None:
    series_rows = SeriesRows(summaries=True).fit(RAGGED)
    whole = series_rows.transform(RAGGED)
    step_rows = StepRows().fit(RAGGED, np.arange(RAGGED.n_steps))
    steps = step_rows.transform(RAGGED, np.arange(RAGGED.n_steps))
    for i in range(len(RAGGED)):
        alone = RAGGED[i : i + 1]
        np.testing.assert_array_equal(series_rows.transform(alone)[0], whole[i])
        # Running sums start elsewhere, so only float64's rounding differs.
        np.testing.assert_allclose(
            step_rows.transform(alone, np.arange(alone.n_steps)),
            steps[RAGGED.offsets[i] : RAGGED.offsets[i + 1]],
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )


def test_a_step_row_looks_at_no_later_step() -> None:
    rows = StepRows().fit(RAGGED, np.arange(RAGGED.n_steps))
    changed = RAGGED.values.copy()
    changed[RAGGED.offsets[4] + 20 :] = 1e6
    before = np.arange(RAGGED.offsets[4] + 20)
    after = rows.transform(Sequences(changed, RAGGED.offsets, static=RAGGED.static), before)
    np.testing.assert_array_equal(rows.transform(RAGGED, before), after)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_missing_value_stands_at_the_training_mean_and_a_channel_without_any_at_zero(dtype: type) -> None:
    values = RNG.normal(5, 1, size=(12, 3)).astype(dtype)
    holes = values.copy()
    holes[4, 0] = np.nan
    holes[:, 2] = np.nan
    filled = holes.copy()
    filled[4, 0] = np.nanmean(holes[:, 0].astype(np.float64))
    offsets = [0, 6, 12]
    rows = SeriesRows(summaries=True).fit(Sequences(holes, offsets))
    found = rows.transform(Sequences(holes, offsets))
    assert np.isfinite(found).all()
    filled[:, 2] = 0
    expected = rows.transform(Sequences(filled, offsets))
    # The mean itself is rounded to the dtype of the values here.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if dtype == np.float32 else TOLERANCE)


def test_a_constant_channel_gives_no_information_rather_than_noise() -> None:
    X = Sequences(np.full((1000, 1), 0.1), [0, 500, 1000])
    assert np.abs(SeriesRows(summaries=False).fit(X).transform(X)).max() < TOLERANCE


def test_steps_are_counted_from_the_start_of_their_series() -> None:
    places = steps_within(RAGGED.lengths)
    np.testing.assert_array_equal(places, np.concatenate([np.arange(len(series)) for series in RAGGED]))
    assert steps_within(np.array([3, 1, 2])).tolist() == [0, 1, 2, 0, 0, 1]
