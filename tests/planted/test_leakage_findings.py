"""What ``leakage_report`` finds: each check fires on its planted fault and is silent on the control, seed by seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from numpy.random import Generator
from sklearn.model_selection import GroupKFold, KFold

from throughtime import PurgedTimeSeriesSplit, leakage_report
from throughtime.data import Sequences, concatenate, load_dataset

SEEDS = range(20)
N_GROUPS, PER_GROUP, LENGTH = 8, 6, 40
GROUPS = np.repeat(np.arange(N_GROUPS), PER_GROUP)
N = len(GROUPS)
BY_GROUP = GroupKFold(4)

Case = tuple[Sequences, dict[str, Any]]


def smooth(rng: Generator, n_steps: int, n_channels: int = 3) -> ndarray:
    """A stationary recording: each step keeps 9/10 of the one before."""
    x = rng.normal(size=(n_steps, n_channels))
    for step in range(1, n_steps):
        x[step] = 0.9 * x[step - 1] + 0.435 * x[step]
    return x


def recordings(rng: Generator) -> list[ndarray]:
    return [smooth(rng, int(length)) for length in rng.integers(LENGTH, LENGTH + 5, N)]


def with_channel(rng: Generator, channel: Callable[[Generator, ndarray, ndarray], Any]) -> Case:
    """Recordings with one more channel, made for all steps from their series and their place in it."""
    arrays = recordings(rng)
    lengths = [len(x) for x in arrays]
    series, step = np.repeat(np.arange(N), lengths), np.concatenate([np.arange(n) for n in lengths])
    values = np.column_stack([np.concatenate(arrays), channel(rng, series, step)])
    return Sequences(values, np.cumsum([0, *lengths])), {"cv": BY_GROUP, "groups": GROUPS}


def duplicates(rng: Generator, fault: bool) -> Case:
    X = Sequences.from_arrays(recordings(rng))
    X = concatenate([X, X[rng.choice(N, 2, replace=False)]])
    again = [*range(N), *range(N)][: len(X)]
    if not fault:
        again[N:] = [int(np.flatnonzero([np.array_equal(X[i], X[j]) for j in range(N)])[0]) for i in (N, N + 1)]
    return X, {"cv": GroupKFold(4), "groups": np.arange(len(X)) if fault else np.asarray(again)}


def overlapping_targets(rng: Generator, fault: bool) -> Case:
    windows = Sequences.from_arrays([smooth(rng, 400) for _ in range(4)]).windows(40, stride=20)
    recording = np.arange(len(windows)) // (len(windows) // 4)
    y = rng.integers(0, 2, len(windows))
    return windows, {
        "y": y,
        "cv": KFold(4, shuffle=True, random_state=0) if fault else GroupKFold(4),
        "groups": None if fault else recording,
    }


def overlapping_inputs(rng: Generator, fault: bool) -> Case:
    windows = Sequences.from_arrays([smooth(rng, 800)], times=[np.arange(800)]).windows(40, stride=20)
    y = rng.normal(size=(windows.n_steps, 1))
    y.reshape(-1, 40)[:, :20] = np.nan  # the first half of each window is history
    return windows, {"y": Sequences(y, windows.offsets), "cv": KFold(4) if fault else PurgedTimeSeriesSplit(4)}


def shared_groups(rng: Generator, fault: bool) -> Case:
    by_chance = [*KFold(4, shuffle=True, random_state=0).split(GROUPS)]
    return Sequences.from_arrays(recordings(rng)), {"cv": by_chance if fault else BY_GROUP, "groups": GROUPS}


def shared_times(rng: Generator, fault: bool) -> Case:
    arrays = recordings(rng)
    year = rng.permutation(np.arange(N) % 12) if fault else np.arange(N) // 12
    times = [np.datetime64("2000-01-01") + 366 * int(y) + np.arange(len(x)) for y, x in zip(year, arrays, strict=True)]
    return Sequences.from_arrays(arrays, times=times), {"cv": KFold(4)}


def near_duplicates(rng: Generator, fault: bool) -> Case:
    arrays = recordings(rng)
    noise = 0.02 if fault else 0.3
    again = [arrays[i] + noise * rng.normal(size=arrays[i].shape) for i in rng.choice(N, 4, replace=False)]
    return Sequences.from_arrays(arrays + again), {"cv": KFold(4)}


def constant_channel(rng: Generator, fault: bool) -> Case:
    noise = 0.0 if fault else 1.0
    return with_channel(rng, lambda rng, series, step: GROUPS[series] + noise * rng.normal(size=len(step)))


def telling_channel(rng: Generator, fault: bool) -> Case:
    """The row in the file, against the step in the series."""
    return with_channel(rng, lambda _, series, step: step + 100.0 * series * fault)


PLANTED = {
    "GEN001": duplicates,
    "GEN002": overlapping_targets,
    "GEN003": overlapping_inputs,
    "GEN004": shared_groups,
    "GEN005": shared_times,
    "GEN006": near_duplicates,
    "GEN007": constant_channel,
    "GEN008": telling_channel,
}


def found(X: Any, **options: Any) -> set[str]:
    return {finding.code for finding in leakage_report(X, **options) if finding.verdict == "found"}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_leak_is_found(code: str) -> None:
    missed = []
    for seed in SEEDS:
        X, options = PLANTED[code](np.random.default_rng(seed), True)
        if code not in found(X, **options):
            missed.append(seed)
    assert missed == []


@pytest.mark.parametrize("code", PLANTED)
def test_nothing_is_found_on_the_control(code: str) -> None:
    for seed in SEEDS:
        X, options = PLANTED[code](np.random.default_rng(seed), False)
        assert found(X, **options) == set(), seed


#: What a channel is in the steps of all series, of which step each is and of which series: the check that finds it.
TELLING: dict[str, tuple[str, Callable[[Generator, ndarray, ndarray], ndarray]]] = {
    "an id": ("GEN008", lambda _, series, step: series + 0.0 * step),
    "a shuffled id": ("GEN008", lambda rng, series, _: rng.permutation(N)[series]),
    "seconds": ("GEN008", lambda rng, series, step: 1.7e9 + 86400.0 * rng.permutation(N)[series] + 60 * step),
    "a row number that falls": ("GEN008", lambda _, series, step: -50.0 * series - step),
    "an age": ("GEN007", lambda rng, series, _: rng.integers(20, 80, N)[series]),
    "a weight": ("GEN007", lambda rng, series, _: rng.normal(70, 10, N)[series]),
}


@pytest.mark.parametrize("kind", TELLING)
def test_a_channel_that_tells_series_apart_is_found(kind: str) -> None:
    code, channel = TELLING[kind]
    for seed in SEEDS:
        X, options = with_channel(np.random.default_rng(seed), channel)
        assert code in found(X, **options), seed


@pytest.mark.parametrize("stride", [10, 20, 40])
def test_a_row_number_is_found_in_windows_however_they_overlap(stride: int) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x = np.column_stack([smooth(rng, 1000), np.arange(1000)])
        windows = Sequences.from_arrays([x]).windows(40, stride=stride)
        assert "GEN008" in found(windows[rng.permutation(len(windows))], cv=PurgedTimeSeriesSplit(4)), seed


def test_the_remedy_names_the_channel() -> None:
    X, options = telling_channel(np.random.default_rng(0), True)
    finding = leakage_report(X.replace(channel_names=["a", "b", "c", "row"]), **options)[7]
    assert (finding.code, finding.severity, finding.measured) == ("GEN008", "warning", 1.0)
    assert finding.detail == "channel 'row' has a range of its own in all series"


def test_how_many_series_meet_others_is_said() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(20, 1)) for _ in range(240)]
    apart = [arrays[0] + 100, *arrays[1:]]
    said = [leakage_report(X, np.arange(240.0), cv=3)[7].detail for X in (arrays, apart)]
    assert said == [f"in every channel {which} meet others" for which in ("all series", "99% of the series or more")]


#: Season, trend, a level of its own for each series (daily variation around it), a count, on from some step on.
CLEAN_CHANNELS: dict[str, Callable[[Generator, ndarray, ndarray], ndarray]] = {
    "season": lambda rng, series, step: np.sin(2 * np.pi * (step / 12 + rng.uniform(size=N)[series])),
    "trend": lambda rng, series, step: (rng.normal(size=N) + rng.normal(0.05, 0.01, N) * step[:, None])[
        np.arange(len(step)), series
    ],
    "weight": lambda rng, series, step: rng.normal(70, 12, N)[series] + rng.normal(0, 0.6, len(step)),
    "count": lambda rng, _, step: rng.poisson(0.3, len(step)).cumsum() % 30,
    "treatment": lambda rng, series, step: 1.0 * (step >= rng.integers(0, LENGTH, N)[series]),
}


@pytest.mark.parametrize("kind", CLEAN_CHANNELS)
def test_nothing_is_found_in_clean_channels(kind: str) -> None:
    for seed in SEEDS:
        X, options = with_channel(np.random.default_rng(seed), CLEAN_CHANNELS[kind])
        assert found(X, **options) == set(), seed


@pytest.mark.parametrize("name", ["basic-motions", "japanese-vowels", "spoken-digits", "watch", "digits-pixels"])
def test_nothing_is_found_in_clean_data(name: str) -> None:
    data = load_dataset(name, "train")
    cv = KFold(5, shuffle=True, random_state=0) if data.groups is None else GroupKFold(5)
    assert found(data.X, y=data.y, groups=data.groups, cv=cv) == set()
