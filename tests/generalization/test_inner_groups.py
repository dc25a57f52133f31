"""Groups that a function is given are whole in the inner split of early stopping too, wherever the network is."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn.model_selection as theirs
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import throughtime as ours
from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences, as_sequences
from throughtime.displays import LearningCurveDisplay, ValidationCurveDisplay
from throughtime.errors import DataError, DataWarning
from throughtime.generalization import compare_estimators, nested_cross_validate, nested_cv_interval

pytestmark = pytest.mark.usefixtures("types_unchecked")

N = 32
RNG = np.random.default_rng(1)
X = RNG.normal(size=(N, 4, 2))
X[:, 0, 0] = np.arange(N)  # so that a series tells its row
Y = np.arange(N) % 2
STEPS = as_sequences(X[:, :, :1] * X[:, :, 1:])
GROUPS = np.array([f"g{k}" for k in RNG.permutation(np.arange(N) // 4)])
OTHERS = np.array([f"h{k}" for k in np.arange(N) % 3])
NET: dict[str, Any] = {"hidden_size": 2, "max_epochs": 3, "batch_size": 16, "lr": 0.1, "random_state": 0, "cell": "rnn",
                       "early_stopping": True, "validation_fraction": 0.3}  # fmt: skip
GRID = {"lr": [0.05, 0.1]}


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


def rows_of(X: Any) -> np.ndarray:
    return np.array([series[0, 0] for series in X]).astype(int)


class Told:
    """Which groups the fits of a function were given for their series."""

    fits = 0

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        own = X.groups if groups is None and isinstance(X, Sequences) else groups
        assert own is not None
        assert np.array_equal(own, GROUPS[rows_of(X)])
        Told.fits += 1
        return super().fit(X, y, sample_weight, groups)  # type: ignore[misc]


class Classifier(Told, SequenceClassifier):
    """Sees its groups."""


class Regressor(Told, SequenceRegressor):
    """Sees its groups."""


def piped(network: Any) -> Any:
    """Behind a transformer that makes arrays of `Sequences`."""
    return make_pipeline(FunctionTransformer(np.asarray), network)


Run = Callable[..., Any]
FUNCTIONS: dict[str, Run] = {
    "cross_validate": lambda e, X, y, **k: ours.cross_validate(e, X, y, error_score="raise", **k),
    "cross_val_score": lambda e, X, y, **k: ours.cross_val_score(e, X, y, error_score="raise", **k),
    "cross_val_predict": ours.cross_val_predict,
    "learning_curve": lambda e, X, y, **k: ours.learning_curve(
        e, X, y, train_sizes=[0.7, 1.0], shuffle=True, random_state=0, error_score="raise", **k
    ),
    "validation_curve": lambda e, X, y, **k: ours.validation_curve(
        e, X, y, param_name=next(iter(grid_of(e))), param_range=[0.05, 0.1], error_score="raise", **k
    ),
    "permutation_test_score": lambda e, X, y, **k: ours.permutation_test_score(e, X, y, n_permutations=2, **k),
    "LockstepSearchCV": lambda e, X, y, cv, **k: LockstepSearchCV(e, grid_of(e), cv=cv, error_score="raise").fit(
        X, y, **k
    ),
    "nested_cross_validate": lambda e, X, y, **k: nested_cross_validate(
        e, X, y, param_grid=grid_of(e), inner_cv=2, error_score="raise", **k
    ),
    "nested with plain inner folds": lambda e, X, y, **k: nested_cross_validate(
        e, X, y, param_grid=grid_of(e), inner_cv=KFold(2), error_score="raise", **k
    ),
    "cross_validate a search": lambda e, X, y, **k: ours.cross_validate(
        LockstepSearchCV(e, grid_of(e), cv=KFold(2), error_score="raise"), X, y, error_score="raise", **k
    ),
    "cross_validate a search by groups": lambda e, X, y, **k: ours.cross_validate(
        LockstepSearchCV(e, grid_of(e), cv=GroupKFold(2), error_score="raise"), X, y, error_score="raise", **k
    ),
    "nested_cv_interval": lambda e, X, y, cv, **k: (  # noqa: ARG005
        nested_cv_interval(e, X, y, n_splits=3, n_repeats=1, **k)
    ),
    "compare_estimators": lambda e, X, y, **k: compare_estimators(
        e, clone(e).set_params(**{next(iter(grid_of(e))): 0.05}), X, y, error_score="raise", **k
    ),
    "learning curves": lambda e, X, y, **k: LearningCurveDisplay.from_estimator(e, X, y, train_sizes=[0.7, 1.0], **k),
    "validation curves": lambda e, X, y, **k: ValidationCurveDisplay.from_estimator(
        e, X, y, param_name=next(iter(grid_of(e))), param_range=[0.05, 0.1], **k
    ),
}


def grid_of(estimator: Any) -> dict[str, list[float]]:
    return {f"{name}lr": GRID["lr"] for name in [next((f"{n}__" for n in getattr(estimator, "named_steps", [])
                                                       if n != "functiontransformer"), "")]}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "cv"),
    [
        ("arrays", GroupKFold(3)),
        ("arrays", KFold(3)),
        ("series that bring others", GroupKFold(3)),
        ("series that bring them", KFold(3)),
    ],
    ids=["arrays", "arrays, plain folds", "series that bring others", "series that bring them, plain folds"],
)
@pytest.mark.parametrize("place", [lambda network: network, piped], ids=["network", "pipeline"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:X has groups, and these folds may put one on both sides")
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_every_fit_has_the_groups_of_its_own_series(name: str, place: Run, form: str, cv: Any) -> None:
    given = X if form == "arrays" else as_sequences(X).replace(groups=OTHERS)
    options = {"groups": GROUPS}
    if form == "series that bring them":
        given, options = as_sequences(X).replace(groups=GROUPS), {}
    Told.fits = 0
    FUNCTIONS[name](place(Classifier(**NET | {"max_epochs": 1})), given, Y, cv=cv, **options)
    assert Told.fits >= 2


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("learning curves", "validation curves")])
def test_every_fit_has_them_when_each_step_has_a_target(name: str) -> None:
    Told.fits = 0
    FUNCTIONS[name](Regressor(**NET), X, STEPS, cv=GroupKFold(3), groups=GROUPS)
    assert Told.fits >= 2


SAME: list[tuple[str, dict[str, Any]]] = [
    ("cross_validate", {"return_train_score": True}),
    ("cross_val_score", {}),
    ("cross_val_predict", {"method": "predict_proba"}),
    ("learning_curve", {"train_sizes": [0.7, 1.0]}),
    ("validation_curve", {"param_name": "lr", "param_range": [0.05, 0.1]}),
    ("permutation_test_score", {"n_permutations": 2, "random_state": 0}),
]


@pytest.mark.parametrize(("name", "options"), SAME)
def test_the_bits_are_those_of_a_fit_with_the_groups_of_its_series(name: str, options: dict[str, Any]) -> None:
    net = SequenceClassifier(**NET)
    own = getattr(ours, name)(net, X, Y, cv=GroupKFold(3), groups=GROUPS, **options)
    # scikit-learn divides a parameter of fit with the folds
    want = getattr(theirs, name)(net, X, Y, cv=GroupKFold(3), groups=GROUPS, params={"groups": GROUPS}, **options)
    without = getattr(theirs, name)(net, X, Y, cv=GroupKFold(3), groups=GROUPS, **options)

    def numbers(found: Any) -> list[Any]:
        parts = [found[key] for key in found if "score" in key and "time" not in key] if name == SAME[0][0] else found
        return [np.asarray(part).tolist() for part in parts]

    assert numbers(own) == numbers(want)
    assert name not in ("cross_val_predict",) or numbers(own) != numbers(without)


def test_a_fold_is_bit_for_bit_the_fit_on_its_series() -> None:
    net = SequenceClassifier(**NET)
    found = ours.cross_validate(net, X, Y, groups=GROUPS, cv=GroupKFold(4), return_estimator=True)["estimator"]
    unlike = 0
    for fold, (train, _) in zip(found, GroupKFold(4).split(X, Y, GROUPS), strict=True):
        alone = clone(net).fit(X[train], Y[train], groups=GROUPS[train])
        assert np.array_equal(fold.predict_proba(X), alone.predict_proba(X))
        unlike += not np.array_equal(fold.predict_proba(X), clone(net).fit(X[train], Y[train]).predict_proba(X))
    assert unlike  # so that groups matter here


def test_a_search_chooses_and_refits_with_groups() -> None:
    net = SequenceClassifier(**NET)
    search = LockstepSearchCV(net, GRID, cv=GroupKFold(3)).fit(X, Y, groups=GROUPS)
    for index, setting in enumerate(search.cv_results_["params"]):
        for fold, (train, test) in enumerate(GroupKFold(3).split(X, Y, GROUPS)):
            alone = clone(net).set_params(**setting).fit(X[train], Y[train], groups=GROUPS[train])
            assert search.cv_results_[f"split{fold}_test_score"][index] == alone.score(X[test], Y[test])
    refit = clone(net).set_params(**search.best_params_).fit(X, Y, groups=GROUPS)
    assert np.array_equal(search.predict_proba(X), refit.predict_proba(X))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: make_pipeline(FunctionTransformer(), piped(network)),
        lambda network: GridSearchCV(piped(network), {"classifier__lr": [0.1]}, cv=2),
        lambda network: LockstepSearchCV(piped(network), {"classifier__lr": [0.1]}, cv=KFold(2)),
        lambda network: make_pipeline(FunctionTransformer(), LockstepSearchCV(network, {"lr": [0.1]}, cv=KFold(2))),
    ],
    ids=["pipeline in a pipeline", "grid search of a pipeline", "search of a pipeline", "search in a pipeline"],
)
def test_groups_find_a_network_deep_inside(wrap: Run) -> None:
    Told.fits = 0
    ours.cross_val_score(wrap(Classifier(**NET)), X, Y, groups=GROUPS, cv=GroupKFold(3), error_score="raise")
    assert Told.fits >= 3


def test_groups_pass_through_scikit_learns_wrappers() -> None:
    Told.fits = 0
    flat = X[:, :, 0]
    target = TransformedTargetRegressor(FlatRegressor(**NET), func=np.log1p, inverse_func=np.expm1)
    ours.cross_val_score(target, flat, np.arange(N), groups=GROUPS, cv=GroupKFold(2), error_score="raise")
    assert Told.fits == 2


class FlatRegressor(SequenceRegressor):
    """Sees its groups, of two-dimensional X."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        assert np.array_equal(groups, GROUPS[X[:, 0].astype(int)])
        Told.fits += 1
        return super().fit(X, y, sample_weight, groups)


def test_calibration_gets_groups_too() -> None:
    calibrated = CalibratedClassifierCV(SequenceClassifier(**NET), cv=2)
    found = ours.cross_validate(calibrated, X[:, :, 0], Y, groups=GROUPS, cv=GroupKFold(2), return_estimator=True)
    for fold, (train, _) in zip(found["estimator"], GroupKFold(2).split(X, Y, GROUPS), strict=True):
        alone = clone(calibrated).fit(X[train, :, 0], Y[train], groups=GROUPS[train])
        assert np.array_equal(fold.predict_proba(X[:, :, 0]), alone.predict_proba(X[:, :, 0]))


def test_where_no_way_leads_to_the_network_it_is_told() -> None:
    one = OneVsRestClassifier(SequenceClassifier(**NET))
    with pytest.warns(DataWarning, match=r"do not reach the inner split.*OneVsRestClassifier.*X.replace\(groups="):
        ours.cross_val_score(one, X[:, :, 0], Y, groups=GROUPS, cv=GroupKFold(2))
    late = OneVsRestClassifier(SequenceClassifier(**NET | {"early_stopping": False}))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        ours.cross_val_score(late, X[:, :, 0], Y, groups=GROUPS, cv=GroupKFold(2))


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_what_a_caller_hands_to_fit_wins() -> None:
    net = SequenceClassifier(**NET)
    one = ours.cross_val_predict(
        net, X, Y, groups=OTHERS, params={"groups": GROUPS}, cv=KFold(3), method="predict_proba"
    )
    other = ours.cross_val_predict(net, X, Y, groups=GROUPS, cv=KFold(3), method="predict_proba")
    assert np.array_equal(one, other)


def test_with_metadata_routing_the_caller_says_what_goes_where() -> None:
    with config_context(enable_metadata_routing=True):
        net = SequenceClassifier(**NET).set_fit_request(groups=True)
        routed = ours.cross_val_predict(net, X, Y, params={"groups": GROUPS}, cv=GroupKFold(3), method="predict_proba")
    plain = ours.cross_val_predict(
        SequenceClassifier(**NET), X, Y, groups=GROUPS, cv=GroupKFold(3), method="predict_proba"
    )
    assert np.array_equal(routed, plain)


class Plain(SequenceClassifier):
    """A `fit` as scikit-learn's own have it."""

    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(X, y)


class Weighted(SequenceClassifier):
    """A `fit` that takes weights, and no groups."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().fit(X, y, sample_weight)


LATE = NET | {"early_stopping": False}


@pytest.mark.parametrize("form", ["arrays", "series that bring them"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:X has groups, and these folds may put one on both sides")
def test_a_fit_of_ones_own_needs_no_groups_where_nothing_stops_early(name: str, form: str) -> None:
    options = {"groups": GROUPS} if form == "arrays" else {}
    given = X if form == "arrays" else as_sequences(X).replace(groups=GROUPS)
    FUNCTIONS[name](Plain(**LATE | {"max_epochs": 1}), given, Y, cv=GroupKFold(3), **options)


@pytest.mark.parametrize("kind", [Plain, Weighted])
@pytest.mark.parametrize("place", [lambda network: network, piped], ids=["network", "pipeline"])
def test_a_fit_of_ones_own_scores_as_scikit_learn_scores_it(kind: Any, place: Run) -> None:
    net = place(kind(**LATE))
    own = ours.cross_val_score(net, X, Y, groups=GROUPS, cv=GroupKFold(3), error_score="raise")
    want = theirs.cross_val_score(net, X, Y, groups=GROUPS, cv=GroupKFold(3), error_score="raise")
    assert own.tolist() == want.tolist()


@pytest.mark.parametrize("given", [None, GROUPS, list(GROUPS)], ids=["none", "the same", "the same as a list"])
@pytest.mark.parametrize("kind", [Plain, Weighted])
def test_groups_that_series_bring_need_no_parameter_of_fit(kind: Any, given: Any) -> None:
    series = as_sequences(X).replace(groups=GROUPS)
    found = ours.cross_validate(
        kind(**NET), series, Y, groups=given, cv=GroupKFold(3), return_estimator=True, error_score="raise"
    )["estimator"]
    LockstepSearchCV(kind(**NET), GRID, cv=GroupKFold(3), error_score="raise").fit(series, Y, groups=given)
    for fold, (train, _) in zip(found, GroupKFold(3).split(X, Y, GROUPS), strict=True):
        alone = SequenceClassifier(**NET).fit(X[train], Y[train], groups=GROUPS[train])
        assert np.array_equal(fold.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "nested_cv_interval"])
@pytest.mark.parametrize("form", ["arrays", "series that bring others"])
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_a_fit_that_takes_no_groups_is_told_of(name: str, form: str) -> None:
    given = X if form == "arrays" else as_sequences(X).replace(groups=OTHERS)
    net = Plain(**NET | {"max_epochs": 1, "validation_fraction": 0.5})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        FUNCTIONS[name](net, given, Y, cv=GroupKFold(3), groups=GROUPS)
    need = "groups do not reach the inner split of early_stopping inside "
    assert any(str(one.message).startswith((f"{need}Plain", f"{need}LockstepSearchCV")) for one in told)


FOR_THE_SPLITTER = {
    "bytes": (np.array([f"{k // 4}".encode() for k in range(N)]), GroupKFold(2)),
    "NaN": (np.array([np.nan] + [1.0] * (N - 1)), KFold(2)),
    "None": (np.array([None] + ["a"] * (N - 1)), KFold(2)),
    "a column": (np.arange(N)[:, None] // 4, KFold(2)),
    "pairs": ([(k // 4, 0) for k in range(N)], KFold(2)),
}


@pytest.mark.parametrize("values", FOR_THE_SPLITTER)
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_groups_for_the_splitter_alone_are_what_scikit_learn_takes(values: str) -> None:
    groups, cv = FOR_THE_SPLITTER[values]
    net = SequenceClassifier(**LATE)
    want = theirs.cross_val_score(net, X, Y, groups=groups, cv=cv, error_score="raise")
    assert ours.cross_val_score(net, X, Y, groups=groups, cv=cv, error_score="raise").tolist() == want.tolist()
    search = LockstepSearchCV(net, GRID, cv=cv, error_score="raise").fit(X, Y, groups=groups)
    assert [search.cv_results_[f"split{k}_test_score"][1] for k in range(2)] == want.tolist()


@pytest.mark.parametrize("values", FOR_THE_SPLITTER)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "nested_cv_interval"])
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_groups_for_an_inner_split_are_refused_once_before_the_folds(name: str, values: str) -> None:
    groups, cv = FOR_THE_SPLITTER[values]
    Told.fits = 0
    with pytest.raises(DataError, match=r"groups \(for the inner split of early_stopping\) needs"):
        FUNCTIONS[name](Classifier(**NET), X, Y, cv=cv, groups=groups)
    assert Told.fits == 0


BY_A_GRID: dict[str, Run] = {
    "grid": lambda e, **k: LockstepSearchCV(e, {"early_stopping": [True]}, cv=GroupKFold(3), error_score="raise").fit(
        X, Y, **k
    ),
    "list of grids of a pipeline": lambda e, **k: LockstepSearchCV(
        piped(e), [{"classifier__lr": [0.1]}, {"classifier__early_stopping": [True]}], cv=KFold(3), error_score="raise"
    ).fit(X, Y, **k),
    "distributions": lambda e, **k: LockstepSearchCV(
        e, param_distributions={"early_stopping": [True]}, n_iter=1, cv=GroupKFold(3), error_score="raise"
    ).fit(X, Y, **k),
    "whole estimators": lambda e, **k: LockstepSearchCV(
        piped(e), {"classifier": [clone(e).set_params(early_stopping=True)]}, cv=KFold(3), error_score="raise"
    ).fit(X, Y, **k),
    "search in folds": lambda e, **k: ours.cross_validate(
        LockstepSearchCV(e, {"early_stopping": [True]}, cv=KFold(2)), X, Y, cv=GroupKFold(3), error_score="raise", **k
    ),
    "scikit-learn's search in folds": lambda e, **k: ours.cross_validate(
        GridSearchCV(piped(e), {"classifier__early_stopping": [True]}, cv=2),
        X, Y, cv=GroupKFold(3), error_score="raise", **k,
    ),
    "nested folds": lambda e, **k: nested_cross_validate(
        e, X, Y, param_grid={"early_stopping": [True]}, error_score="raise", **k
    ),
    "validation curve": lambda e, **k: ours.validation_curve(
        e, X, Y, param_name="early_stopping", param_range=[True], cv=GroupKFold(3), error_score="raise", **k
    ),
    "validation curve of a grid": lambda e, **k: ours.validation_curve(
        LockstepSearchCV(e, {"lr": [0.1]}, cv=KFold(2)),
        X, Y, param_name="param_grid", param_range=[{"early_stopping": [True]}], cv=GroupKFold(3),
        error_score="raise", **k,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_A_GRID)
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_groups_reach_a_network_that_stops_early_by_a_grid_alone(name: str) -> None:
    Told.fits = 0
    BY_A_GRID[name](Classifier(**LATE | {"max_epochs": 1}), groups=GROUPS)
    assert Told.fits >= 3
