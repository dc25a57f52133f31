"""Folds, test and counts of windows in a study."""

from typing import Any

import numpy as np
import pytest
from studies import classifier, regressor

from throughtime import PurgedTimeSeriesSplit, Sequences, WalkForwardSplit, evaluate
from throughtime.data import Dataset
from throughtime.errors import DataError
from throughtime.study import Plan, Run, folds_in_words, plan, set_aside_in_words


def recordings(lengths: list[int], *, times: bool = False, by_step: bool = False, **parts: Any) -> Dataset:
    n = sum(lengths)
    rng = np.random.default_rng(0)
    days = np.datetime64("1979-01-01") + np.arange(n) if times else None
    X = Sequences(rng.normal(size=(n, 1)), np.r_[0, np.cumsum(lengths)], times=days, **parts)
    y: Any = np.arange(len(lengths)) % 2
    if by_step:
        y = Sequences(2 * X.values, X.offsets)
    return Dataset(X, y, tuple(f"r{k}" for k in range(len(lengths))), "made", "made", X.groups)


def one_long(**kind: Any) -> Dataset:
    """Windows of 20 of 400 steps, every 10, with classes of their own."""
    data = recordings([400], **kind).windows(20, 10)
    return Dataset(data.X, np.arange(len(data.X)) % 2, data.ids, "made", "made", data.groups)


def same_folds(made: Plan, cv: Any) -> bool:
    pairs = zip(made.splits, cv.split(made.train.X), strict=True)
    return all(np.array_equal(a, b) for fold, other in pairs for a, b in zip(fold, other, strict=True))


@pytest.mark.parametrize(
    ("cv", "kept", "splitter"),
    [
        (None, "purged:5", PurgedTimeSeriesSplit(5)),
        (3, "purged:3", PurgedTimeSeriesSplit(3)),
        ("4", "purged:4", PurgedTimeSeriesSplit(4)),
        ("purged:5,purge=30", "purged:5,purge=30", PurgedTimeSeriesSplit(5, purge=30)),
        ("forward:3,gap=15", "forward:3,gap=15", WalkForwardSplit(3, gap=15)),
        ("time:3", "time:3", WalkForwardSplit(3)),
        (WalkForwardSplit(3), "WalkForwardSplit(gap=0, n_splits=3)", WalkForwardSplit(3)),
    ],
)
@pytest.mark.parametrize("times", [False, True])
def test_windows_of_one_series_are_divided_in_time_and_the_config_says_how(
    cv: Any, kept: str, splitter: Any, times: bool
) -> None:
    made = plan(classifier(), one_long(times=times), cv=cv)
    assert made.config["cv"] == kept
    assert same_folds(made, splitter)
    assert not [finding for finding in made.findings if finding.verdict == "found"]


def test_blocks_of_time_are_what_is_kept_whole_and_counted() -> None:
    made = plan(classifier(), one_long(), cv="purged:4")
    assert made.units is not None
    blocks = [np.unique(made.units[test]).tolist() for _, test in made.splits]
    assert blocks == [["steps 0 to 109"], ["steps 100 to 209"], ["steps 200 to 309"], ["steps 300 to 399"]]
    for train, test in made.splits:
        assert not set(made.units[train]) & set(made.units[test])
    assert made.train.groups is None  # what tells data sets apart does not depend on the folds
    study = evaluate(classifier(), one_long(), cv="purged:4", baselines=False)
    assert [(fold.n_train, fold.n_test) for fold in study.folds] == [(3, 1)] * 4


def test_blocks_are_called_by_their_times() -> None:
    made = plan(classifier(), one_long(times=True), cv="forward:3")
    assert made.units is not None
    blocks = list(dict.fromkeys(made.units))
    assert blocks[0] == "1979-01-01 to 1979-05-10"
    assert len(blocks) == 4


def test_blocks_are_called_by_their_own_steps_whatever_the_history() -> None:
    for times, first in ((False, "steps 80 to 159"), (True, "1979-03-22 to 1979-06-09")):
        data = recordings([400], by_step=True, times=times).windows(20, history=50)
        units = plan(regressor(), data).units
        assert units is not None
        assert list(dict.fromkeys(units))[1] == first


def test_the_first_fold_forward_can_stop_early_and_a_run_gives_it_back(tmp_path: Any) -> None:
    study = evaluate(classifier(early_stopping=True), one_long(), cv="forward:3", test=0.2)
    assert not any(isinstance(member, Exception) for member in study.assessment.folds[0])
    study.save(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.config["cv"] == "forward:3"
    assert [(fold.n_train, fold.n_test) for fold in run.folds] == [(1, 1), (2, 1), (3, 1)]


def test_the_last_windows_are_set_aside_and_what_shares_steps_with_them_is_left_out() -> None:
    made = plan(classifier(), one_long(), 0.25)
    assert made.test is not None
    assert made.test.ids[0] == "r0[290:310]"
    assert made.train.ids[-1] == "r0[270:290]"
    assert (len(made.train.X), made.left_out, len(made.test.X)) == (28, 1, 10)
    assert set_aside_in_words(made) == (
        "10 series for the test, the last in time (steps 290 to 399), 28 series left to train on; "
        "1 between shares steps with the test and is left out"
    )


def test_history_of_one_series_reaches_into_training_alone() -> None:
    data = recordings([400], by_step=True).windows(20, history=50)
    made = plan(regressor(), data, 0.2)
    assert made.test is not None
    assert (made.left_out, made.config["cv"]) == (0, "purged:5")
    source, y = made.train.X.source, made.train.y
    assert source is not None
    assert isinstance(y, Sequences)
    begins, ends = source.begins, source.begins + made.train.X.lengths
    for train, test in made.splits:
        targets = {int(step) for i in test for step in np.arange(begins[i], ends[i])[~np.isnan(y[int(i)][:, 0])]}
        read = {int(step) for i in train for step in range(begins[i], ends[i])}
        assert targets
        assert not targets & read
    reaching = sum(begins[test].min() in range(begins[i], ends[i]) for train, test in made.splits for i in train)
    assert reaching  # the test's own history is known when it is predicted


@pytest.mark.parametrize(
    ("cv", "words"),
    [
        (
            None,
            "5 blocks of time (purged:5), each the test of one fold trained on the rest; 1 to 2 windows near it are "
            "left out",
        ),
        (
            "forward:3",
            "3 blocks of time after a first one (forward:3), each the test of one fold trained on the windows before "
            "it; 1 window near it is left out",
        ),
        ("kfold:3", None),
    ],
)
def test_the_folds_are_said_in_words(cv: Any, words: str | None) -> None:
    assert folds_in_words(plan(classifier(), one_long(), cv=cv)) == words


def test_random_folds_of_windows_are_made_and_flagged() -> None:
    several = recordings([100] * 6).windows(20, 10)
    made = plan(classifier(), several, cv="kfold:3")
    found = {finding.code for finding in made.findings if finding.verdict == "found"}
    assert {"GEN002", "GEN004"} <= found
    one = plan(classifier(), one_long(), cv="kfold:3")
    assert "GEN002" in {finding.code for finding in one.findings if finding.verdict == "found"}


def test_windows_of_several_series_walk_forward_by_their_times_whatever_their_order() -> None:
    times = np.concatenate([np.arange(200.0), np.arange(30, 230.0)])
    X = Sequences(np.random.default_rng(0).normal(size=(400, 1)), [0, 200, 400], times=times)
    data = Dataset(X, Sequences(X.values, X.offsets), ("a", "b"), "made", "made").windows(20, history=5)
    shuffled = np.random.default_rng(1).permutation(len(data.X))
    y = data.y
    assert isinstance(y, Sequences)
    assert data.groups is not None
    mixed = Dataset(data.X[shuffled], y[shuffled], data.ids, "made", "made", data.groups[shuffled])
    for cv in ("time:3", "forward:3"):
        made, other = plan(regressor(), data, cv=cv), plan(regressor(), mixed, cv=cv)
        assert same_folds(made, WalkForwardSplit(3))
        assert [set(shuffled[side]) for fold in other.splits for side in fold] == [
            set(side) for fold in made.splits for side in fold
        ]
        # series are to be on both sides of what lies apart in time
        assert {finding.code for finding in made.findings if finding.verdict == "found"} <= {"GEN003"}
    people = Dataset(data.X.replace(groups=["p"] * len(data.X)), y, data.ids, "made", "made", np.array(["p"] * 20))
    assert "GEN004" in {f.code for f in plan(regressor(), people, cv="forward:3").findings if f.verdict == "found"}


def test_groups_of_series_that_are_no_windows_are_still_refused_on_both_sides() -> None:
    data = recordings([10] * 6, groups=["p", "q"] * 3)
    with pytest.raises(DataError, match=r"on both sides of fold 0; use --cv group:K$"):
        plan(classifier(), data, cv="kfold:3")


@pytest.mark.parametrize("cut", ["by the data set", "by the series"])
def test_windows_of_several_series_stay_with_their_series(cut: str) -> None:
    data = recordings([100] * 6)
    windows = data.windows(20, 10)
    if cut == "by the series":
        windows = Dataset(data.X.windows(20, 10), windows.y, windows.ids, "made", "made")
    made = plan(classifier(), windows, 0.3)
    assert made.test is not None
    assert made.config["cv"] == 4  # as many as there are series to train on
    sides = [(made.train, train, test) for train, test in made.splits]
    for data, train, test in sides:
        source = data.X.source
        assert source is not None
        assert not set(source.series[train]) & set(source.series[test])
    assert not set(made.train.X.source.series) & set(made.test.X.source.series)  # type: ignore[union-attr]
    assert not [finding for finding in made.findings if finding.verdict == "found"]


@pytest.mark.parametrize(
    ("data", "test", "message"),
    [
        (recordings([400]), None, "^5 folds need at least 5 series, got 1; --window N "),
        (recordings([400]), 0.2, "^--split needs at least 2 series to divide, got 1; --window N "),
        (recordings([400], groups=["p"]), None, "^2 folds need at least 2 groups, got 1; --window N "),
        (
            recordings([40]).windows(20),
            None,
            "^5 folds need at least 5 series, got 2; a smaller --window or --stride gives more",
        ),
        (recordings([21], by_step=False).windows(20, 1), 0.5, "^--split needs windows that end before those of the"),
    ],
)
def test_too_few_series_are_refused_with_their_cure(data: Dataset, test: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        plan(classifier(), data, test)


def test_a_missing_value_is_named_by_its_step_of_the_series() -> None:
    values = np.random.default_rng(0).normal(size=(60, 1))
    values[47] = np.nan
    X = Sequences(values, [0, 20, 60])
    whole = Dataset(X, Sequences(np.zeros((60, 1)), X.offsets), ("a", "b"), "made", "made")
    for data, name in (
        (whole, "'b'"),
        (whole.windows(10, history=5), "'b'"),
        (Dataset(X.windows(10), np.zeros(6), tuple("uvwxyz"), "made", "made"), "1"),  # which do not name their series
    ):
        message = rf"^made needs every value with missing='error', got none at series {name}, step 27, channel 0$"
        with pytest.raises(DataError, match=message):
            plan(regressor(missing="error"), data)


def test_python_is_told_the_cure_in_its_own_words() -> None:
    with pytest.raises(DataError, match=r"window N \[stride N\] .* in Python Dataset.windows$"):
        evaluate(classifier(), recordings([400]))
