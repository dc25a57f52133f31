"""Each check of ``leakage_report`` finds its planted leak, measures it, and is silent on the control."""

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold

from throughtime import PurgedTimeSeriesSplit, leakage_report
from throughtime.data import Sequences, concatenate
from throughtime.generalization import Finding

RNG = np.random.default_rng(11)
N = 40
CLEAN = Sequences.from_arrays([RNG.normal(size=(12 + i % 3, 2)) for i in range(N)])
HALVES = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]


def by_code(*arguments: Any, **options: Any) -> dict[str, Finding]:
    report = leakage_report(*arguments, **options)
    assert [finding.code for finding in report] == [f"GEN00{number}" for number in range(1, 9)]
    return {finding.code: finding for finding in report}


def found(report: dict[str, Finding]) -> set[str]:
    return {code for code, finding in report.items() if finding.verdict == "found"}


@pytest.mark.parametrize("cv", [None, 4, KFold(3, shuffle=True, random_state=0), HALVES])
def test_series_that_have_nothing_in_common_are_clear(cv: Any) -> None:
    report = by_code(CLEAN, np.arange(N) % 2, cv=cv)
    assert found(report) == set()
    assert [report[code].verdict for code in ("GEN001", "GEN002", "GEN006")] == ["clear"] * 3
    assert [report[code].verdict for code in ("GEN004", "GEN005")] == ["not applicable"] * 2
    assert report["GEN004"].measured is None
    assert report["GEN004"].detail == "there are no groups that folds are to keep whole"


def test_copies_on_both_sides_are_duplicates_and_their_share_is_measured() -> None:
    X = concatenate([CLEAN[:35], CLEAN[:5]])  # series 35 to 39 are 0 to 4 again
    finding = by_code(X, cv=HALVES)["GEN001"]
    assert (finding.verdict, finding.severity, finding.measured, finding.threshold) == ("found", "error", 0.25, 0.0)
    assert finding.detail.startswith("25.0% of the test series of fold 1 of 2")
    assert finding.remedy
    together = [(np.r_[5:35], np.r_[0:5, 35:40])]  # both copies are tested
    assert by_code(X, cv=together)["GEN001"].verdict == "clear"


def test_equal_steps_beside_other_static_features_are_no_duplicates() -> None:
    x = np.zeros((4, 3, 1)) + np.arange(4)[:, None, None] % 2
    steps = Sequences(x.reshape(-1, 1), np.arange(5) * 3)
    assert by_code(steps, cv=2)["GEN001"].verdict == "found"
    assert by_code(steps.replace(static=np.arange(4.0)), cv=2)["GEN001"].verdict == "clear"


LONG = Sequences.from_arrays([RNG.normal(size=(240, 2))], times=[np.arange(240.0)])


def test_windows_with_a_label_each_leak_by_the_steps_they_share() -> None:
    X = LONG.windows(20, stride=10)  # each shares half with either neighbor
    n = len(X)
    halves = [(np.arange(n // 2), np.arange(n // 2, n))]
    finding = by_code(X, np.arange(n) % 2, cv=halves)["GEN002"]
    # one window of the test side shares 10 of its 20 steps
    assert finding.measured == pytest.approx(10 / (20 * (n - n // 2)))
    assert finding.verdict == "found"
    purged = by_code(X, np.arange(n) % 2, cv=PurgedTimeSeriesSplit(3))
    assert found(purged) == set()


def test_a_shared_burn_in_is_no_leak_of_targets() -> None:
    X = LONG.windows(20, stride=10)
    y = Sequences(X.values[:, :1].copy(), X.offsets)
    halves = [(np.arange(0, 11), np.arange(11, 22))]
    assert by_code(X, y, cv=halves)["GEN002"].verdict == "found"
    report = by_code(X, y, cv=halves, burn_in=10)  # the last 10 steps of each window count, no two windows' the same
    assert report["GEN002"].verdict == "clear"
    assert (report["GEN003"].verdict, report["GEN003"].severity) == ("found", "note")
    assert report["GEN003"].measured == pytest.approx(10 / (20 * 11))
    unobserved = y.values.copy()
    unobserved.reshape(-1, 20)[:, :10] = np.nan
    by_nan = by_code(X, Sequences(unobserved, X.offsets), cv=halves)
    assert by_nan["GEN002"].verdict == "clear"
    assert by_nan["GEN003"].measured == report["GEN003"].measured


def test_copies_of_windows_are_known_by_time_and_value() -> None:
    views = LONG.windows(20, stride=10)
    starts = np.arange(0, 221, 10)
    copies = Sequences.from_arrays([*views], times=[np.arange(start, start + 20.0) for start in starts])
    halves = [(np.arange(11), np.arange(11, len(views)))]
    assert by_code(copies, cv=halves)["GEN002"].measured == by_code(views, cv=halves)["GEN002"].measured > 0
    others = Sequences.from_arrays([x + i for i, x in enumerate(views)], times=[np.arange(s, s + 20.0) for s in starts])
    assert by_code(others, cv=halves)["GEN002"].verdict == "clear"


def test_a_group_on_both_sides_is_found_and_whole_groups_are_clear() -> None:
    groups = np.arange(N) // 2
    shifted = [(np.arange(21, 40), np.arange(21))]
    finding = by_code(CLEAN, groups=groups, cv=shifted)["GEN004"]
    assert (finding.verdict, finding.measured) == ("found", pytest.approx(1 / 21))
    assert by_code(CLEAN.replace(groups=groups), cv=GroupKFold(4))["GEN004"].verdict == "clear"


def test_times_on_both_sides_are_found_in_steps_or_series() -> None:
    dated = Sequences.from_arrays([*CLEAN], times=[np.arange(len(x)) + 100.0 * (i % 20) for i, x in enumerate(CLEAN)])
    assert by_code(dated, cv=HALVES)["GEN005"].measured > 0.9
    years = np.repeat([1980, 1981], 20)
    assert by_code(CLEAN, time=years, cv=HALVES)["GEN005"].verdict == "clear"
    finding = by_code(CLEAN, time=np.repeat([1980, 1981], [21, 19]), cv=HALVES)["GEN005"]
    assert (finding.verdict, finding.measured) == ("found", 1.0)  # of fold 0, all 20 test series of 1980


@pytest.mark.parametrize(("noise", "verdict"), [(0.02, "found"), (0.2, "clear")])
def test_a_recording_of_the_same_thing_is_found_up_to_five_percent_of_noise(noise: float, verdict: str) -> None:
    again = Sequences.from_arrays([x + noise * RNG.normal(size=x.shape) for x in CLEAN[:4]])
    X = concatenate([CLEAN[:36], again])
    finding = by_code(X, cv=HALVES)["GEN006"]
    assert finding.verdict == verdict
    assert finding.measured == (0.2 if verdict == "found" else 0.0)
    assert by_code(X, cv=HALVES)["GEN001"].verdict == "clear"


def test_folds_that_scikit_learn_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="Cannot have number of splits n_splits=50"):
        leakage_report(CLEAN, cv=50)


def test_times_that_begin_anew_with_every_series_are_no_times_they_share() -> None:
    counted = Sequences.from_arrays([*CLEAN], times=[np.arange(len(x)) for x in CLEAN])
    finding = by_code(counted, cv=HALVES)["GEN005"]
    assert (finding.verdict, finding.measured) == ("not applicable", None)
    dates = [np.datetime64("2023-01-01") + np.arange(len(x)) for x in CLEAN]
    assert by_code(Sequences.from_arrays([*CLEAN], times=dates), cv=HALVES)["GEN005"].measured > 0.9


def test_windows_of_series_that_count_from_their_start_share_no_times() -> None:
    counted = Sequences.from_arrays([*CLEAN], times=[np.arange(len(x)) for x in CLEAN])
    folds = GroupKFold(4)

    def verdict(X: Sequences) -> str:
        windows = X.windows(5, 3)
        assert windows.source is not None
        return by_code(windows, groups=windows.source.series, cv=folds)["GEN005"].verdict

    assert verdict(counted) == verdict(counted[::-1]) == "not applicable"
    # a clock that all share, in which some begin later
    shifted = [np.arange(len(x)) + 3.0 * (i % 4) for i, x in enumerate(CLEAN)]
    assert verdict(Sequences.from_arrays([*CLEAN], times=shifted)) == "found"
    one = Sequences(np.zeros((60, 1)), [0, 60], times=np.arange(60)).windows(5, 3)
    assert by_code(concatenate([one, one]), cv=3)["GEN005"].verdict == "found"


def with_daily_channel(level: Any) -> Sequences:
    """Hourly series with a channel that changes by the day."""
    rng, day = np.random.default_rng(0), np.repeat(np.arange(12), 24)
    return Sequences.from_arrays([np.column_stack([rng.normal(size=len(day)), level(i, day)]) for i in range(6)])


def test_what_rests_within_windows_but_not_within_their_series_is_not_found_constant() -> None:
    holidays, person = (
        with_daily_channel(level) for level in (lambda i, day: (day + i) % 7 > 4, lambda i, day: 0 * day + i % 2)
    )
    for X, verdict, detail in ((holidays, "clear", "every channel"), (person, "found", "within each of 6 series")):
        finding = by_code(X.windows(24), cv=3)["GEN007"]
        assert finding.verdict == by_code(X, cv=3)["GEN007"].verdict == verdict
        assert detail in finding.detail
    assert by_code(holidays[:1].windows(24), cv=3)["GEN007"].detail == "a single series"


def test_windows_of_recordings_that_rest_are_no_duplicates_but_those_of_a_recording_that_is_there_twice_are() -> None:
    rng, moves = np.random.default_rng(0), np.arange(300) % 100 >= 50
    X = Sequences.from_arrays([np.where(moves, rng.normal(size=300), 0)[:, None] for _ in range(6)])
    windows = X.windows(20, 20)
    assert windows.source is not None
    finding = by_code(windows, groups=windows.source.series, cv=GroupKFold(6))["GEN001"]
    assert (finding.verdict, finding.measured) == ("clear", 0.0)
    again = concatenate([X, X[:1]]).packed().windows(20, 20)
    finding = by_code(again, groups=again.source.series, cv=GroupKFold(7))["GEN001"]  # type: ignore[union-attr]
    # of 15 windows of the copied recording these are not half at rest
    moving = sum(np.count_nonzero(np.diff(x[:, 0])) >= 9.5 for x in windows[:15])
    assert finding.measured == moving / 15 > 0.5
    assert by_code(concatenate([X, X[:1]]), cv=GroupKFold(7), groups=np.arange(7))["GEN001"].measured == 1.0


def test_short_windows_that_are_alike_by_chance_are_not_nearly_identical_but_noisy_copies_of_a_recording_are() -> None:
    rng = np.random.default_rng(0)
    slopes = Sequences.from_arrays([np.convolve(rng.normal(size=430), np.hanning(31), "valid") for _ in range(8)])

    def measured(X: Sequences) -> float | None:
        windows = X.windows(4, 2)
        assert windows.source is not None
        return by_code(windows, groups=windows.source.series, cv=GroupKFold(len(X)))["GEN006"].measured

    assert measured(slopes) == 0
    again = Sequences.from_arrays([x + 0.02 * x.std() * rng.normal(size=x.shape) for x in slopes[:1]])
    assert measured(concatenate([slopes, again])) == 1


def test_a_check_that_takes_too_long_is_not_made_and_says_so() -> None:
    times = [np.arange(len(x)) + 100.0 * (i % 20) for i, x in enumerate(CLEAN)]
    X = Sequences.from_arrays([*CLEAN], times=times, groups=np.arange(N) // 2)
    n = X.n_steps
    work = {"GEN001": 2 * N, "GEN002": 2.2 * n, "GEN003": 2.2 * n, "GEN004": 2 * N, "GEN005": 1.2 * n}
    work |= {"GEN006": 0.5 * N**2, "GEN007": 2 * n, "GEN008": 2 * n}
    whole = by_code(X, cv=HALVES)
    for most in (0, 2 * N, 0.5 * N**2, 1.2 * n, 2 * n, 2.2 * n):
        report = by_code(X, cv=HALVES, most_work=most)
        for code, finding in report.items():
            if work[code] <= most:
                assert finding == whole[code]
            else:
                assert finding.verdict == "not applicable"
                assert finding.detail.startswith("not looked for: it takes looks at")


def test_series_of_the_same_days_that_agree_now_and_then_share_no_steps() -> None:
    days = np.datetime64("2023-01-01") + np.arange(60)
    arrays = [RNG.integers(0, 3, size=(60, 1)).astype(float) for _ in range(20)]
    arrays[3][10:40] = arrays[17][10:40] = 0.0  # nothing sold for a month
    X = Sequences.from_arrays(arrays, times=[days] * 20)
    assert by_code(X, cv=5)["GEN002"].verdict == "clear"
    again = concatenate([X, X[:1]])
    assert by_code(again, cv=[(np.arange(20), np.array([20]))])["GEN002"].measured == 1.0


@pytest.mark.parametrize("stride", [3, 5, 10])
def test_copies_of_windows_share_what_the_windows_share(stride: int) -> None:
    views = LONG.windows(20, stride)
    for seed, cv in ((0, 2), (1, 7), (2, 2), (3, 7), (4, 2), (5, 7)):
        views = views[np.random.default_rng(seed).permutation(len(views))]
        copies = Sequences.from_arrays([*views], times=[views.times_of(row) for row in range(len(views))])
        assert by_code(copies, cv=cv)["GEN002"].measured == by_code(views, cv=cv)["GEN002"].measured > 0


@pytest.mark.parametrize("kind", ["measured", "rounded"])
def test_half_overlapping_windows_without_times_are_known_by_their_values(kind: str) -> None:
    recordings = [RNG.normal(size=(640, 3)).cumsum(0) for _ in range(4)]
    if kind == "rounded":
        recordings = [x.round(1) for x in recordings]
    windows = [x[start : start + 128] for x in recordings for start in range(0, 513, 64)]
    # nine to a recording: every second one, all of whose steps its two neighbors have, is in the test
    second = np.flatnonzero(np.arange(len(windows)) % 9 % 2)
    folds = [(np.setdiff1d(np.arange(len(windows)), second), second)]
    overlap = by_code(Sequences.from_arrays(windows), np.arange(len(windows)) % 2, cv=folds)["GEN002"]
    assert (overlap.verdict, overlap.measured) == ("found", 1.0)
    apart = Sequences.from_arrays([x[start : start + 128] for x in recordings for start in range(0, 513, 128)])
    assert by_code(apart, np.arange(len(apart)) % 2, cv=5)["GEN002"].verdict != "found"


@pytest.mark.parametrize(
    "signal",
    [
        lambda: RNG.integers(0, 2, (200, 1)),
        lambda: RNG.integers(0, 4, (200, 1)),
        lambda: np.arange(200.0)[:, None] % 24,
        lambda: RNG.normal(size=(200, 1)).cumsum(0).round(),
        lambda: np.ones((200, 2)),
    ],
    ids=["binary", "counts", "hour", "rounded walk", "constant"],
)
def test_series_of_few_kinds_of_values_that_agree_by_chance_share_no_steps(signal: Any) -> None:
    X = Sequences.from_arrays([signal() for _ in range(60)])
    assert not {"GEN002", "GEN003"} & found(by_code(X, np.arange(60) % 2, cv=5))


DAYS = np.datetime64("2023-01-01") + np.arange(90)
WEATHER = RNG.normal(size=(90, 2)).cumsum(0)
SALES = [RNG.normal(size=90).cumsum() for _ in range(9)]
RARE = [RNG.poisson(0.02, 90) + (np.arange(90) == shop) for shop in range(9)]  # zeros, most of them
COPIED = {
    "copies": Sequences.from_arrays([WEATHER] * 9),
    "dated": Sequences.from_arrays([WEATHER] * 9, times=[DAYS] * 9),
    "views": Sequences.from_arrays([WEATHER])[[0] * 9],
}


@pytest.mark.parametrize("targets", [SALES, RARE, np.arange(9.0), np.array([*"abcdefghi"])])
@pytest.mark.parametrize("kind", COPIED)
def test_shops_that_share_the_weather_are_no_copies_of_each_other(kind: str, targets: Any) -> None:
    X, folds = COPIED[kind], KFold(3)
    report = by_code(X, targets, cv=folds, burn_in=7)
    assert found(report) <= {"GEN005"}
    assert {"GEN001", "GEN002"} <= found(by_code(X, cv=folds))  # nothing says that they are not
    # a shop is there twice
    twice = [*range(8), 0]
    again = by_code(X, [targets[shop] for shop in twice], cv=[(np.arange(8), np.array([8]))], burn_in=7)
    assert [again[code].measured for code in ("GEN001", "GEN002")] == [1.0, 1.0]


@pytest.mark.parametrize("dated", [True, False])
def test_shops_that_share_some_of_the_weather_are_told_by_the_target_of_each_step(dated: bool) -> None:
    begins = range(0, 45, 5)
    X = Sequences.from_arrays([WEATHER[b:] for b in begins], times=[DAYS[b:] for b in begins] if dated else None)
    folds = KFold(3)
    assert found(by_code(X, [sales[b:] for sales, b in zip(SALES, begins, strict=True)], cv=folds)) <= {"GEN005"}
    # the same shop nine times, from another day on
    same = by_code(X, [SALES[0][b:] for b in begins], cv=folds)
    assert (same["GEN001"].verdict, same["GEN002"].measured) == ("clear", 1.0)


def test_windows_of_shops_that_share_the_weather_overlap_those_of_their_own_shop() -> None:
    starts = range(0, 61, 15)
    windows = [(shop, start) for shop in range(3) for start in starts]
    X = Sequences.from_arrays([WEATHER[s : s + 30] for _, s in windows], times=[DAYS[s : s + 30] for _, s in windows])
    shop = np.array(windows)[:, 0]
    steps, labels = [SALES[shop][s : s + 30] for shop, s in windows], np.arange(15.0)
    for y in (steps, labels):
        by_shop = [(np.flatnonzero(shop != own), np.flatnonzero(shop == own)) for own in range(3)]
        assert not {"GEN001", "GEN002", "GEN003"} & found(by_code(X, y, cv=by_shop))
        last = [(np.arange(14), np.array([14]))]  # half of it is in the window before
        assert by_code(X, y, cv=last)["GEN002"].measured == 0.5


def test_a_copy_whose_targets_were_masked_elsewhere_shares_inputs_alone() -> None:
    front, back = SALES[0].copy(), SALES[0].copy()
    front[45:] = back[:45] = np.nan
    report = by_code(COPIED["copies"][:2], [front, back], cv=[(np.array([0]), np.array([1]))])
    assert (report["GEN002"].verdict, report["GEN003"].measured) == ("clear", 1.0)


def test_times_of_a_burn_in_alone_are_no_times_on_both_sides() -> None:
    clocks = [np.arange(start, start + 20.0) for start in (0, 10, 20, 30)]
    X = Sequences.from_arrays([RNG.normal(size=(20, 1)) for _ in clocks], times=clocks)
    y = Sequences.from_arrays([RNG.normal(size=(20, 1)) for _ in clocks])
    folds = [(np.array([0, 2]), np.array([1, 3]))]
    assert by_code(X, y, cv=folds)["GEN005"].measured == 30 / 40
    assert by_code(X, y, cv=folds, burn_in=10)["GEN005"].verdict == "clear"


def test_steps_are_the_same_however_few_are_looked_at_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    views = LONG.windows(20, 7)[RNG.permutation(32)]
    y = [np.where(RNG.random(20) < 0.2, np.nan, x[:, 0]) for x in views]
    copies = Sequences.from_arrays([*views], times=[views.times_of(i) for i in range(len(views))])
    whole = by_code(copies, y, cv=5)
    for module, name in (("step_identities", "_CHUNK"), ("step_identities", "_SORTED"), ("channel_ranges", "_CHUNK")):
        monkeypatch.setattr(f"throughtime.generalization.leakage.{module}.{name}", 17)
    for module, name in (("near_duplicates", "_AT_ONCE"), ("near_duplicates", "_STEPS")):
        monkeypatch.setattr(f"throughtime.generalization.leakage.{module}.{name}", 10**4)
    assert by_code(copies, y, cv=5) == whole
    assert whole["GEN002"].measured != 0


def test_of_many_series_some_are_drawn_to_look_for_nearly_identical_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    X = concatenate([CLEAN, Sequences.from_arrays([x + 0.02 * RNG.normal(size=x.shape) for x in CLEAN])])
    halves = [(np.arange(N), np.arange(N, 2 * N)), (np.arange(N, 2 * N), np.arange(N))]
    assert by_code(X, cv=halves)["GEN006"].measured == 1.0
    monkeypatch.setattr("throughtime.generalization.leakage.near_duplicates._MOST_PAIRS", 20 * 2 * N)
    finding = by_code(X, cv=halves)["GEN006"]
    assert finding.measured == 1.0
    assert finding.detail.endswith("nearly equal one in training, of 20 that were drawn")


def test_quiet_series_beside_loud_ones_are_not_nearly_identical() -> None:
    quiet = Sequences.from_arrays([0.01 * x for x in CLEAN[:10]])
    assert by_code(concatenate([CLEAN[10:], quiet]), cv=HALVES)["GEN006"].verdict == "clear"


def test_a_channel_observed_once_per_series_or_the_same_in_all_is_not_found_constant() -> None:
    once = [np.column_stack([x, np.where(np.arange(len(x)) == 3, i, np.nan)]) for i, x in enumerate(CLEAN)]
    assert by_code(Sequences.from_arrays(once), cv=4)["GEN007"].verdict == "clear"
    same = [np.column_stack([x, np.ones(len(x))]) for x in CLEAN]
    assert by_code(Sequences.from_arrays(same), cv=4)["GEN007"].verdict == "clear"
    finding = by_code(
        Sequences.from_arrays([np.column_stack([x, np.full(len(x), i % 7)]) for i, x in enumerate(CLEAN)])
    )
    assert finding["GEN007"].detail == "channel 2 is constant within each of 40 series"
    alone = leakage_report(CLEAN[:1], cv=[([0], [0])])[6]
    assert (alone.verdict, alone.detail) == ("not applicable", "a single series")
