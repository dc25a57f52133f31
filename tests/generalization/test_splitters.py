"""Folds in time that leave out what touches the test, and three parts of the series."""

import re
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, TimeSeriesSplit, check_cv
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from throughtime import PurgedTimeSeriesSplit, SequenceRegressor, WalkForwardSplit, train_validation_test_split
from throughtime.data import Sequences
from throughtime.errors import DataError, DataWarning, ParameterError
from throughtime.generalization import arguments_for, fold_indices, parse_cv


def daily(n_steps: int) -> Sequences:
    days = np.datetime64("1979-01-01") + np.arange(n_steps)
    return Sequences(np.zeros((n_steps, 1)), [0, n_steps], times=days)


@given(n=st.integers(2, 60), k=st.integers(2, 6), purge=st.integers(0, 5), embargo=st.integers(0, 5))
def test_every_series_is_tested_once_and_training_keeps_its_distance(n: int, k: int, purge: int, embargo: int) -> None:
    cv = PurgedTimeSeriesSplit(k, purge=purge, embargo=embargo)
    try:
        splits = list(cv.split(np.zeros(n)))
    except DataError:
        # no place: too few series, or a fold whose surroundings reach over all others
        sizes = [len(part) for part in np.array_split(np.arange(n), k)]
        assert n < k or n - min(sizes) <= 2 * purge + embargo or max(sizes) + 2 * purge + embargo >= n
        return
    np.testing.assert_array_equal(np.concatenate([test for _, test in splits]), np.arange(n))
    for train, test in splits:
        before, after = train[train < test[0]], train[train > test[-1]]
        expected = np.r_[0 : max(test[0] - purge, 0), min(test[-1] + purge + embargo + 1, n) : n]
        np.testing.assert_array_equal(np.r_[before, after], expected)
        np.testing.assert_array_equal(np.sort(train), expected)


def test_without_purge_it_is_kfold() -> None:
    for own, other in zip(PurgedTimeSeriesSplit(4).split(np.zeros(14)), KFold(4).split(np.zeros(14)), strict=True):
        for a, b in zip(own, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (30, 0), (30, 10)])
def test_windows_that_share_a_step_are_never_on_two_sides(purge: int, embargo: int) -> None:
    X = daily(400).windows(20, stride=5)
    starts = X.starts
    for train, test in PurgedTimeSeriesSplit(4, purge=purge, embargo=embargo).split(X):
        first, last = starts[test].min(), starts[test].max() + 19
        before, after = starts[train] + 19 < first, starts[train] > last
        assert (before | after).all()
        np.testing.assert_array_equal(train, np.flatnonzero(
            (starts + 19 < first - purge) | (starts > last + purge + embargo)
        ))  # fmt: skip


def test_series_need_no_order_when_they_have_times() -> None:
    X = daily(200).windows(10, stride=10)
    shuffled = np.random.default_rng(0).permutation(len(X))
    cv = PurgedTimeSeriesSplit(4, purge=10)
    for (train, test), (own_train, own_test) in zip(cv.split(X), cv.split(X[shuffled]), strict=True):
        assert set(shuffled[own_test]) == set(test)
        assert set(shuffled[own_train]) == set(train)


def test_scikit_learn_takes_it_for_a_splitter() -> None:
    cv = PurgedTimeSeriesSplit(3, purge=2)
    assert check_cv(cv) is cv
    assert cv.get_n_splits() == 3
    assert repr(clone(cv, safe=False)) == "PurgedTimeSeriesSplit(embargo=0, n_splits=3, purge=2)"
    x = np.random.default_rng(0).normal(size=(30, 2))
    assert sklearn_cross_validate(Ridge(), x, x[:, 0], cv=cv)["test_score"].shape == (3,)


def test_what_is_typed_is_split_by_the_times_of_the_series() -> None:
    X = daily(400).windows(20, stride=5)
    typed = fold_indices(parse_cv("purged:4,purge=30", classifier=False, random_state=0), X, np.zeros(len(X)))
    for own, other in zip(typed, PurgedTimeSeriesSplit(4, purge=30).split(X), strict=True):
        np.testing.assert_array_equal(own[0], other[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_splits": 1}, "^n_splits needs a whole number of at least 2, got 1$"),
        ({"n_splits": 2.5}, "^n_splits needs a whole number"),
        ({"purge": -1}, "^purge needs a finite number of at least 0, got -1$"),
        ({"embargo": np.inf}, "^embargo needs a finite number"),
    ],
)
def test_distances_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PurgedTimeSeriesSplit(**arguments)


def test_folds_without_anything_to_train_on_are_refused() -> None:
    with pytest.raises(DataError, match=r"^PurgedTimeSeriesSplit needs series to train on, got none in fold 0"):
        list(PurgedTimeSeriesSplit(2, purge=9).split(np.zeros(10)))
    with pytest.raises(DataError, match="number of splits n_splits=5 greater than the number of samples: 3"):
        list(PurgedTimeSeriesSplit(5).split(np.zeros(3)))


GROUPS = np.arange(60) // 3
CLASSES = np.repeat(["a", "b", "c"], [30, 18, 12])


def parts(*arguments: Any, **options: Any) -> list[np.ndarray]:
    split = train_validation_test_split(*arguments, **options)
    return [split.train, split.validation, split.test]


@pytest.mark.parametrize(
    "options", [{}, {"groups": GROUPS}, {"stratify": CLASSES}, {"groups": GROUPS, "stratify": CLASSES}]
)
def test_each_series_is_in_one_part_and_groups_and_classes_are_divided_as_asked(options: dict[str, Any]) -> None:
    found = parts(np.zeros(60), random_state=0, **options)
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(60))
    assert [len(part) for part in found] == [36, 12, 12]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert "groups" not in options or not set(GROUPS[found[a]]) & set(GROUPS[found[b]])
    if "stratify" in options and "groups" not in options:
        for part in found:
            shares = [np.mean(CLASSES[part] == name) for name in "abc"]
            # one series more or less
            np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=1.01 / len(part))
    assert all(np.array_equal(a, b) for a, b in zip(found, parts(np.zeros(60), random_state=0, **options), strict=True))
    other = parts(np.zeros(60), random_state=1, **options)
    assert not all(np.array_equal(a, b) for a, b in zip(found, other, strict=True))


def test_groups_that_series_bring_along_stay_whole() -> None:
    X = Sequences(np.zeros((60, 1)), np.arange(61), groups=GROUPS)
    train, validation, test = (set(GROUPS[part]) for part in parts(X, random_state=0))
    assert not train & validation
    assert not (train | validation) & test


def test_by_time_the_past_comes_first_and_the_gaps_are_kept() -> None:
    X = daily(600).windows(10, stride=5)
    train, validation, test = parts(X, by_time=True, purge=7)
    for earlier, later in ((train, validation), (validation, test)):
        assert X.starts[earlier].max() + 9 < X.starts[later].min() - 7
        assert X.starts[later].min() - 7 - (X.starts[earlier].max() + 9) <= 5  # no more is lost than must be
    assert (len(test), test.max()) == (round(0.2 * len(X)), len(X) - 1)


@pytest.mark.parametrize(
    ("n", "options", "error", "message"),
    [
        (60, {"test_size": 1.0}, ParameterError, "^test_size needs a fraction between 0 and 1, got 1.0$"),
        (60, {"test_size": 0.5, "validation_size": 0.5}, ParameterError, "need a sum below 1"),
        (60, {"groups": GROUPS, "by_time": True}, ParameterError, "^by_time needs no groups and no strata"),
        (60, {"purge": 3}, ParameterError, "^purge needs by_time=True, got purge=3$"),
        (60, {"by_time": True, "purge": 59}, ParameterError, "^by_time needs series in every part, got none to"),
        (60, {"groups": GROUPS[1:]}, DataError, r"^groups needs one value per series \(60\), got shape \(59,\)$"),
        (2, {}, DataError, "cannot be set apart"),
        (3, {"stratify": np.array(["a", "a", "b"])}, DataError, "cannot be set apart: .*least populated class"),
    ],
)
def test_parts_that_cannot_be_made_are_refused(n: int, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        train_validation_test_split(np.zeros(n), **options)


@st.composite
def windows_of_one_series(draw: st.DrawFn) -> Sequences:
    """Windows of a series with or without times, some of them with history, in any order."""
    length, history = draw(st.integers(1, 9)), draw(st.integers(0, 12))
    stride = draw(st.integers(length, 12) if history else st.integers(1, 12))
    n_steps = draw(st.integers(length, 120))
    timed = length > 1 and draw(st.booleans())  # windows of one step do not tell how long a step is
    times = 5.0 + 0.1 * np.arange(n_steps) if timed else None
    X = Sequences(np.zeros((n_steps, 1)), [0, n_steps], times=times).windows(length, stride, history=history)
    return X[np.random.default_rng(draw(st.integers(0, 9))).permutation(len(X))]


def steps_of(X: Sequences, window: int, *, own: bool = False) -> np.ndarray:
    assert X.source is not None
    begin = X.source.begins[window]
    return np.arange(begin + (X.source.history[window] if own else 0), begin + X.lengths[window])


@given(
    X=windows_of_one_series(), k=st.integers(2, 5), purge=st.integers(0, 15), embargo=st.integers(0, 5),
    forward=st.booleans(),
)  # fmt: skip
def test_no_step_of_one_series_is_on_two_sides_and_no_window_is_left_out_in_vain(
    X: Sequences, k: int, purge: int, embargo: int, forward: bool
) -> None:
    cv = WalkForwardSplit(k, gap=purge) if forward else PurgedTimeSeriesSplit(k, purge=purge, embargo=embargo)
    try:
        splits = list(cv.split(X))
    except DataError:
        assume(False)
    begins = np.array([steps_of(X, i, own=True)[0] for i in range(len(X))])
    tested = np.concatenate([test for _, test in splits])
    assert len(np.unique(tested)) == len(tested)
    untested = np.setdiff1d(np.arange(len(X)), tested)
    assert (begins[untested].max() < begins[tested].min()) if forward else not len(untested)
    for train, test in splits:
        own = np.concatenate([steps_of(X, i, own=True) for i in test])
        assert own.max() - own.min() < len(X) * 12  # a block, not scattered windows
        after = np.inf if forward else own.max() + purge + embargo
        expected = [
            i for i in range(len(X)) if i not in test
            and (steps_of(X, i).max() < own.min() - purge or steps_of(X, i).min() > after)
        ]  # fmt: skip
        np.testing.assert_array_equal(train, expected)
        assert not set(own) & {step for i in train for step in steps_of(X, i)}
        assert set(test) == {i for i in range(len(X)) if begins[test].min() <= begins[i] <= begins[test].max()}


@pytest.mark.parametrize("cv", [PurgedTimeSeriesSplit(3), WalkForwardSplit(3)])
def test_windows_of_several_series_without_times_share_no_step_either(cv: Any) -> None:
    X = Sequences(np.zeros((200, 1)), [0, 70, 130, 200]).windows(20, stride=5)
    assert X.source is not None
    for train, test in cv.split(X):
        steps = [{(X.source.series[i], step) for i in side for step in steps_of(X, i)} for side in (train, test)]
        assert not steps[0] & steps[1]


@given(n=st.integers(2, 60), k=st.integers(2, 6), gap=st.integers(0, 5))
def test_walking_forward_over_series_by_place_is_scikit_learns_time_split(n: int, k: int, gap: int) -> None:
    def folds(cv: Any) -> list[list[list[int]]] | None:
        try:
            return [[side.tolist() for side in fold] for fold in cv.split(np.zeros(n))]
        except ValueError:
            return None

    assert folds(WalkForwardSplit(k, gap=gap)) == folds(TimeSeriesSplit(k, gap=gap))


def test_history_of_the_test_may_be_of_training_but_not_the_other_way_round() -> None:
    X = Sequences(np.zeros((60, 1)), [0, 60]).windows(10, 10, history=5)
    folds = [(train.tolist(), test.tolist()) for train, test in PurgedTimeSeriesSplit(3).split(X)]
    assert folds == [([3, 4, 5], [0, 1]), ([0, 1, 5], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    assert [train.tolist() for train, _ in WalkForwardSplit(2).split(X)] == [[0, 1], [0, 1, 2, 3]]


def test_a_step_that_is_no_binary_fraction_counts_as_one_step() -> None:
    X = Sequences(np.zeros((40, 1)), [0, 40], times=0.1 * np.arange(40)).windows(1)
    cv = PurgedTimeSeriesSplit(4, purge=3)
    for (train, _), (by_place, _) in zip(cv.split(X), cv.split(np.zeros(40)), strict=True):
        np.testing.assert_array_equal(train, by_place)


def test_many_windows_are_divided_without_a_copy_of_their_times() -> None:
    n, length = 100_000, 128
    X = Sequences(np.zeros((n, 1), np.float32), [0, n], times=np.arange(n)).windows(length)
    tracemalloc.start()
    try:
        splits = list(PurgedTimeSeriesSplit(3).split(X))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * X.n_steps / 4  # a quarter of the times of all windows
    assert [len(X) - len(train) - len(test) for train, test in splits] == [127, 254, 127]


def test_three_parts_of_one_series_share_no_step() -> None:
    X = Sequences(np.zeros((600, 1)), [0, 600]).windows(10, stride=5)
    train, validation, test = parts(X, by_time=True)
    for earlier, later in ((train, validation), (validation, test)):
        assert X.starts[earlier].max() + 9 < X.starts[later].min()
        assert X.starts[later].min() - (X.starts[earlier].max() + 9) <= 5


RECORD, TWO = Sequences(np.zeros((60, 1)), [0, 60]), Sequences(np.zeros((120, 1)), [0, 60, 120])


@pytest.mark.parametrize(
    ("X", "cv", "cure"),
    [
        (RECORD.windows(6, 6), None, "PurgedTimeSeriesSplit and WalkForwardSplit divide them in time$"),
        (RECORD.windows(6, 6), 5, "PurgedTimeSeriesSplit and"),
        (RECORD.windows(6, 3), ShuffleSplit(3, random_state=0), "PurgedTimeSeriesSplit and"),
        (RECORD.windows(6, 3), TimeSeriesSplit(3), "PurgedTimeSeriesSplit and"),
        (RECORD.replace(groups=["p"]).windows(6, 6), 5, "PurgedTimeSeriesSplit and"),
        (TWO.windows(6, 6), 5, "GroupKFold with groups=X.source.series keeps those of a series together$"),
        (RECORD.windows(6, 6), TimeSeriesSplit(3), None),
        (RECORD.windows(6, 3), PurgedTimeSeriesSplit(3), None),
        (RECORD.windows(6, 3), WalkForwardSplit(3), None),
        (RECORD.windows(6, 3), [(np.arange(5), np.arange(9, 12))], None),
        (TWO.replace(groups=[0, 1]).windows(6, 3), GroupKFold(2), None),
        (TWO, 2, None),
    ],
)
def test_folds_that_do_not_look_at_windows_are_warned_of_with_the_cure(X: Sequences, cv: Any, cure: str | None) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        arguments_for(SequenceRegressor(), X, np.zeros(len(X)), cv=cv)
    said = [str(w.message) for w in warned if issubclass(w.category, DataWarning)]
    assert len(said) == (cure is not None)
    for text in said:
        assert re.search(rf"^X are windows, and these folds .* too good: {cure}", text)


def test_folds_of_targets_at_each_step_are_those_of_the_windows_themselves() -> None:
    rng = np.random.default_rng(0)
    record = Sequences(rng.normal(size=(60, 1)), [0, 60])
    X = record.windows(8, stride=4)
    for cv in (PurgedTimeSeriesSplit(3), WalkForwardSplit(3)):
        given = arguments_for(SequenceRegressor(), X, X, cv=cv).cv
        for own, other in zip(given, cv.split(X), strict=True):
            np.testing.assert_array_equal(own[0], other[0])


def test_scikit_learn_takes_walking_forward_for_a_splitter() -> None:
    cv = WalkForwardSplit(3, gap=2)
    assert check_cv(cv) is cv
    assert cv.get_n_splits() == 3
    assert repr(clone(cv, safe=False)) == "WalkForwardSplit(gap=2, n_splits=3)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_splits": 1}, "^n_splits needs a whole number of at least 2, got 1$"),
        ({"gap": -1}, "^gap needs a finite number of at least 0, got -1$"),
    ],
)
def test_walks_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        WalkForwardSplit(**arguments)


def test_walks_without_anything_to_train_on_are_refused() -> None:
    with pytest.raises(DataError, match=r"^WalkForwardSplit needs series to train on, got none that end before fold 0"):
        list(WalkForwardSplit(2, gap=9).split(np.zeros(12)))
    with pytest.raises(DataError, match="number of folds=6 greater than the number of samples=5"):
        list(WalkForwardSplit(5).split(np.zeros(5)))
