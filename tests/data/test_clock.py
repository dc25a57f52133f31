"""The step that times share: calendars are even, a row that lacks is found, whatever the rest looks like."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from throughtime.data import Clock, Sequences, check_even, clock_of
from throughtime.data.clock import _seldom, in_words, spacing_of, steps_between, time_text
from throughtime.errors import DataError


def timed(*times: Any, zone: str | None = None) -> Sequences:
    return Sequences.from_arrays([np.zeros(len(own)) for own in times], times=times, time_zone=zone)


def dates(frequency: str, n: int = 60, zone: str | None = None) -> NDArray[Any]:
    index = pd.date_range("2023-01-01", periods=n, freq=frequency, tz=zone)
    return np.asarray(index if zone is None else index.tz_convert("UTC").tz_localize(None))


def only(index: pd.DatetimeIndex, kept: Any) -> NDArray[Any]:
    return np.asarray(index[kept])


def numbered(times: NDArray[Any]) -> NDArray[Any]:
    """Dates as text as numbers: 20240131."""
    return times if times.dtype.kind in "fM" else np.char.replace(times, "-", "").astype(float)


HOURS = pd.date_range("2023-01-01", periods=24 * 70, freq="h")
DAYS = pd.date_range("2023-01-01", periods=200)

#: Times, their zone, and the step in words where it is exact.
EVEN: dict[str, tuple[NDArray[Any], str | None, str]] = {
    "numbers": (np.arange(50), None, "1"),
    "every tenth": (np.arange(0, 500, 10), None, "10"),
    "rounding": (np.arange(100_000, dtype="float32") * np.float32(0.1), None, "0.1"),
    "jitter": (np.arange(500.0) + 0.1 * np.sin(np.arange(500) * np.pi / 2), None, ""),
    "milliseconds": (dates("10ms"), None, "10 ms"),
    "quarter hours": (dates("15min"), None, "15 minutes"),
    "days": (dates("D"), None, "1 day"),
    "weeks": (dates("W"), None, "7 days"),
    "month starts": (dates("MS"), None, "1 month"),
    "month ends": (dates("ME"), None, "1 month"),
    "business month ends": (dates("BME"), None, "1 month"),
    "quarters": (dates("QE"), None, "3 months"),
    "years, a leap year among them": (dates("YS", 9), None, "12 months"),
    "the first and the fifteenth": (dates("SMS"), None, ""),
    "business days": (dates("B"), None, "1 day, on 5 of 7 days a week"),
    "Monday, Wednesday, Friday": (only(DAYS, DAYS.weekday.isin([0, 2, 4])), None, "2 days, on 3 of 7 days a week"),
    "closed on Sundays": (only(DAYS, DAYS.weekday < 6), None, "1 day, on 6 of 7 days a week"),
    "office hours": (
        only(HOURS, (HOURS.hour >= 9) & (HOURS.hour < 17) & (HOURS.weekday < 5)),
        None,
        "1 hour, on 40 of 168 times a week",
    ),
    "days across the change of clocks": (dates("D", 400, "Europe/Berlin"), None, "1 day"),
    "the day before in summer": (dates("B", 300, "Europe/London"), None, "1 day, on 5 of 7 days a week"),
    "months of a zone": (dates("MS", 30, "America/New_York"), "America/New_York", "1 month"),
    "hours across the change of clocks": (dates("h", 9000, "Europe/Berlin"), "Europe/Berlin", "1 hour"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVEN)
def test_calendars_and_jitter_are_even(name: str) -> None:
    times, zone, step = EVEN[name]
    spacing = spacing_of(timed(times, times[3:20], zone=zone))
    assert spacing is not None
    assert (spacing.n_uneven, spacing.n_lacking, spacing.first, spacing.irregular) == (0, 0, None, False)
    assert not step or spacing.step == step


@pytest.mark.parametrize("name", [name for name in EVEN if name != "the day before in summer"])
def test_one_row_that_lacks_is_found_in_every_calendar(name: str) -> None:
    times, zone, step = EVEN[name]
    at = 27 if len(times) > 28 else 4
    spacing = spacing_of(timed(times, np.delete(times, at), times[:9], zone=zone), ids=["a", "b", "c"])
    assert spacing is not None
    assert (spacing.n_lacking, spacing.n_uneven) == (1, 1)
    assert not step or spacing.step == step
    marks = [time_text(time if times.dtype.kind == "M" else float(time), zone) for time in times[[at - 1, at + 1]]]
    assert spacing.first == ("b", *marks)


def test_hours_of_a_zone_follow_its_clocks_only_where_the_zone_is_known() -> None:
    index = pd.date_range("2023-01-02", periods=24 * 300, freq="h", tz="America/New_York")
    index = index[(index.hour >= 9) & (index.hour < 17) & (index.weekday < 5)].tz_convert("UTC").tz_localize(None)
    known, unknown = (spacing_of(timed(np.asarray(index), zone=zone)) for zone in ("America/New_York", None))
    assert known is not None
    assert unknown is not None
    assert known.n_uneven == 0
    assert unknown.n_uneven == 1  # refused, not taken for regular


@given(
    n=st.integers(20, 80),
    lacking=st.sets(st.integers(1, 18), min_size=1, max_size=6),
    step=st.sampled_from([1.0, 0.1, 86_400.0, 7.5]),
    dated=st.booleans(),
)
def test_steps_are_counted_as_rows_were_deleted(n: int, lacking: set[int], step: float, dated: bool) -> None:
    times: NDArray[Any] = np.arange(n) * step
    if dated:
        times = np.datetime64("2023-01-01", "ns") + (times * 1e9).round().astype("m8[ns]")
    kept = np.delete(np.arange(n), list(lacking))
    X = timed(times, times[kept])
    clock = clock_of(X)
    assert clock is not None
    assert clock.step == pytest.approx(step, rel=1e-6)
    np.testing.assert_array_equal(steps_between(X, clock), np.concatenate([np.ones(n - 1), np.diff(kept)]))
    spacing = spacing_of(X)
    assert spacing is not None
    assert spacing.n_lacking == len(lacking)
    assert spacing.lacking == pytest.approx(len(lacking) / (2 * n))


def test_a_share_of_lacking_rows_is_measured() -> None:
    rng = np.random.default_rng(0)
    X = timed(*(dates("D", 160)[rng.random(160) > 0.15] for _ in range(20)))
    spacing = spacing_of(X)
    assert spacing is not None
    assert spacing.n_uneven == 20
    assert spacing.lacking == pytest.approx(0.15, abs=0.01)


def test_selections_and_windows_have_the_spacing_of_their_own_rows() -> None:
    X = timed(np.arange(40.0), np.delete(np.arange(40.0), 20))
    assert spacing_of(X[:1]).n_uneven == 0  # type: ignore[union-attr]
    assert spacing_of(X[[1, 0]]).first == ("0", "19", "21")  # type: ignore[union-attr]
    windows = X.windows(10, 5)
    # of the second series windows from row 15 on to row 19 hold the gap
    assert spacing_of(windows).n_uneven == 1  # type: ignore[union-attr]
    check_even(windows[:7], "horizon=1")


def test_windows_are_spaced_as_the_series_that_they_are_of_and_named_by_it() -> None:
    X = timed(np.arange(40.0), np.delete(np.arange(60.0), [20, 21, 30]))
    whole = spacing_of(X, ["a", "b"])
    assert whole is not None
    assert whole.first == ("b", "19", "22")
    for length, stride in ((10, 10), (10, 5), (10, 1), (3, 3)):  # of the series of 57 the last steps fill no window
        windows = X.windows(length, stride)
        end = (57 - length) // stride * stride + length
        covered = spacing_of(X.cut([0, 1], [0, 0], [40 if length == 10 else 39, end]), ["a", "b"])
        for some in (windows, windows[::-1]):
            assert spacing_of(some, ["a", "b"]) == covered
    assert (whole.n_series, whole.n_uneven, whole.n_lacking) == (2, 1, 3)


def test_what_lacks_between_two_windows_is_a_gap_of_their_series_and_not_of_what_counts_steps() -> None:
    X = timed(np.delete(np.arange(40.0), [20, 21]))
    between, within = X.windows(10, 10), X.windows(8, 8)
    assert spacing_of(between).n_lacking == spacing_of(within).n_lacking == 2  # type: ignore[union-attr]
    assert check_even(between, "horizon=1") is not None
    with pytest.raises(DataError, match=r"got 19 and 22, one after the other in series 'river' .* in 1 of 1 series"):
        check_even(within, "horizon=1", ids=["river"])


def test_series_without_two_times_have_no_clock() -> None:
    assert clock_of(Sequences.from_arrays([[1.0, 2.0]])) is None
    assert clock_of(timed([3.0], [5.0])) is None
    assert spacing_of(timed([3.0], [5.0])) is None
    assert check_even(timed([3.0], [5.0]), "horizon=1") is None


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (
            [dates("D", 30), np.delete(dates("D", 30), 10)],
            "horizon=7 counts steps and needs times without gaps, got 2023-01-10 and 2023-01-12, one after the "
            "other in series 'b' (the step is 1 day; 1.7% of the steps are lacking, in 1 of 2 series); add a row "
            "for every step that is lacking, empty where nothing was observed, or leave the times out, if "
            "rows are what is to be counted",
        ),
        (
            [np.arange(100.0), np.cumsum(np.random.default_rng(1).exponential(size=300))],
            "horizon=7 counts steps and needs times that are evenly spaced, got",
        ),
        (
            [dates("h", 200), dates("D", 8)],
            "horizon=7 counts steps, of 1 hour elsewhere, got steps of 1 day: 2023-01-01 and 2023-01-02, one after the "
            "other in series 'b'; bring all series to one step",
        ),
        (
            [np.arange(100.0), np.sort(np.append(np.arange(100.0), 5.2))],
            "horizon=7 counts steps and needs times that are one step apart, got 5 and 5.2, one after the other in "
            "series 'b' (the step is 1); bring",
        ),
        (
            [only(DAYS, slice(40)).astype("M8[D]").astype(str), only(DAYS, slice(9)).astype("M8[D]").astype(str)],
            "one step apart, got 20230131 and 20230201, one after the other in series 'a', numbers that look like "
            'dates; read them as dates, such as pandas.to_datetime(column, format="%Y%m%d"), or leave',
        ),
        (
            [dates("MS", 30).astype("M8[M]").astype(str), dates("MS", 3).astype("M8[M]").astype(str)],
            'got 202312 and 202401, one after the other in series \'a\', numbers that look like dates; read them as '
            'dates, such as pandas.to_datetime(column, format="%Y%m"), or',
        ),
    ],
)  # fmt: skip
def test_uneven_times_are_refused_by_the_first_and_with_the_cure(times: list[NDArray[Any]], told: str) -> None:
    with pytest.raises(DataError) as error:
        check_even(timed(*(numbered(own) for own in times)), "horizon=7", ids=["a", "b"])
    assert told in str(error.value)


def test_the_step_of_another_clock_is_asked_of_every_series() -> None:
    days = check_even(timed(dates("D")), "horizon=7")
    assert days == Clock(86_400.0, True)
    assert check_even(timed(dates("D", 9)), "horizon=7", days) is days
    with pytest.raises(
        DataError, match=r"steps, of 1 day in fit, got steps of 1 hour: 2023-01-01 and 2023-01-01T01:00:00"
    ):
        check_even(timed(dates("h")), "horizon=7", days)
    office = check_even(timed(dates("B", 100)), "horizon=7")
    check_even(timed(dates("B", 10)), "horizon=7", office)  # too few to tell a weekend from a gap by themselves
    with pytest.raises(DataError, match="without gaps"):
        check_even(timed(dates("B", 10)), "horizon=7", days)


OUTAGE = np.delete(dates("h", 168), range(50, 55))
NO_THIRD = np.delete(dates("D", 9), 2)


@pytest.mark.parametrize("series", [[OUTAGE] * 8, [NO_THIRD] * 20, [OUTAGE[5:], OUTAGE[:-5], OUTAGE[20:]] * 3])
def test_what_all_series_lack_in_one_week_is_a_gap_however_many_they_are(series: list[NDArray[Any]]) -> None:
    for clock in (None, clock_of(timed(*series))):
        with pytest.raises(DataError, match=rf"without gaps, .* in {len(series)} of {len(series)} series"):
            check_even(timed(*series), "horizon=6", clock)


@given(
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=8), n_slots=st.integers(2, 9)
)
def test_weeks_that_cover_a_slot_are_counted_once(spans: list[tuple[int, int]], n_slots: int) -> None:
    begins, lengths = np.array(spans).T
    covered = {slot for begin, length in spans for slot in range(begin, begin + length)}
    weeks = np.bincount([slot % n_slots for slot in covered], minlength=n_slots)
    np.testing.assert_array_equal(_seldom(begins, begins + lengths, n_slots), np.flatnonzero(weeks < 4))


def test_weekends_are_known_from_short_series_of_several_weeks() -> None:
    business = dates("B", 40)
    pieces = [business[start : start + 6] for start in range(0, 35, 5)]
    assert clock_of(timed(*pieces)) == clock_of(timed(business))
    assert clock_of(timed(*pieces[:1] * 9)).open_slots == ()  # type: ignore[union-attr]


def test_a_row_when_the_week_of_fit_was_closed_is_refused() -> None:
    office = check_even(timed(dates("B", 100)), "horizon=5")
    with pytest.raises(DataError, match=r"on 5 of 7 days a week in fit, .* got 2023-01-07 in series 'b'; leave such"):
        check_even(timed(dates("B", 4), dates("D", 9)[1:]), "horizon=5", office, ids=["a", "b"])
    for times in (dates("D", 1), dates("D", 7)[5:]):  # one row, which has no step; Friday and Saturday
        with pytest.raises(DataError, match=r"fit knew, got 2023-01-0[17]"):
            check_even(timed(times), "horizon=5", office)
    hour = np.timedelta64(1, "h")
    check_even(timed(dates("B", 30) + 12 * hour), "horizon=5", office)  # at another time of the same days
    check_even(timed(dates("B", 30) - hour), "horizon=5", office)
    with pytest.raises(DataError, match="fit knew, got 2023-01-06T23:00:00 "):
        check_even(timed(dates("D", 9)[1:] - hour), "horizon=5", office)


def test_spans_and_times_are_said_as_short_as_they_are_exact() -> None:
    assert [in_words(span, True) for span in (1.0, 60.0, 5400.0, 86_400.0, 0.25)] == [
        "1 second", "1 minute", "1.5 hours", "1 day", "250 ms",
    ]  # fmt: skip
    assert in_words(86_400.0, False) == "8.64e+04"
    stamp = np.datetime64("2023-01-01T00:00:00.000000000")
    assert [time_text(stamp), time_text(stamp, "UTC"), time_text(stamp + 1)] == [
        "2023-01-01", "2023-01-01T00:00:00Z", "2023-01-01T00:00:00.000000001",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "broken", [{"step": 0.0}, {"step": "1"}, {"step": 1.0, "open_slots": [1]}, {"step": float("inf")}]
)
def test_a_clock_that_cannot_be_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a clock needs"):
        Clock(**{"dated": True, **broken})
