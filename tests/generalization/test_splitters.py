"""Folds in time that leave out what touches the test, and three parts of the series."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, check_cv
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from throughtime import PurgedTimeSeriesSplit, train_validation_test_split
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.generalization import fold_indices, parse_cv


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
