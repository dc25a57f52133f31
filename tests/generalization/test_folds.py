"""What a person types for folds, and folds that do not leak."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.generalization.folds import fold_indices, given_folds, holdout, parse_cv


def series(n: int, **parts: object) -> Sequences:
    return Sequences(np.zeros((2 * n, 1)), 2 * np.arange(n + 1), **parts)  # type: ignore[arg-type]


SHUFFLED = "random_state=3, shuffle=True)"


@pytest.mark.parametrize(
    ("text", "classifier", "grouped", "splitter"),
    [
        ("10", True, False, f"StratifiedKFold(n_splits=10, {SHUFFLED}"),
        ("10", False, False, f"KFold(n_splits=10, {SHUFFLED}"),
        ("10", True, True, f"StratifiedGroupKFold(n_splits=10, {SHUFFLED}"),
        ("10", False, True, f"GroupKFold(n_splits=10, {SHUFFLED}"),
        (" KFold:3 ", True, False, f"KFold(n_splits=3, {SHUFFLED}"),
        ("stratified:4", True, False, f"StratifiedKFold(n_splits=4, {SHUFFLED}"),
        ("stratified:4", True, True, f"StratifiedGroupKFold(n_splits=4, {SHUFFLED}"),
        ("group:5", True, True, f"GroupKFold(n_splits=5, {SHUFFLED}"),
        ("group", False, True, "LeaveOneGroupOut()"),
        ("loo", True, False, "LeaveOneOut()"),
        ("time:5", False, False, "TimeSeriesSplit(gap=0, max_train_size=None, n_splits=5, test_size=None)"),
        ("purged:5", False, False, "PurgedTimeSeriesSplit(embargo=0, n_splits=5, purge=0)"),
        ("purged:5,purge=30", False, False, "PurgedTimeSeriesSplit(embargo=0, n_splits=5, purge=30)"),
        ("purged:5, purge=30, embargo=7", False, False, "PurgedTimeSeriesSplit(embargo=7, n_splits=5, purge=30)"),
        ("forward:5", True, True, "WalkForwardSplit(gap=0, n_splits=5)"),
        ("forward:5,gap=30", False, False, "WalkForwardSplit(gap=30, n_splits=5)"),
        ("time:5,gap=3", False, False, "TimeSeriesSplit(gap=3, max_train_size=None, n_splits=5, test_size=None)"),
    ],
)
def test_what_is_typed_is_the_splitter_of_scikit_learn(
    text: str, classifier: bool, grouped: bool, splitter: str
) -> None:
    assert repr(parse_cv(text, classifier=classifier, random_state=3, grouped=grouped)) == splitter


@pytest.mark.parametrize(
    "text", ["", "ten", "10.5", "-3", "kfold", "kfold:", "loo:5", "time", "time:", "group:a", "5,gap=3",
             "kfold:5,gap=3", "time:5,gap=", "time:5,gap=-1", "purged", "purged:5,gap=3", "forward",
             "forward:5,purge=3", "10:kfold", "9" * 5000]
)  # fmt: skip
def test_anything_else_is_refused_with_what_can_be_typed(text: str) -> None:
    with pytest.raises(
        ParameterError,
        match=r"^--cv needs a number of folds, kfold:K, .* time:K\[,gap=G\], forward:K\[,gap=G\] or purged:.* got ",
    ):
        parse_cv(text, classifier=True, random_state=0)


@pytest.mark.parametrize("text", ["0", "1", "kfold:1", "time:1", "purged:1", "forward:1"])
def test_fewer_than_two_folds_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=f"^--cv needs at least 2 folds, got '{text}'$"):
        parse_cv(text, classifier=False, random_state=0)


CURE = r"; --window N \[--stride N\] cuts long series into windows \(--cv purged:5\), in Python Dataset\.windows"
CLASSES = np.repeat(["a", "b", "c"], [20, 12, 8])
GROUPS = np.arange(40) % 10


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("4", False),
        ("kfold:7", False),
        ("stratified:4", False),
        ("loo", False),
        ("4", True),
        ("stratified:4", True),
        ("group:5", True),
        ("group", True),
    ],
)
def test_every_series_is_tested_once_and_groups_stay_whole(text: str, grouped: bool) -> None:
    X = series(40, groups=GROUPS if grouped else None)
    splits = fold_indices(parse_cv(text, classifier=True, random_state=0, grouped=grouped), X, CLASSES)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(40))
    for train, test in splits:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(40))
        if grouped:
            assert not set(GROUPS[train]) & set(GROUPS[test])
        elif text in ("4", "stratified:4"):
            assert [int((CLASSES[test] == name).sum()) for name in "abc"] == [5, 3, 2]


def test_the_seed_alone_decides_the_folds() -> None:
    def folds(seed: int) -> list[list[int]]:
        cv = parse_cv("kfold:4", classifier=False, random_state=seed)
        return [test.tolist() for _, test in fold_indices(cv, series(40), CLASSES)]

    assert folds(1) == folds(1) != folds(2)


def test_folds_in_time_train_on_the_past_and_leave_the_gap_out() -> None:
    cv = parse_cv("time:3,gap=2", classifier=False, random_state=0)
    for train, test in fold_indices(cv, series(20), np.zeros(20)):
        assert train.max() + 2 < test.min()


def test_given_groups_come_before_those_of_the_series() -> None:
    X = series(6, groups=np.zeros(6, int))
    cv = parse_cv("group", classifier=False, random_state=0)
    assert len(fold_indices(cv, X, np.zeros(6), groups=np.arange(6) % 3)) == 3


@pytest.mark.parametrize(
    ("text", "X", "y", "message"),
    [
        ("kfold:11", series(10), np.zeros(10), rf"^11 folds need at least 11 series, got 10{CURE}$"),
        ("loo", series(1), np.zeros(1), rf"^2 folds need at least 2 series, got 1{CURE}$"),
        ("time:9,gap=3", series(12), np.zeros(12), rf"^9 folds in time need at least 13 series .* got 12{CURE}$"),
        (
            "forward:9",
            series(9),
            np.zeros(9),
            rf"^9 folds that walk forward need at least 10 series, got 9{CURE}$",
        ),
        ("group:5", series(10), np.zeros(10), "^folds by group need the group of every series, got none; .* --group$"),
        (
            "group:5",
            series(1).windows(1),
            np.zeros(2),
            "^folds by group need .* --group; of windows of one series --cv purged:5 divides in time$",
        ),
        (
            "time:3,gap=2",
            series(9).windows(2),
            np.zeros(9),
            r"^folds in time of windows need steps counted, not series, got TimeSeriesSplit\(gap=2, .* --cv forward:3",
        ),
        (
            "forward:3,gap=9",
            series(9),
            np.zeros(9),
            r"^WalkForwardSplit needs series to train on, got none that end before fold 0 with gap=9; a smaller gap",
        ),
        ("group:5", series(10, groups=np.arange(10) % 4), np.zeros(10), "^5 folds need at least 5 groups, got 4$"),
        ("group", series(10, groups=np.zeros(10, int)), np.zeros(10), "^2 folds need at least 2 groups, got 1$"),
        (
            "stratified:3",
            series(5),
            np.array(["x", "y", "x", "y", "x"]),
            "^3 stratified folds need at least 3 series of every class, got 2 of class 'y'; use fewer folds",
        ),
        (
            "stratified:3",
            series(5),
            series(5),
            "^stratified folds need one class per series, got a target at every step",
        ),
        ("kfold:2", series(4, groups=["p", "p", "p", "p"]), np.zeros(4), "got group 'p' on both sides of fold 0"),
        (
            "time:2",
            series(4, times=np.array([5, 6, 7, 8, 1, 2, 3, 4.0])),
            np.zeros(4),
            "^folds in time need series in order of time, but series 2 begins before series 1$",
        ),
    ],
)  # fmt: skip
def test_folds_that_are_impossible_or_leak_are_refused_in_one_sentence(
    text: str, X: Sequences, y: NDArray[np.generic] | Sequences, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fold_indices(parse_cv(text, classifier=True, random_state=0), X, y)


def test_a_splitter_that_fails_is_quoted() -> None:
    class Broken(KFold):  # type: ignore[misc]
        def split(self, *_: object) -> object:
            raise ValueError("no luck")

    with pytest.raises(DataError, match=r"^Broken cannot split these 5 series: no luck$"):
        fold_indices(Broken(2), series(5), np.zeros(5))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_held_out_share_is_whole_groups_or_the_same_of_every_class(fraction: float, grouped: bool) -> None:
    groups = GROUPS if grouped else None
    train, test = holdout(series(40), CLASSES, groups, fraction, classifier=True, random_state=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(40))
    assert len(test) == (4 * np.ceil(10 * fraction) if grouped else 40 * fraction)
    if grouped:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    else:
        for name, count in zip("abc", (20, 12, 8), strict=True):
            assert abs((CLASSES[test] == name).sum() - fraction * count) <= 1
    again = holdout(series(40), CLASSES, groups, fraction, classifier=True, random_state=0)
    np.testing.assert_array_equal(test, again[1])


@pytest.mark.parametrize(
    ("n", "y", "groups", "fraction", "error", "message"),
    [
        (9, np.zeros(9), None, 25, ParameterError, "^--split needs a fraction between 0 and 1, got 25$"),
        (9, np.zeros(9), None, float("nan"), ParameterError, "^--split needs a fraction between 0 and 1, got nan$"),
        (1, np.zeros(1), None, 0.5, DataError, rf"^--split needs at least 2 series to divide, got 1{CURE}$"),
        (9, np.zeros(9), np.zeros(9), 0.5, DataError, "^--split needs at least 2 groups to divide, got 1$"),
        (4, np.zeros(4), None, 0.9, ParameterError, "^--split needs to leave series to train on, got 0.9 of 4$"),
        (3, np.array(["a", "a", "b"]), None, 0.5, DataError, "at least 2 series of every class, got 1 of class 'b'$"),
        (8, np.arange(8) // 2, None, 0.25, ParameterError, "each of the 4 classes on either side, got 0.25 of 8"),
    ],
)  # fmt: skip
def test_a_share_that_cannot_be_held_out_is_refused(
    n: int, y: NDArray[np.generic], groups: NDArray[np.generic] | None, fraction: float, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        holdout(series(n), y, groups, fraction, classifier=True, random_state=0)


def test_targets_at_every_step_are_held_out_by_series() -> None:
    train, test = holdout(series(8), series(8), None, 0.25, classifier=True, random_state=0)
    assert (len(train), len(test)) == (6, 2)


def test_given_folds_are_the_same_by_index_and_as_masks_and_from_a_generator() -> None:
    pairs = [([2, 3, 5], [0, 1]), ([0], np.array([4, 2], np.uint8))]
    masks = [(np.isin(np.arange(6), train), np.isin(np.arange(6), test)) for train, test in pairs]
    for given in (pairs, iter(pairs), masks):
        for (train, test), (own_train, own_test) in zip(pairs, given_folds(given, 6), strict=True):
            assert own_train.dtype == own_test.dtype == np.intp
            np.testing.assert_array_equal(own_train, train)
            np.testing.assert_array_equal(np.sort(own_test), np.sort(test))


@pytest.mark.parametrize(
    ("cv", "error", "words"),
    [
        ([], ParameterError, "at least one fold, got none"),
        (2.5, ParameterError, r"pairs of training and test indices, got 2\.5"),
        ([[0, 1, 2]], ParameterError, r"pairs of training and test indices, got \[\[0, 1, 2\]\]"),
        ([([0], [1]), ([0], [6])], ParameterError, r"the 6 series on both sides of fold 1, got \[6\]"),
        ([([0], [-1])], ParameterError, r"of fold 0, got \[-1\]"),
        ([([0], [1.0])], ParameterError, r"of fold 0, got \[1\.0\]"),
        ([([0], [])], ParameterError, r"of fold 0, got \[\]"),
        ([([0], [[1]])], ParameterError, r"of fold 0, got \[\[1\]\]"),
        ([([0], [False, True])], ParameterError, "of fold 0, got"),  # a mask of fewer series
        ([([0], [False] * 6)], ParameterError, "of fold 0, got"),
        ([([0, 1], [1, 2])], DataError, "every series on one side, got series 1 on both sides of fold 0"),
    ],
)
def test_given_folds_that_are_none_are_refused_with_what_was_wrong(
    cv: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        given_folds(cv, 6)
