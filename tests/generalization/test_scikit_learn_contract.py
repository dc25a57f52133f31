"""scikit-learn's functions and ours, run on the same estimators: every key, shape, dtype, value and error."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import sklearn.model_selection as theirs
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import throughtime as ours
from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences, as_sequences
from throughtime.errors import DivergenceError

# Some thousand fits: checking the types of each call's calls would take three times as long as the calls.
pytestmark = pytest.mark.usefixtures("types_unchecked")

RNG = np.random.default_rng(7)
N = 24
FLAT = RNG.normal(size=(N, 6)).astype("float32")
CUBE = RNG.normal(size=(N, 5, 2)).astype("float32")
RAGGED = Sequences.from_arrays([RNG.normal(size=(3 + i % 4, 2)).astype("float32") for i in range(N)])
GAPPY = as_sequences(np.where(RNG.random(CUBE.shape) < 0.1, np.nan, CUBE))
Y = np.arange(N) % 2
NAMES = np.array(["ebb", "flow", "slack"])[np.arange(N) % 3]
NUMBERS = CUBE[:, :, 0].mean(1) + 0.1 * RNG.normal(size=N)
GROUPS = np.arange(N) // 3

NET: dict[str, Any] = {"hidden_size": 3, "max_epochs": 2, "batch_size": 8, "random_state": 0, "cell": "rnn"}
CLASSIFIER = SequenceClassifier(**NET)
REGRESSOR = SequenceRegressor(**NET)


class Times(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scales whole arrays by what it saw in fit, so that each fold's series are others."""

    def fit(self, X: Any, y: Any = None) -> "Times":  # noqa: ARG002
        self.scale_ = np.abs(np.asarray(X)).max()
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X) / self.scale_


def by_first_step(estimator: Any, X: Any, y: Any) -> float:
    """A scorer that needs X as the caller gave it."""
    return float(np.mean(estimator.predict(X) == y) + X[0][0][0])


def two_numbers(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"hits": float(np.mean(estimator.predict(X) == y)), "n": float(len(y))}


def failing(estimator: Any, X: Any, y: Any) -> float:  # noqa: ARG001
    if len(y) and 0 in y[:1]:
        raise RuntimeError("no score today")
    return 1.0


def never(estimator: Any, X: Any, y: Any) -> float:  # noqa: ARG001
    raise KeyError("no score at all")


def outcome(call: Callable[[], Any]) -> tuple[Any, list[tuple[type, str]]]:
    """A result or the error's type and message; and the warnings, without tracebacks, whose frames may differ."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = call()
        except Exception as error:
            found = type(error), str(error).split("Traceback")[0]
    return found, [(each.category, str(each.message).split("Traceback")[0]) for each in told]


def assert_same(one: Any, other: Any, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, Mapping):
        assert list(one) == list(other), path
        for key in one:
            if key.endswith("_time"):
                assert np.shape(one[key]) == np.shape(other[key])
                assert (np.asarray(one[key]) >= 0).all()
            else:
                assert_same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{path}[{index}]")
    elif isinstance(one, np.ma.MaskedArray):
        assert one.dtype == other.dtype, path
        np.testing.assert_array_equal(one.mask, other.mask, path)
        assert one.compressed().tolist() == other.compressed().tolist(), path
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, path
        np.testing.assert_array_equal(one, other, path)
    elif isinstance(one, SequenceClassifier | SequenceRegressor):
        assert str(one) == str(other), path
        assert hasattr(one, "module_") == hasattr(other, "module_"), path
        if hasattr(one, "module_"):
            states = one.module_.state_dict(), other.module_.state_dict()
            assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True)), path
            assert one.n_features_in_ == other.n_features_in_
    elif isinstance(one, float):
        assert one == other or (np.isnan(one) and np.isnan(other)), path
    elif isinstance(one, str | int | bool | type | None | np.generic):
        assert one == other or one != one, path
    else:
        assert str(one) == str(other), path


def assert_equal_outcomes(name: str, *arguments: Any, **options: Any) -> None:
    one = outcome(lambda: getattr(ours, name)(*arguments, **options))
    other = outcome(lambda: getattr(theirs, name)(*arguments, **options))
    assert_same(one, other, name)


PIPELINE = make_pipeline(Times(), CLASSIFIER)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("cross_validate", (CLASSIFIER, RAGGED, Y), {}),
    ("cross_validate", (CLASSIFIER, CUBE, NAMES), {"cv": 3, "return_train_score": True, "return_estimator": True}),
    ("cross_validate", (CLASSIFIER, FLAT, Y), {"cv": KFold(4), "return_indices": True, "return_estimator": True}),
    ("cross_validate", (CLASSIFIER, GAPPY, Y), {"cv": 3, "return_train_score": True}),
    ("cross_validate", (CLASSIFIER, list(RAGGED), Y), {"cv": 3, "scoring": ["accuracy", "roc_auc", "f1"]}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": 3, "scoring": by_first_step, "return_train_score": True}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": 3, "scoring": two_numbers}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": 3, "scoring": {"a": "accuracy", "b": "neg_log_loss"}}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": KFold(3), "scoring": failing}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": KFold(3), "scoring": failing, "error_score": "raise"}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": GroupKFold(4), "groups": GROUPS}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": GroupKFold(4)}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": 3, "params": {"sample_weight": 1.0 + np.arange(N)}}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": 13}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": KFold(25)}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": "three"}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"scoring": "accuracies"}),
    ("cross_validate", (CLASSIFIER, CUBE, Y[:-1]), {"cv": 3}),
    ("cross_validate", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": KFold(4)}),
    ("cross_validate", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": KFold(2)}),
    ("cross_validate", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": KFold(2), "error_score": "raise"}),
    ("cross_validate", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": KFold(4), "error_score": 0.25, "return_estimator": True}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"error_score": "ignore"}),
    ("cross_validate", (SequenceClassifier(**NET | {"lr": -1.0}), CUBE, Y), {"cv": 3}),
    ("cross_validate", (SequenceRegressor(**NET | {"lr": 1e12, "optimizer": "sgd"}), CUBE, NUMBERS), {"cv": 3}),
    ("cross_validate", (SequenceClassifier(**NET | {"early_stopping": True}), CUBE, Y), {"cv": 3}),
    ("cross_validate", (CLASSIFIER, CUBE, Y), {"cv": LeaveOneOut()}),
    ("cross_validate", (REGRESSOR, RAGGED, NUMBERS), {"cv": TimeSeriesSplit(3), "scoring": "r2"}),
    ("cross_validate", (PIPELINE, CUBE, Y), {"cv": 3, "return_train_score": True}),
    ("cross_validate", (make_pipeline(StandardScaler(), CLASSIFIER), FLAT, Y), {"cv": 3}),
    ("cross_validate", (make_pipeline(CLASSIFIER, LogisticRegression()), CUBE, Y), {"cv": 3}),
    ("cross_validate", (LogisticRegression(), FLAT, Y), {"cv": 3}),
    ("cross_validate", (CLASSIFIER,), {"X": CUBE}),
    ("cross_validate", (SequenceClassifier, CUBE, Y), {}),
    ("cross_val_score", (CLASSIFIER, RAGGED, Y), {"cv": 3}),
    ("cross_val_score", (CLASSIFIER, CUBE, Y), {"cv": 3, "scoring": "roc_auc"}),
    ("cross_val_score", (CLASSIFIER, CUBE, Y), {"cv": 3, "scoring": ["accuracy"]}),
    ("cross_val_score", (REGRESSOR, CUBE, NUMBERS), {"cv": ShuffleSplit(3, random_state=1)}),
    ("cross_val_score", (DummyClassifier(), FLAT, Y), {"cv": 3}),
    ("cross_val_predict", (CLASSIFIER, RAGGED, NAMES), {"cv": 3}),
    ("cross_val_predict", (CLASSIFIER, CUBE, NAMES), {"cv": KFold(3, shuffle=True, random_state=1)}),
    ("cross_val_predict", (CLASSIFIER, CUBE, NAMES), {"cv": 3, "method": "predict_proba"}),
    ("cross_val_predict", (CLASSIFIER, CUBE, np.sort(NAMES)), {"cv": KFold(3), "method": "predict_proba"}),
    ("cross_val_predict", (CLASSIFIER, CUBE, NAMES), {"cv": 3, "method": "decision_function"}),
    ("cross_val_predict", (CLASSIFIER, CUBE, NAMES), {"cv": 3, "method": "guess"}),
    ("cross_val_predict", (CLASSIFIER, CUBE, Y), {"cv": ShuffleSplit(3)}),
    ("cross_val_predict", (CLASSIFIER, CUBE, Y), {"cv": TimeSeriesSplit(3)}),
    ("cross_val_predict", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": KFold(2)}),
    ("cross_val_predict", (REGRESSOR, CUBE, NUMBERS), {"cv": LeaveOneOut()}),
    ("cross_val_predict", (PIPELINE, CUBE, Y), {"cv": 3}),
    ("learning_curve", (CLASSIFIER, RAGGED, Y), {"cv": 3, "train_sizes": [0.5, 1.0], "shuffle": True,
                                                 "random_state": 0}),
    ("learning_curve", (CLASSIFIER, CUBE, Y), {"cv": 3, "train_sizes": [6, 9, 16]}),
    ("learning_curve", (CLASSIFIER, CUBE, Y), {"cv": 3, "train_sizes": [99]}),
    ("learning_curve", (CLASSIFIER, CUBE, Y), {"cv": 3, "train_sizes": [1.5]}),
    ("learning_curve", (CLASSIFIER, CUBE, np.sort(Y)), {"cv": StratifiedKFold(3), "train_sizes": [3, 16]}),
    ("learning_curve", (CLASSIFIER, CUBE, Y), {"exploit_incremental_learning": True}),
    ("validation_curve", (CLASSIFIER, CUBE, Y), {"param_name": "lr", "param_range": [0.01, 0.1], "cv": 3}),
    ("validation_curve", (CLASSIFIER, CUBE, Y), {"param_name": "hidden_size", "param_range": [2, 3], "cv": 2}),
    ("validation_curve", (CLASSIFIER, CUBE, Y), {"param_name": "lr", "param_range": [0.01, -0.1], "cv": 2}),
    ("validation_curve", (CLASSIFIER, CUBE, Y), {"param_name": "rate", "param_range": [0.01], "cv": 2}),
    ("permutation_test_score", (CLASSIFIER, RAGGED, Y), {"cv": 2, "n_permutations": 4}),
    ("permutation_test_score", (REGRESSOR, CUBE, NUMBERS), {"cv": 2, "n_permutations": 3, "scoring": "r2"}),
    ("permutation_test_score", (CLASSIFIER, CUBE, Y), {"cv": 2, "n_permutations": 3, "groups": GROUPS % 2}),
    ("permutation_test_score", (CLASSIFIER, CUBE, Y), {"cv": 2, "n_permutations": 0}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "options"), CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_our_functions_return_warn_and_raise_as_scikit_learns(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    assert_equal_outcomes(name, *arguments, **options)


GRID = {"lr": [0.01, 0.1], "hidden_size": [2, 3]}
ATTRIBUTES = (
    "cv_results_", "best_index_", "best_params_", "best_score_", "best_estimator_", "scorer_", "n_splits_",
    "multimetric_", "classes_", "n_features_in_",
)  # fmt: skip


def searched(search: Any, X: Any, y: Any, **params: Any) -> dict[str, Any]:
    search.fit(X, y, **params)
    found = {name: getattr(search, name) for name in ATTRIBUTES if hasattr(search, name)}
    assert hasattr(search, "refit_time_") == bool(search.refit)
    if search.refit:
        found["predictions"], found["score"] = search.predict(X), search.score(X, y)
    return found


SEARCHES: list[tuple[Any, Any, dict[str, Any]]] = [
    (GRID, CUBE, {"cv": 3}),
    (GRID, RAGGED, {"cv": 3, "return_train_score": True}),
    ([{"lr": [0.01]}, {"dropout": [0.1, 0.5], "cell": ["rnn", "gru"]}], CUBE, {"cv": 2}),
    (GRID, FLAT, {"cv": KFold(2), "scoring": ["accuracy", "roc_auc"], "refit": "roc_auc"}),
    (GRID, CUBE, {"cv": 2, "scoring": ["accuracy", "roc_auc"]}),
    (GRID, CUBE, {"cv": 2, "scoring": ["accuracy", "roc_auc"], "refit": False}),
    (GRID, CUBE, {"cv": 2, "refit": False}),
    (GRID, CUBE, {"cv": 2, "refit": lambda results: int(np.argmin(results["mean_test_score"]))}),
    (GRID, CUBE, {"cv": 2, "refit": lambda _: 99}),
    (GRID, CUBE, {"cv": 2, "scoring": two_numbers, "refit": "hits"}),
    ({"lr": [0.01, -1.0]}, CUBE, {"cv": 2}),
    ({"lr": [0.01, -1.0]}, CUBE, {"cv": 2, "error_score": 0.0, "return_train_score": True}),
    ({"lr": [0.01, -1.0]}, CUBE, {"cv": 2, "error_score": "raise"}),
    ({"lr": [-1.0]}, CUBE, {"cv": 2}),
    ({"rate": [1]}, CUBE, {"cv": 2}),
    ({"lr": []}, CUBE, {"cv": 2}),
    ({"lr": 0.1}, CUBE, {"cv": 2}),
    (GRID, CUBE, {"cv": 2, "refit": 3.5}),
]


@pytest.mark.parametrize(("grid", "X", "options"), SEARCHES)
def test_a_search_has_the_attributes_and_errors_of_grid_search(grid: Any, X: Any, options: dict[str, Any]) -> None:
    one = outcome(lambda: searched(LockstepSearchCV(CLASSIFIER, grid, **options), X, Y))
    other = outcome(lambda: searched(GridSearchCV(CLASSIFIER, grid, **options), X, Y))
    assert_same(*(_renamed(each) for each in (one, other)))


def _renamed(found: Any) -> Any:
    result, told = found
    if isinstance(result, tuple) and isinstance(result[1], str):
        result = result[0], result[1].replace("LockstepSearchCV", "GridSearchCV")
    return result, told


# Decay alone moves the weights, by 1 - lr lambda/n per step: 16 series halve the rest, 4 make it five times as much.
DIVERGING = SequenceRegressor(
    **NET | {"optimizer": "sgd", "momentum": 0.0, "clip_norm": None, "lr": 1e-3, "weight_decay": 24e3,
             "lr_schedule": "constant", "batch_size": 4, "max_epochs": 32}
)  # fmt: skip
UNEQUAL = [(np.arange(4), np.arange(12, 24)), (np.arange(4, 24), np.arange(4)), (np.arange(16), np.arange(16, 24))]
PARTED = [(np.arange(4), np.arange(4, 24)), (np.arange(4, 24), np.arange(4))]
ONE_CLASS = [(np.arange(12, 24), np.arange(12)), (np.arange(3, 15), np.arange(12, 24))]

BAD: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "test folds with one class": (CLASSIFIER, np.sort(Y), {"cv": KFold(4)}),
    "a training fold with one class": (CLASSIFIER, np.sort(Y), {"cv": ONE_CLASS}),
    "only training folds with one class": (CLASSIFIER, np.sort(Y), {"cv": KFold(2)}),
    "a member that diverges": (DIVERGING, NUMBERS, {"cv": UNEQUAL}),
    "more folds than series": (CLASSIFIER, Y, {"cv": KFold(25)}),
    "more folds than series of a class": (CLASSIFIER, Y, {"cv": 13}),
    "one fold": (CLASSIFIER, Y, {"cv": 1}),
    "groups missing": (CLASSIFIER, Y, {"cv": GroupKFold(4)}),
    "groups of another length": (CLASSIFIER, Y, {"cv": GroupKFold(4), "groups": GROUPS[:-1]}),
    "more folds than groups": (CLASSIFIER, Y, {"cv": GroupKFold(9), "groups": GROUPS}),
    "a scorer that raises": (CLASSIFIER, Y, {"cv": KFold(3), "scoring": failing}),
    "a scorer that raises always": (CLASSIFIER, Y, {"cv": KFold(3), "scoring": never}),
    "no such scorer": (CLASSIFIER, Y, {"cv": KFold(3), "scoring": "accuracies"}),
    "a scorer of the other kind": (REGRESSOR, NUMBERS, {"cv": 3, "scoring": "roc_auc"}),
    "lengths that differ": (CLASSIFIER, Y[:-1], {"cv": 3}),
    "a target that is not a number": (REGRESSOR, np.where(np.arange(N) == 5, np.nan, NUMBERS), {"cv": 3}),
}
ALWAYS_RAISE = "cross_val_predict", "permutation_test_score"
MORE: dict[str, dict[str, Any]] = {
    "cross_validate": {"return_train_score": True},
    "cross_val_score": {},
    "cross_val_predict": {},
    "learning_curve": {"train_sizes": [0.5, 1.0]},
    "validation_curve": {"param_name": "dropout", "param_range": [0.0, 0.5]},
    "permutation_test_score": {"n_permutations": 2},
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("name", "error_score"),
    [(name, {}) for name in MORE] + [(name, {"error_score": "raise"}) for name in MORE if name not in ALWAYS_RAISE],
)
def test_bad_input_is_answered_as_scikit_learn_answers_it(name: str, error_score: dict[str, Any], bad: str) -> None:
    estimator, y, options = BAD[bad]
    options = MORE[name] | options | error_score
    if name == "cross_val_predict":
        options.pop("scoring", None)
        if options["cv"] is UNEQUAL:
            options["cv"] = PARTED
    assert_equal_outcomes(name, estimator, CUBE, y, **options)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("error_score", [np.nan, "raise"])
def test_bad_input_is_answered_by_a_search_as_by_grid_search(bad: str, error_score: Any) -> None:
    estimator, y, options = BAD[bad]
    options = dict(options)
    given = {"groups": options.pop("groups")} if "groups" in options else {}
    options |= {"param_grid": {"dropout": [0.0, 0.5]}, "error_score": error_score}
    one = outcome(lambda: searched(LockstepSearchCV(estimator, **options), CUBE, y, **given))
    other = outcome(lambda: searched(GridSearchCV(estimator, **options), CUBE, y, **given))
    assert_same(*(_renamed(each) for each in (one, other)))


STEP_BAD: dict[str, tuple[Any, dict[str, Any]]] = {
    "a member that diverges": (DIVERGING, {"cv": UNEQUAL}),
    "more folds than series": (REGRESSOR, {"cv": KFold(25)}),
    "groups missing": (REGRESSOR, {"cv": GroupKFold(4)}),
    "more folds than groups": (REGRESSOR, {"cv": GroupKFold(9), "groups": GROUPS}),
    "groups of another length": (REGRESSOR, {"cv": GroupKFold(4), "groups": GROUPS[:-1]}),
    "a bad parameter": (SequenceRegressor(**NET | {"horizon": 3, "known": [9]}), {"cv": 3}),
}


@pytest.mark.parametrize("bad", STEP_BAD)
@pytest.mark.parametrize("name", ["cross_validate", "cross_val_score", "learning_curve", "validation_curve"])
def test_bad_input_with_targets_at_each_step_is_answered_as_scikit_learn_answers_it(name: str, bad: str) -> None:
    estimator, options = STEP_BAD[bad]
    X = as_sequences(CUBE)
    y = Sequences(X.values[:, :1], X.offsets)
    assert_equal_outcomes(name, estimator, X, y, **MORE[name] | options)


def test_a_member_that_diverges_leaves_the_others_their_results() -> None:
    with pytest.warns(theirs._validation.FitFailedWarning, match="1 fits failed out of a total of 3"):
        found = ours.cross_validate(DIVERGING, CUBE, NUMBERS, cv=UNEQUAL, return_estimator=True)
    assert np.isnan(found["test_score"]).tolist() == [True, False, False]
    for score, (train, test) in list(zip(found["test_score"], UNEQUAL, strict=True))[1:]:
        assert score == clone(DIVERGING).fit(CUBE[train], NUMBERS[train]).score(CUBE[test], NUMBERS[test])
    with pytest.raises(DivergenceError, match=r"^training needs finite losses and weights, got a loss of"):
        ours.cross_val_predict(DIVERGING, CUBE, NUMBERS, cv=PARTED)


def test_a_sampled_search_draws_what_randomized_search_draws() -> None:
    space = {"lr": [0.01, 0.03, 0.1], "weight_decay": [0.0, 1.0, 10.0]}
    options: dict[str, Any] = {"n_iter": 4, "random_state": 3, "cv": 2}
    one = searched(LockstepSearchCV(CLASSIFIER, param_distributions=space, **options), CUBE, Y)
    other = searched(RandomizedSearchCV(CLASSIFIER, space, **options), CUBE, Y)
    assert_same(one, other)


def test_a_search_over_a_pipeline_and_over_its_final_step_is_grid_searchs() -> None:
    grid = {"sequenceclassifier": [CLASSIFIER, clone(CLASSIFIER).set_params(cell="gru")], "times": [Times(), None]}
    one = searched(LockstepSearchCV(PIPELINE, grid, cv=2), CUBE, Y)
    other = searched(GridSearchCV(PIPELINE, grid, cv=2), CUBE, Y)
    for found in (one, other):
        for key in ("param_sequenceclassifier", "param_times", "params"):
            found["cv_results_"][key] = str(found["cv_results_"][key])
        found["best_params_"] = str(found["best_params_"])
    assert_same(one, other)


def test_groups_reach_the_splitter_of_a_search() -> None:
    options: dict[str, Any] = {"cv": GroupKFold(3), "param_grid": GRID}
    given = searched(LockstepSearchCV(CLASSIFIER, **options), CUBE, Y, groups=GROUPS)
    assert_same(given, searched(GridSearchCV(CLASSIFIER, **options), CUBE, Y, groups=GROUPS))
    brought = searched(LockstepSearchCV(CLASSIFIER, **options), as_sequences(CUBE).replace(groups=GROUPS), Y)
    assert_same(given["cv_results_"], brought["cv_results_"])


@pytest.mark.parametrize("both", [{}, {"param_grid": GRID, "param_distributions": GRID}])
def test_a_search_needs_one_of_grid_and_distributions(both: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^LockstepSearchCV needs one of param_grid and param_distributions, got"):
        LockstepSearchCV(CLASSIFIER, **both).fit(CUBE, Y)


def test_metadata_is_routed_as_scikit_learn_routes_it() -> None:
    from sklearn import config_context

    weights = 1.0 + np.arange(N) % 5
    with config_context(enable_metadata_routing=True):
        asked = clone(CLASSIFIER).set_fit_request(sample_weight=True)
        calls: list[dict[str, Any]] = [
            {"params": {"sample_weight": weights}, "cv": 3},
            {"params": {"groups": GROUPS}, "cv": GroupKFold(3)},
            {"groups": GROUPS, "cv": GroupKFold(3)},
        ]
        for options in calls:
            assert_equal_outcomes("cross_validate", asked, CUBE, Y, **options)
        assert_equal_outcomes("cross_validate", CLASSIFIER, CUBE, Y, params={"sample_weight": weights}, cv=3)


def test_nested_cross_validation_is_a_grid_search_in_every_fold() -> None:
    grid = {"lr": [0.01, 0.1], "weight_decay": [0.0, 1.0]}
    one = ours.nested_cross_validate(CLASSIFIER, CUBE, Y, param_grid=grid, cv=3, inner_cv=2, return_train_score=True)
    search = GridSearchCV(CLASSIFIER, grid, cv=2)
    other = theirs.cross_validate(search, CUBE, Y, cv=3, return_train_score=True, return_estimator=True)
    expected = [found.best_params_ for found in other.pop("estimator")]
    assert one.pop("best_params") == expected
    assert_same(one, dict(other))


def test_nested_cross_validation_keeps_groups_whole_in_both_loops() -> None:
    grid = {"lr": [0.01, 0.1]}
    X = as_sequences(CUBE).replace(groups=GROUPS)
    found = ours.nested_cross_validate(
        CLASSIFIER, X, Y, param_grid=grid, cv=3, inner_cv=2, return_indices=True, return_estimator=True
    )
    for train, test in zip(found["indices"]["train"], found["indices"]["test"], strict=True):
        assert not set(GROUPS[train]) & set(GROUPS[test])
    other = theirs.cross_validate(
        GridSearchCV(CLASSIFIER, grid, cv=theirs.StratifiedGroupKFold(2)),
        CUBE, Y, groups=GROUPS, cv=theirs.StratifiedGroupKFold(3), params={"groups": GROUPS},
    )  # fmt: skip
    np.testing.assert_array_equal(found["test_score"], other["test_score"])


def test_the_signatures_are_scikit_learns_and_what_lockstep_adds() -> None:
    from inspect import signature

    for name in ("cross_validate", "cross_val_score", "cross_val_predict", "learning_curve", "validation_curve",
                 "permutation_test_score"):  # fmt: skip
        own, other = signature(getattr(ours, name)).parameters, signature(getattr(theirs, name)).parameters
        watched = ["observers"] if name == "cross_validate" else []
        assert list(own) == [*other, "memory_budget", "checkpoints", *watched]
        for key, parameter in other.items():
            assert own[key].kind == parameter.kind
            assert np.array_equal(own[key].default, parameter.default, equal_nan=isinstance(parameter.default, float))


def test_a_learning_curve_can_give_times() -> None:
    *curve, fit_times, score_times = ours.learning_curve(
        CLASSIFIER, CUBE, Y, cv=3, train_sizes=[6, 9], return_times=True
    )
    assert_same(tuple(curve), theirs.learning_curve(CLASSIFIER, CUBE, Y, cv=3, train_sizes=[6, 9]))
    assert fit_times.shape == score_times.shape == (2, 3)
    assert (fit_times > 0).all()


@pytest.mark.parametrize("budget", [1, 40_000, None])
def test_no_result_depends_on_how_many_members_memory_holds(budget: float | None) -> None:
    whole = ours.cross_validate(CLASSIFIER, RAGGED, Y, cv=4, return_estimator=True, return_train_score=True)
    split = ours.cross_validate(
        CLASSIFIER, RAGGED, Y, cv=4, return_estimator=True, return_train_score=True, memory_budget=budget
    )
    assert_same(whole, split)
