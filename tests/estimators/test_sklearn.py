"""scikit-learn's own functions take the estimators for its own."""

import copy
import pickle

import numpy as np
import pytest
from estimator_data import N, classes, ragged, series, values
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from throughtime.estimators import SequenceClassifier, SequenceRegressor
from throughtime.generalization import cross_validate

SMALL = {"hidden_size": 5, "random_state": 0, "max_epochs": 3, "batch_size": 12}

# Learning enough for the accuracies that some checks ask for, in as few steps as possible; batches that hold all series
# of the check that takes a weight for a repetition.
QUICK = {"lr": 0.05, "lr_schedule": "constant"}
CHECKED = [
    SequenceClassifier(hidden_size=8, max_epochs=10, batch_size=64, **QUICK),
    SequenceRegressor(cell="rnn", hidden_size=16, max_epochs=20, batch_size=32, **QUICK | {"lr": 0.03}),
]


# scikit-learn leaves out its check of array API input unless SCIPY_ARRAY_API is set, and warns of it
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.usefixtures("types_unchecked")
@parametrize_with_checks(CHECKED)
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [SequenceClassifier(**SMALL), SequenceRegressor(**SMALL)])
def test_scikit_learns_cross_validation_works_and_agrees_with_ours(estimator):
    y = classes() if is_classifier(estimator) else values()
    splitter = KFold(3, shuffle=True, random_state=0)
    for X in (series(), np.stack([x[:3] for x in ragged()])):
        theirs = cross_val_score(estimator, X, y, cv=splitter)
        assert np.array_equal(theirs, cross_validate(estimator, X, y, cv=splitter)["test_score"])


def test_a_clone_is_unfitted_and_trains_the_same_again():
    fitted = SequenceClassifier(**SMALL, class_weight={0: 2.0}).fit(ragged(), classes())
    twin = clone(fitted)
    assert not hasattr(twin, "module_")
    assert twin.get_params() == fitted.get_params()
    assert np.array_equal(twin.fit(ragged(), classes()).predict_proba(ragged()), fitted.predict_proba(ragged()))
    assert fitted.fit(ragged(), classes()) is fitted


def test_a_fit_forgets_the_fit_before():
    fitted = SequenceRegressor(**SMALL, early_stopping=True).fit(ragged(), values())
    assert fitted.best_epoch_ is not None
    fitted.set_params(early_stopping=False, max_epochs=1).fit(np.zeros((N, 4)), 5 + values())
    assert fitted.best_epoch_ is None
    assert fitted.n_iter_ == len(fitted.history_) == 1
    assert fitted.n_features_in_ == 4
    assert fitted.target_mean_ == pytest.approx(5 + values().mean())


@pytest.mark.parametrize("way", [copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator))])
def test_a_copy_predicts_the_same(way):
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    assert np.array_equal(way(fitted).predict_proba(ragged()), fitted.predict_proba(ragged()))


def test_kinds_are_what_scikit_learn_asks_for():
    assert is_classifier(SequenceClassifier())
    assert is_regressor(SequenceRegressor())


def test_verbose_shows_progress_on_stderr_and_the_default_is_silent(capsys):
    SequenceClassifier(**SMALL).fit(ragged(), classes())
    assert capsys.readouterr() == ("", "")
    SequenceClassifier(**SMALL, verbose=1).fit(ragged(), classes())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("SequenceClassifier: epoch 3/3, loss ")
