"""Shuffled labels: what a test by them needs."""

from typing import Any

import numpy as np
import pytest
import sklearn.model_selection as theirs
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupKFold

from throughtime import SequenceClassifier, SequenceRegressor, permutation_test_score
from throughtime.data import Sequences, as_sequences
from throughtime.errors import ParameterError

NET: dict[str, Any] = {"cell": "rnn", "hidden_size": 2, "max_epochs": 1, "random_state": 0}
X = np.random.default_rng(0).normal(size=(12, 4, 1)).astype("float32")
GROUPS = np.repeat(["a", "b", "c", "d"], 3)
CONSTANT = np.repeat([0, 1, 1, 0], 3)
CALL: dict[str, Any] = {"cv": GroupKFold(2), "n_permutations": 3, "scoring": "neg_log_loss"}
VOID = "^a permutation within groups needs a group whose labels differ, got one label in each of 4 groups: every"


def test_shuffles_within_groups_of_one_label_are_void_in_scikit_learn() -> None:
    _, shuffled, share = theirs.permutation_test_score(SequenceClassifier(**NET), X, CONSTANT, groups=GROUPS, **CALL)
    assert len(set(shuffled)) == 1
    assert share == 1.0


@pytest.mark.parametrize("labels", [CONSTANT, CONSTANT.tolist(), np.array(["no", "yes"])[CONSTANT]])
@pytest.mark.parametrize("estimator", [SequenceClassifier(**NET), DummyClassifier()])
def test_a_permutation_that_changes_nothing_is_refused(estimator: Any, labels: Any) -> None:
    given = X[:, :, 0] if isinstance(estimator, DummyClassifier) else X
    with pytest.raises(ParameterError, match=VOID):
        permutation_test_score(estimator, given, labels, groups=GROUPS, **CALL)


def test_the_groups_that_series_bring_along_make_it_void_too() -> None:
    brought = as_sequences(X).replace(groups=GROUPS)
    with pytest.raises(ParameterError, match=VOID):
        permutation_test_score(SequenceClassifier(**NET), brought, CONSTANT, **CALL)
    # splits alone take no groups: all labels are shuffled, and the scores differ
    splits = list(GroupKFold(2).split(X, CONSTANT, GROUPS))
    found = permutation_test_score(SequenceClassifier(**NET), brought, CONSTANT, **CALL | {"cv": splits})
    assert len(set(found[1])) > 1


def test_one_group_whose_labels_differ_is_enough() -> None:
    labels = CONSTANT.copy()
    labels[0] = 1
    one = permutation_test_score(SequenceClassifier(**NET), X, labels, groups=GROUPS, **CALL)
    other = theirs.permutation_test_score(SequenceClassifier(**NET), X, labels, groups=GROUPS, **CALL)
    assert one[0] == other[0]
    assert np.array_equal(one[1], other[1])


def test_targets_at_each_step_change_places_between_series_of_one_length_only() -> None:
    net = SequenceRegressor(**NET)
    ragged = Sequences.from_arrays([X[k, : 3 + k % 2] for k in range(12)])
    with pytest.raises(ParameterError, match=r"^a permutation of targets at each step needs series of one length, got"):
        permutation_test_score(net, ragged, Sequences(ragged.values, ragged.offsets), cv=2, n_permutations=2)
    score, shuffled, _ = permutation_test_score(net, X, X[:, :, 0], cv=2, n_permutations=3)
    assert np.isfinite([score, *shuffled]).all()
    same = np.tile(X[:4, :, 0], (1, 3)).reshape(12, 4)
    with pytest.raises(ParameterError, match=VOID):
        permutation_test_score(net, X, same, groups=GROUPS, **CALL)
