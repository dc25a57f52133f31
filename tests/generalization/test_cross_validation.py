"""``cross_validate``: a fold's row is what fitting and scoring that fold by hand gives.

That scikit-learn's functions give the same is in ``test_scikit_learn_contract.py``; here the oracle is a loop.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from throughtime import SequenceClassifier, SequenceRegressor, Sequences, cross_validate

N = 30
RNG = np.random.default_rng(3)
Y = np.arange(N) % 2
ARRAYS = [RNG.normal(size=(length, 2)) + label for length, label in zip(RNG.integers(2, 7, N), Y, strict=True)]
X = Sequences.from_arrays(ARRAYS)
STEPS = [np.where(RNG.random(len(x)) < 0.3, np.nan, x[:, 0]) for x in ARRAYS]
for own in STEPS:
    own[-1] = 0.5
NET = {"hidden_size": 4, "max_epochs": 3, "batch_size": 8, "random_state": 1}


def part(values: list[np.ndarray], rows: np.ndarray) -> list[np.ndarray]:
    return [values[row] for row in rows]


def test_every_score_is_that_of_the_fold_fitted_alone():
    found = cross_validate(
        SequenceClassifier(**NET),
        X,
        Y,
        cv=StratifiedKFold(4, shuffle=True, random_state=0),
        scoring=("accuracy", "neg_log_loss"),
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    assert list(found) == [
        "fit_time", "score_time", "estimator", "indices", "test_accuracy", "train_accuracy", "test_neg_log_loss",
        "train_neg_log_loss",
    ]  # fmt: skip
    splits = list(StratifiedKFold(4, shuffle=True, random_state=0).split(np.zeros(N), Y))
    for fold, (train, test) in enumerate(splits):
        assert np.array_equal(found["indices"]["train"][fold], train)
        assert np.array_equal(found["indices"]["test"][fold], test)
        alone = SequenceClassifier(**NET).fit(part(ARRAYS, train), Y[train])
        for name, rows in (("test", test), ("train", train)):
            own = part(ARRAYS, rows)
            assert found[f"{name}_accuracy"][fold] == accuracy_score(Y[rows], alone.predict(own))
            # the scorer makes the other class's probability anew, as 1 - p
            expected = -log_loss(Y[rows], alone.predict_proba(own))
            assert found[f"{name}_neg_log_loss"][fold] == pytest.approx(expected, rel=1e-14)
        fitted = found["estimator"][fold]
        assert np.array_equal(fitted.predict_proba(X), alone.predict_proba(X))
    for name in ("fit_time", "score_time", "test_accuracy"):
        assert found[name].shape == (4,)
        assert found[name].dtype == np.float64


@pytest.mark.parametrize(
    ("scoring", "metric"), [(None, r2_score), ("r2", r2_score), ("neg_mean_absolute_error", mean_absolute_error)]
)
def test_targets_at_every_step_are_scored_over_the_observed_steps_of_the_test_series(scoring, metric):
    estimator = SequenceRegressor(**NET, burn_in=1)
    found = cross_validate(estimator, X, STEPS, cv=KFold(3), scoring=scoring)["test_score"]
    for fold, (train, test) in enumerate(KFold(3).split(np.zeros(N))):
        alone = SequenceRegressor(**NET, burn_in=1).fit(part(ARRAYS, train), part(STEPS, train))
        predicted = alone.predict(part(ARRAYS, test))
        truth = np.concatenate([y[1:] for y in part(STEPS, test)])
        predictions = np.concatenate([y[1:, 0] for y in predicted])
        seen = ~np.isnan(truth)
        expected = metric(truth[seen], predictions[seen])
        assert found[fold] == (-expected if metric is mean_absolute_error else expected)


def test_weights_and_groups_reach_their_series():
    weights, groups = RNG.uniform(0.1, 3, N), np.arange(N) // 3
    options = NET | {"early_stopping": True, "validation_fraction": 0.3}
    params = {"sample_weight": weights, "groups": groups}
    found = cross_validate(
        SequenceClassifier(**options), X, Y, cv=GroupKFold(3), groups=groups, params=params, return_estimator=True
    )
    for fold, (train, _) in enumerate(GroupKFold(3).split(np.zeros(N), Y, groups)):
        alone = SequenceClassifier(**options).fit(
            part(ARRAYS, train), Y[train], sample_weight=weights[train], groups=groups[train]
        )
        assert np.array_equal(found["estimator"][fold].predict_proba(X), alone.predict_proba(X))


def test_groups_that_series_bring_along_divide_and_guard_the_inner_split():
    grouped = Sequences.from_arrays(ARRAYS, groups=np.arange(N) // 3)
    options = NET | {"early_stopping": True, "validation_fraction": 0.3}
    found = cross_validate(SequenceClassifier(**options), grouped, Y, cv=GroupKFold(3), return_estimator=True)
    for fold, (train, _) in enumerate(GroupKFold(3).split(np.zeros(N), Y, grouped.groups)):
        alone = SequenceClassifier(**options).fit(grouped[train].packed(), Y[train])
        assert np.array_equal(found["estimator"][fold].predict_proba(X), alone.predict_proba(X))


def test_a_fold_with_one_class_fails_alone_and_is_told():
    y = np.zeros(N, dtype=int)
    y[:5] = 1  # the first of six folds holds them all
    with pytest.warns(FitFailedWarning, match=r"1 fits failed out of a total of 6[\s\S]*at least two classes, got one"):
        found = cross_validate(SequenceClassifier(**NET), X, y, cv=KFold(6), error_score=-7.0)
    assert found["test_score"][0] == -7.0
    train = np.arange(5, N)
    for fold in range(1, 6):
        rows = np.setdiff1d(np.arange(N), train[(fold - 1) * 5 : fold * 5])
        alone = SequenceClassifier(**NET).fit(part(ARRAYS, rows), y[rows])
        held = np.setdiff1d(np.arange(N), rows)
        assert found["test_score"][fold] == alone.score(part(ARRAYS, held), y[held])


def test_where_all_folds_fail_it_says_so():
    with pytest.raises(ValueError, match=r"All the 3 fits failed[\s\S]*a classifier needs at least two classes"):
        cross_validate(SequenceClassifier(**NET), X, np.zeros(N, dtype=int), cv=KFold(3))


def test_the_estimator_given_stays_unfitted_and_nothing_is_told_that_need_not_be():
    estimator = SequenceClassifier(**NET)
    before = estimator.get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_validate(estimator, X, Y, cv=3)
    assert not hasattr(estimator, "module_")
    assert estimator.get_params() == before
