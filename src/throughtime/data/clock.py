"""How even the times of series are: the step that they share, and where steps lack.

A row is one step from the row before when their times are nearer to one step apart than to none or two: months of 28
to 31 days, days of 23 to 25 hours and jitter are all one step. Slots of the week in which no series ever has a time,
such as weekends or nights, are no steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from throughtime.data.sequences import Sequences
from throughtime.errors import DataError
from throughtime.records import Record

_DAY = 86_400.0
_WEEK = 7 * _DAY
_MONTH = 30.436875 * _DAY  # of the Gregorian calendar, on average
_UNITS = (("day", _DAY), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
#: Spans within this factor of each other are taken for the same step.
_ALIKE = 1.1
#: A slot of the week is closed when no series has a time in it in so many calendar weeks. Each counts once however many
#: series there are: what all of them lack at once, an outage, is no closed hour.
_LEAST_WEEKS = 4
#: A series of no more rows is too short to tell its step.
_FEW = 3
#: Of the spans, the fraction that may be no whole number of steps before the times are called irregular.
_MOST_ODD = 0.1


@dataclass(frozen=True)
class Clock(Record):
    """The step that series share.

    Attributes
    ----------
    step
        Seconds between dates; for times that are numbers, in their unit.
    dated
        Whether the times are dates.
    months
        Months of a step that follows the calendar; else 0.
    slot, phase, open_slots
        Seconds of a slot of the week, when slot 0 begins (seconds since 1970, in the series' own time zone), and the
        slots that are in use; ``open_slots`` is empty when all are.
    """

    step: float
    dated: bool
    months: int = 0
    slot: float = 0.0
    phase: float = 0.0
    open_slots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no clock has: a file may hold anything."""
        numbers = (self.step, self.months, self.slot, self.phase, *self.open_slots)
        if not (all(isinstance(number, int | float) for number in numbers) and 0 < self.step < np.inf):
            raise ValueError(f"a clock needs a step above 0, got {self}")
        if self.open_slots and not 0 < self.slot < _WEEK:
            raise ValueError(f"a clock needs slots shorter than a week, got {self}")
        object.__setattr__(self, "open_slots", tuple(self.open_slots))


@dataclass(frozen=True)
class Spacing(Record):
    """How even the times of series are.

    Attributes
    ----------
    step
        In words.
    shortest, median, longest
        Of the spans between one row and the next: seconds between dates, else in the unit of the times.
    n_lacking, lacking
        Steps that have no row, and their fraction of all steps.
    n_series
        Series that were looked at, of windows those that they are of.
    n_uneven
        Series in which a row is not one step from the row before.
    first
        The first of them, and the two times.
    irregular
        Whether the times have no step in common.
    """

    step: str
    shortest: float
    median: float
    longest: float
    n_lacking: int
    lacking: float
    n_series: int
    n_uneven: int
    first: tuple[str, str, str] | None
    irregular: bool


def clock_of(X: Sequences) -> Clock | None:
    """The most frequent step of the series; ``None`` without times, or where no series has two."""
    X = X.stretches()
    spans = _spans(X)
    if spans is None or not len(spans):
        return None
    assert X.times is not None
    dated = X.times.dtype.kind == "M"
    step, varies = _usual(spans)
    months = round(step / _MONTH)
    if dated and varies and months and abs(step - months * _MONTH) < 2.5 * _DAY:
        return Clock(months * _MONTH, dated, months)
    clock = Clock(step, dated)
    return _weekly(X, clock) if dated and step < _WEEK and (_whole(spans / step) > 1).any() else clock


def steps_between(X: Sequences, clock: Clock) -> Int[ndarray, "pair"]:
    """How many steps each row is from the row before in its series; the first row of a series is in no pair."""
    spans = _spans(X)
    assert spans is not None
    steps = _whole(spans / clock.step)
    if clock.open_slots and (steps > 1).any():
        week, slot = np.divmod(_slots(X, clock.slot, clock.phase), round(_WEEK / clock.slot))
        rank = week * len(clock.open_slots) + np.searchsorted(clock.open_slots, slot)
        steps = np.where(steps > 1, np.minimum(steps, np.maximum(_within(X, rank), 1)), steps)
    return steps


def spacing_of(X: Sequences, ids: Sequence[str] | None = None, clock: Clock | None = None) -> Spacing | None:
    """How even the times are, by their own step or that of another clock; ``None`` without two times in a series.

    Of windows each step of their series is looked at once, from one window to the next too.

    Parameters
    ----------
    ids
        What the series are called, of windows those that they are of; their numbers by default.
    """
    return _spacing_of(X.stretches(), ids, clock)


def _spacing_of(X: Sequences, ids: Sequence[str] | None, clock: Clock | None) -> Spacing | None:
    spans, clock = _spans(X), clock or clock_of(X)
    if spans is None or not len(spans) or clock is None:
        return None
    steps = steps_between(X, clock)
    uneven = np.flatnonzero(steps != 1)
    series, numbers = _series_of(X, uneven), _numbers_of(X)
    n_lacking = int((steps[steps > 1] - 1).sum())
    odd = np.abs(spans[uneven] / clock.step - steps[uneven]) > 0.2
    first = None
    if len(uneven):
        index = int(series[0])
        row = int(uneven[0]) + index  # each series before has one row more than it has pairs
        assert X.times is not None
        stamps = [time_text(time, X.time_zone) for time in X.times[row : row + 2]]
        first = (_name(int(numbers[index]), ids), stamps[0], stamps[1])
    return Spacing(
        step=_step_in_words(clock),
        shortest=float(spans.min()),
        median=float(np.median(spans)),
        longest=float(spans.max()),
        n_lacking=n_lacking,
        lacking=n_lacking / (X.n_steps + n_lacking),
        n_series=len(np.unique(numbers)),
        n_uneven=len(np.unique(numbers[series])),
        first=first,
        irregular=bool(odd.sum() > _MOST_ODD * len(spans)),
    )


def check_even(
    X: Sequences, counted: str, clock: Clock | None = None, ids: Sequence[str] | None = None
) -> Clock | None:
    """Refuse times of which a row is not one step from the row before, in a series or window.

    Parameters
    ----------
    counted
        What counts rows as steps, for the message: ``horizon=7``.
    clock
        The step that the rows must have, such as that of the training series; their own by default.
    ids
        What the series are called, of windows those that they are of; their numbers by default.

    Returns
    -------
    The clock; ``None`` for series without times, whose rows are steps.

    Raises
    ------
    DataError
        Naming the first two times, and the cure.
    """
    X = X.stretches(touching=False)  # what lacks between two windows is in none
    usual = clock or clock_of(X)
    spacing = None if usual is None else _spacing_of(X, ids, usual)
    if usual is None or spacing is None or spacing.first is None:
        if clock is not None and X.times is not None:
            _check_open(X, counted, clock, ids)
        return usual
    assert X.times is not None
    dated = X.times.dtype.kind == "M"
    name, before, after = spacing.first
    where = f"{before} and {after}, one after the other in series {name!r}"
    either = "or leave the times out, if rows are what is to be counted"
    uneven = X[_series_of(X, np.flatnonzero(steps_between(X, usual) != 1)[:1])]
    other = clock_of(uneven) if uneven.n_steps > _FEW else None
    if other is not None and _whole(np.float64(other.step / usual.step)) != 1 and not spacing.irregular:
        whose = "elsewhere" if clock is None else "in fit"
        raise DataError(
            f"{counted} counts steps, of {spacing.step} {whose}, got steps of {_step_in_words(other)}: {where}; bring "
            f"all series to one step, {either}"
        )
    if written := _dates_as_numbers(X.times):
        raise DataError(
            f"{counted} counts steps and needs times that are one step apart, got {where}, numbers that look like "
            f'dates; read them as dates, such as pandas.to_datetime(column, format="{written}"), {either}'
        )
    if spacing.irregular:
        low, middle, high = (in_words(span, dated) for span in (spacing.shortest, spacing.median, spacing.longest))
        raise DataError(
            f"{counted} counts steps and needs times that are evenly spaced, got {where} (spans of {low} to {high}, "
            f"median {middle}); bring the series to one step, with empty rows where nothing was observed, {either}"
        )
    if not spacing.n_lacking:
        raise DataError(
            f"{counted} counts steps and needs times that are one step apart, got {where} (the step is "
            f"{spacing.step}); bring the series to one step, {either}"
        )
    raise DataError(
        f"{counted} counts steps and needs times without gaps, got {where} (the step is {spacing.step}; "
        f"{lacking_in_words(spacing)}, in {spacing.n_uneven} of {spacing.n_series} series); add a row for every step "
        f"that is lacking, empty where nothing was observed, {either}"
    )


def _dates_as_numbers(times: Shaped[ndarray, "step"]) -> str | None:
    """``%Y%m%d`` or ``%Y%m`` where all times look like 20240131 or 202401, which skip numbers at the end of a month."""
    if times.dtype.kind == "M" or (times != np.floor(times)).any():
        return None
    for written, last in (("%Y%m%d", 100), ("%Y%m", 1)):
        month, day = np.divmod(times, last)
        year, month = np.divmod(month, 100)
        days = (day >= 1) & (day <= 31) if last > 1 else np.True_
        if ((year >= 1800) & (year < 2200) & (month >= 1) & (month <= 12) & days).all():
            return written
    return None


def _check_open(X: Sequences, counted: str, clock: Clock, ids: Sequence[str] | None) -> None:
    """Refuse a row in a slot of the week that was closed in fit."""
    assert X.times is not None
    if not clock.open_slots or X.times.dtype.kind != "M":
        return
    slots = _slot_numbers(X, clock.slot, clock.phase)
    # between two slots, such as an afternoon between two midnights, a row may be either's
    either = (np.floor(slots + 0.25), np.ceil(slots - 0.25))
    is_open = [np.isin(slot.astype(np.int64) % round(_WEEK / clock.slot), clock.open_slots) for slot in either]
    closed = np.flatnonzero(~(is_open[0] | is_open[1]))
    if len(closed):
        row = int(closed[0])
        number = int(_numbers_of(X)[np.searchsorted(X.offsets, row, "right") - 1])
        time = time_text(X.times[row], X.time_zone)
        raise DataError(
            f"{counted} counts steps, of {_step_in_words(clock)} in fit, and needs times in the part of the week that "
            f"fit knew, got {time} in series {_name(number, ids)!r}; leave such rows out, or "
            "fit on series that have them"
        )


def lacking_in_words(spacing: Spacing) -> str:
    """``16.0% of the steps are lacking``, or how many where that would be next to nothing."""
    if spacing.lacking >= 0.001:
        return f"{spacing.lacking:.1%} of the steps are lacking"
    return "1 step is lacking" if spacing.n_lacking == 1 else f"{spacing.n_lacking} steps are lacking"


def in_words(span: float, dated: bool) -> str:
    """``1 day``, ``15 minutes``; the bare number where times are numbers."""
    if not dated:
        return f"{span:.4g}"
    unit, length = next(((unit, length) for unit, length in _UNITS if span >= length * (1 - 1e-9)), _UNITS[-1])
    number = f"{span / length:.4g}"
    return f"{number} {unit}{'' if number == '1' or unit.endswith('s') else 's'}"


def time_text(time: np.datetime64 | float, zone: str | None = None) -> str:
    """ISO 8601, as short as it is exact, with the mark of UTC where a zone is known; or a number."""
    if not isinstance(time, np.datetime64):
        return f"{float(time):.10g}"
    unit = next(unit for unit in ("D", "s", "ms", "us", "ns") if time.astype(f"M8[{unit}]") == time)
    return str(time.astype(f"M8[{'s' if zone and unit == 'D' else unit}]")) + ("Z" if zone else "")


def _numbers_of(X: Sequences) -> Int[ndarray, "series"]:
    """Which series each is, or is a stretch of."""
    return np.arange(len(X)) if X.source is None else X.source.series


def _name(number: int, ids: Sequence[str] | None) -> str:
    return str(number) if ids is None else ids[number]


def _series_of(X: Sequences, pairs: Int[ndarray, "pair"]) -> Int[ndarray, "pair"]:
    """The series that some pairs of successive rows are in."""
    series: ndarray = np.searchsorted(np.cumsum(X.lengths - 1), pairs, "right")
    return series


def _spans(X: Sequences) -> Float[ndarray, "pair"] | None:
    """From each row to the next in its series: seconds between dates."""
    if X.times is None:
        return None
    spans = _within(X, X.times)
    return spans.astype(np.int64) / 1e9 if spans.dtype.kind == "m" else spans


def _within(X: Sequences, values: Shaped[ndarray, "step"]) -> Shaped[ndarray, "pair"]:
    """Differences of successive values within each series."""
    inside = np.ones(len(values) - 1, dtype=bool)
    inside[X.offsets[1:-1] - 1] = False
    differences: ndarray = np.diff(values)[inside]
    return differences


def _whole(ratio: Float[ndarray, "*any"] | np.float64) -> Int[ndarray, "*any"]:
    """The nearest whole number; half a step too much is a step."""
    return np.floor(ratio + 0.5).astype(np.int64)


def _usual(spans: Float[ndarray, "pair"]) -> tuple[float, bool]:
    """The most frequent span, or the mean of those around it where none prevails, and whether they differ."""
    low, high = float(spans.min()), float(spans.max())
    if low == high:
        return low, False
    ordered = np.sort(spans)
    ends = np.searchsorted(ordered, ordered * _ALIKE, "right")
    begin = int(np.argmax(ends - np.arange(len(ordered))))
    one = ordered[_whole(ordered / np.median(ordered[begin : ends[begin]])) == 1]
    middle = float(np.median(one))
    return middle if (one == middle).mean() > 0.5 else float(one.mean()), bool(one[-1] > one[0])


def _weekly(X: Sequences, clock: Clock) -> Clock:
    """The clock with the slots of the week that are in use, if closed ones explain why steps seem to lack."""
    slot = next(
        (length for length in (clock.step, _DAY) if np.isclose(_WEEK / length, round(_WEEK / length), atol=1e-6)), _DAY
    )
    if clock.step < slot * 0.5:
        return clock
    n_slots = round(_WEEK / slot)
    phase = float(int(_local(X)[0].astype(np.int64)) % int(_WEEK * 1e9)) / 1e9
    slots = _slots(X, slot, phase)
    few = _seldom(slots[X.offsets[:-1]], slots[X.offsets[1:] - 1] + 1, n_slots)
    if len(few) == n_slots:
        return clock
    open_slots = np.union1d(slots % n_slots, few)
    weekly = Clock(clock.step, True, 0, slot, phase, tuple(map(int, open_slots)))
    fewer = (steps_between(X, weekly) > 1).sum() < (steps_between(X, clock) > 1).sum()
    return weekly if fewer and len(open_slots) < n_slots else clock


def _seldom(begins: Int[ndarray, "series"], ends: Int[ndarray, "series"], n_slots: int) -> Int[ndarray, "slot"]:
    """The slots of the week that series cover, together, in too few weeks to call them closed."""
    order = np.argsort(begins, kind="stable")
    begins, reach = begins[order], np.maximum.accumulate(ends[order])
    new = np.concatenate([[True], begins[1:] > reach[:-1]])  # apart from all that began before
    begins, ends = begins[new], reach[np.concatenate([new[1:], [True]])]
    whole, rest = np.divmod(ends - begins, n_slots)
    first = begins % n_slots
    last = first + rest
    # of the weeks begun: up to the week's end, and from its start on
    low = np.concatenate([[0], first, np.zeros_like(first)])
    high = np.concatenate([[0], np.minimum(last, n_slots), np.maximum(last - n_slots, 0)])
    edges = np.unique(np.concatenate([low, high, [n_slots]]))
    up, down = (np.bincount(np.searchsorted(edges, ends), minlength=len(edges)) for ends in (low, high))
    weeks = whole.sum() + np.cumsum(up - down)[:-1]
    pieces = [np.arange(edges[piece], edges[piece + 1]) for piece in np.flatnonzero(weeks < _LEAST_WEEKS)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *pieces])


def _slots(X: Sequences, slot: float, phase: float) -> Int[ndarray, "step"]:
    """The number of each time's slot, from the phase on."""
    return _whole(_slot_numbers(X, slot, phase))


def _slot_numbers(X: Sequences, slot: float, phase: float) -> Float[ndarray, "step"]:
    """Slots from the phase to each time, not rounded."""
    numbers: ndarray = (_local(X).astype(np.int64) - int(phase * 1e9)) / (slot * 1e9)
    return numbers


def _local(X: Sequences) -> Shaped[ndarray, "step"]:
    """Dates in the series' own time zone, in which a week has its nights and weekends."""
    times = X.times
    assert times is not None
    if X.time_zone is None:
        return times
    import pyarrow as pa
    import pyarrow.compute as pc

    local: ndarray = pc.local_timestamp(pa.array(times, pa.timestamp("ns", X.time_zone))).to_numpy()
    return local


def _step_in_words(clock: Clock) -> str:
    if clock.months:
        return "1 month" if clock.months == 1 else f"{clock.months} months"
    step = in_words(clock.step, clock.dated)
    if not clock.open_slots:
        return step
    what = "days" if clock.slot == _DAY else "times"
    return f"{step}, on {len(clock.open_slots)} of {round(_WEEK / clock.slot)} {what} a week"
