"""Losses of series, their weighted mean, and weighted folds in lockstep."""

import numpy as np
import pytest
from numpy import ndarray
from planted_shifts import drawn, numbers_of
from scipy import stats
from sklearn.metrics import log_loss

from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor
from throughtime.shift import weighted_cross_validation, weighted_mean
from throughtime.shift.candidates import losses_of

SMALL = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}


def test_the_loss_of_a_series_is_its_log_loss_or_squared_error() -> None:
    X, y = drawn(40)
    classifier = SequenceClassifier(**SMALL).fit(X, y)
    expected = log_loss(y, classifier.predict_proba(X))
    assert losses_of(classifier, X, y).mean() == pytest.approx(expected, rel=1e-5)
    numbers = numbers_of(X)
    regressor = SequenceRegressor(**SMALL).fit(X, numbers)
    np.testing.assert_allclose(losses_of(regressor, X, numbers), (regressor.predict(X) - numbers) ** 2, rtol=1e-6)


@pytest.mark.parametrize("horizon", [0, 2])
def test_with_targets_per_step_it_is_the_mean_over_the_observed_ones(horizon: int) -> None:
    X, _ = drawn(20)
    values = X.values[:, :1].astype(float).copy()
    values[::5] = np.nan
    y = Sequences(values, X.offsets)
    model = SequenceRegressor(**SMALL, burn_in=1, horizon=horizon).fit(X, y)
    predicted = model.predict(X)
    for series, (truth, guess) in enumerate(zip(y, predicted, strict=True)):
        observed = (truth - guess)[1 + horizon :]
        expected = np.nanmean(observed**2)
        assert losses_of(model, X, y)[series] == pytest.approx(expected, rel=1e-6)


def test_classes_per_step_have_the_mean_log_loss_of_theirs() -> None:
    X, _ = drawn(20)
    labels = (X.values[:, :1] > 0).astype(float)
    labels[::4] = np.nan
    y = Sequences(labels, X.offsets)
    model = SequenceClassifier(**SMALL).fit(X, y)
    probabilities = model.predict_proba(X)
    for series, (truth, chances) in enumerate(zip(y, probabilities, strict=True)):
        seen = ~np.isnan(truth[:, 0])
        expected = -np.log(chances[seen, truth[seen, 0].astype(int)]).mean()
        assert losses_of(model, X, y)[series] == pytest.approx(expected, rel=1e-5)


def test_without_weights_it_is_the_mean_with_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=30)
    found = weighted_mean(values)
    expected = stats.t.interval(0.95, 29, values.mean(), stats.sem(values))
    np.testing.assert_allclose([found.low, found.high], expected)
    assert found.effective_size == pytest.approx(30)


def test_a_weighted_mean_of_the_reference_covers_the_mean_elsewhere() -> None:
    """x is N(0, 1) in the reference and N(.5, 1) deployed, where the mean of x^2 is 1.25."""
    covered = []
    for seed in range(300):
        x = np.random.default_rng(seed).normal(size=400)
        found = weighted_mean(x**2, np.exp(0.5 * x - 0.125))
        covered.append(found.low <= 1.25 <= found.high)
    assert 0.90 <= np.mean(covered) <= 0.98  # three standard errors of .95 and its ends


def test_groups_of_equal_values_count_once() -> None:
    values = np.random.default_rng(0).normal(size=12)
    one, other = weighted_mean(values), weighted_mean(np.repeat(values, 4), groups=np.repeat(np.arange(12), 4))
    np.testing.assert_allclose([one.low, one.high], [other.low, other.high])


def test_the_scale_of_the_weights_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=20), rng.random(20)
    one, other = weighted_mean(values, weights), weighted_mean(values, 7 * weights)
    np.testing.assert_allclose([one.mean, one.low, one.effective_size], [other.mean, other.low, other.effective_size])


def test_each_weighted_fold_is_bit_for_bit_a_weighted_fit() -> None:
    X, y = drawn(30)
    weights = np.random.default_rng(0).random(30)
    folds = [np.arange(30) % 3 == fold for fold in range(3)]
    splits = [(np.flatnonzero(~fold), np.flatnonzero(fold)) for fold in folds]
    settings = [SequenceClassifier(**SMALL), SequenceClassifier(**SMALL | {"hidden_size": 5})]
    found = weighted_cross_validation(settings, X, y, weights, splits[:2])
    for setting, losses in zip(settings, found, strict=True):
        for train, test in splits[:2]:
            alone = setting.fit(X[train], y[train], sample_weight=weights[train])
            np.testing.assert_array_equal(losses[test], losses_of(alone, X[test], y[test]))
        assert np.isnan(losses[folds[2]]).all()


@pytest.mark.parametrize(
    ("values", "weights", "said"),
    [
        (np.array([1.0, np.nan]), None, "finite values, got nan"),
        (np.ones(3), np.zeros(3), "a weight above zero"),
        (np.ones(3), np.array([1.0, -1.0, 1.0]), "at least 0"),
        (np.ones(1), None, "at least 2 series or groups"),
    ],
)
def test_what_has_no_weighted_mean_is_refused(values: ndarray, weights: ndarray | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        weighted_mean(values, weights)


def test_no_folds_and_classes_in_the_test_fold_alone_are_refused() -> None:
    X, y = drawn(12)
    with pytest.raises(ParameterError, match="needs estimators and splits, got 1 and 0"):
        weighted_cross_validation([SequenceClassifier(**SMALL)], X, y, np.ones(12), [])
    lonely = np.where(np.arange(12) == 0, "z", np.array(["a", "b"])[np.arange(12) % 2])
    with pytest.raises(DataError, match="got 'z'"):
        weighted_cross_validation(
            [SequenceClassifier(**SMALL)], X, lonely, np.ones(12), [(np.arange(1, 12), np.arange(1))]
        )
