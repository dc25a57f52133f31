"""Parameters are the caller's: kept as they were given, and an own ``__init__`` may choose among them."""

import inspect

import numpy as np
import pytest
from estimator_data import classes, ragged, steps, values
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

from throughtime import LockstepSearchCV, cross_val_score
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor

SMALL = {"hidden_size": 5, "random_state": 0, "max_epochs": 2}


class Chosen(SequenceClassifier):
    """One parameter of ours and one of its own; the others are set once and for all."""

    def __init__(self, hidden_size=5, label="x"):
        super().__init__(**SMALL | {"hidden_size": hidden_size})
        self.label = label


class Passed(SequenceClassifier):
    """A parameter of its own, and all of ours."""

    def __init__(self, label="x", lr=0.02, **parameters):
        super().__init__(lr=lr, **parameters)
        self.label = label


class Later(Passed):
    """A subclass of a subclass, without an ``__init__``."""


def same(one, other):
    return np.array_equal(one.predict_proba(ragged()), other.predict_proba(ragged()))


def test_a_subclass_with_an_init_of_its_own_trains_as_the_class_it_is_made_of():
    plain = SequenceClassifier(**SMALL | {"hidden_size": 4}).fit(ragged(), classes())
    chosen = Chosen(hidden_size=4, label=["y"])
    assert chosen.get_params() == {"hidden_size": 4, "label": ["y"]}
    assert same(chosen.fit(ragged(), classes()), plain)
    assert same(clone(chosen).fit(ragged(), classes()), plain)
    with pytest.raises(ParameterError, match="hidden_size needs a whole number"):
        Chosen(hidden_size=0).fit(ragged(), classes())


@pytest.mark.parametrize("cls", [Passed, Later])
def test_parameters_that_a_subclass_passes_on_are_its_parameters(cls):
    made = cls(label="y", **SMALL)
    assert made.get_params() == SequenceClassifier(**SMALL).get_params() | {"label": "y", "lr": 0.02}
    assert clone(made).get_params() == made.get_params()
    assert list(inspect.signature(cls).parameters)[:2] == ["label", "lr"]
    plain = SequenceClassifier(**SMALL, lr=0.02)
    assert same(clone(made).fit(ragged(), classes()), plain.fit(ragged(), classes()))
    assert np.array_equal(
        cross_val_score(made, ragged(), classes(), cv=2), cross_val_score(plain, ragged(), classes(), cv=2)
    )
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        cls(rate=1)


def test_a_search_over_a_subclass_sets_its_parameters():
    search = LockstepSearchCV(Chosen(), {"hidden_size": [2, 3], "label": ["a"]}, cv=2).fit(ragged(), classes())
    assert isinstance(search.best_estimator_, Chosen)
    assert search.best_estimator_.module_.net.hidden_size == search.best_params_["hidden_size"]


def test_a_saved_subclass_holds_every_parameter(tmp_path):
    fitted = Chosen(hidden_size=4).fit(ragged(), classes())
    fitted.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    assert loaded.get_params() == SequenceClassifier(**SMALL | {"hidden_size": 4}).get_params()
    assert same(loaded, fitted)


def test_a_subclass_of_the_regressor_predicts_on_its_own_scale():
    class Logarithmic(SequenceRegressor):
        def __init__(self):
            super().__init__(**SMALL, target_transform="log")

    want = SequenceRegressor(**SMALL, target_transform="log").fit(ragged(), values()).predict(ragged())
    assert np.array_equal(Logarithmic().fit(ragged(), values()).predict(ragged()), want)


GIVEN = [
    (SequenceClassifier(**SMALL, class_weight={0: 2.0, 1: 1.0, 2: 0.5}), classes()),
    (SequenceRegressor(**SMALL, lr=np.float64(0.01), horizon=1, known=[0]), steps()),
]


@pytest.mark.parametrize(("estimator", "y"), GIVEN, ids=lambda part: type(part).__name__)
def test_fit_leaves_every_parameter_the_object_it_was(estimator, y):
    before = estimator.get_params(deep=False)
    estimator.fit(ragged(), y)
    after = estimator.get_params(deep=False)
    assert before.keys() == after.keys()
    assert all(after[name] is before[name] for name in before)
    # an attribute of one's own stays too
    estimator.note = note = ["kept"]
    assert estimator.fit(ragged(), y).note is note


class Spy(BaseEstimator):
    """A transformer that looks, in ``fit``, at the search it is part of."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y=None):  # noqa: ARG002
        Spy.seen.append(Spy.search.get_params(deep=False))
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("by_step", [False, True])
def test_a_search_has_its_own_parameters_while_it_runs_and_afterwards(by_step, fails):
    Spy.seen = []
    net = SequenceRegressor(**SMALL | ({"lr": -1.0} if fails else {}))
    scoring = "r2" if by_step else ["r2"]
    search = LockstepSearchCV(
        make_pipeline(Spy(), net), {"sequenceregressor__max_epochs": [1, 2]}, cv=2, scoring=scoring, refit=False,
        error_score="raise",
    )  # fmt: skip
    Spy.search = search
    before = search.get_params(deep=False)
    y = steps() if by_step else values()
    if fails:
        with pytest.raises(ParameterError, match="lr needs"):
            search.fit(ragged(), y)
    else:
        assert search.fit(ragged(), y).n_splits_ == 2
    for found in (*Spy.seen, search.get_params(deep=False)):
        assert all(found[name] is before[name] for name in before)
    assert len(Spy.seen) >= 1


def test_a_search_by_steps_has_all_that_fit_gives():
    grid = {"max_epochs": [1, 2]}
    search = LockstepSearchCV(SequenceRegressor(**SMALL), grid, cv=2, scoring="r2").fit(ragged(), steps())
    assert search.cv == 2
    assert search.scoring == "r2"
    assert search.best_estimator_.predict(ragged()).lengths.sum() == sum(map(len, ragged()))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 2
