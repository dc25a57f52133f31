"""Predicted against observed: every observed value is drawn, at its time where it has one."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.dates import date2num
from pictured_data import NAMES, NUMBERS, X, Y, steps
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, cross_val_predict
from throughtime.data import Sequences
from throughtime.displays import PredictionsDisplay
from throughtime.errors import DataError


def net(**settings: object) -> SequenceRegressor:
    return SequenceRegressor(hidden_size=4, max_epochs=4, random_state=0, **settings)  # type: ignore[arg-type]


def test_one_value_a_series_is_drawn_against_its_prediction() -> None:
    model = net().fit(X, NUMBERS)
    display = PredictionsDisplay.from_estimator(model, X, NUMBERS, target="level (m)")
    (points,) = display.lines_
    np.testing.assert_array_equal(points.get_xdata(), NUMBERS)
    np.testing.assert_array_equal(points.get_ydata(), model.predict(X))
    assert display.ax_.get_xlabel() == "observed level (m)"
    assert display.ax_.get_title(loc="left") == f"36 predictions, R² {r2_score(NUMBERS, model.predict(X)):.2f}"


def test_one_series_is_drawn_over_its_times() -> None:
    targets = steps()
    times = [np.datetime64("2024-01-01") + np.arange(length) for length in X.lengths]
    dated = Sequences.from_arrays(list(X), times=times)
    model = net(burn_in=2).fit(dated, targets)
    display = PredictionsDisplay.from_estimator(model, dated[4:5], targets[4:5])
    counted = np.arange(X.lengths[4]) >= 2
    counted &= ~np.isnan(targets[4])
    observed, predicted = display.lines_
    np.testing.assert_array_equal(date2num(observed.get_xdata()), date2num(times[4][counted]))
    np.testing.assert_array_equal(observed.get_ydata(), targets[4][counted])
    np.testing.assert_array_equal(predicted.get_ydata(), model.predict(dated[4:5]).values[counted, 0])


def test_one_series_without_times_is_drawn_by_step() -> None:
    targets = steps()
    model = net(burn_in=1).fit(X, targets)
    display = PredictionsDisplay.from_estimator(model, X[8:9], targets[8:9])
    expected = [step for step in range(1, X.lengths[8]) if not np.isnan(targets[8][step])]
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), expected)
    assert display.ax_.get_xlabel() == "step"


def test_steps_of_several_series_without_a_time_of_their_own_are_points() -> None:
    targets = steps()
    found = cross_val_predict(net(), X, targets, cv=3)
    display = PredictionsDisplay.from_predictions(targets, found)
    truth = np.concatenate(targets)
    (points,) = display.lines_
    np.testing.assert_array_equal(points.get_xdata(), truth[~np.isnan(truth)])
    np.testing.assert_array_equal(points.get_ydata(), found.values[~np.isnan(truth), 0])


def test_a_line_breaks_where_nothing_was_observed_for_long() -> None:
    times = np.array([0, 1, 2, 3, 20, 21, 22.0])
    display = PredictionsDisplay(np.arange(7.0), np.arange(7.0) + 1, times).plot()
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), [1, 2, 3, 4, np.nan, 5, 6, 7])


def test_times_may_come_in_any_order() -> None:
    ax = plt.subplots()[1]
    display = PredictionsDisplay.from_predictions([3.0, 1.0, 2.0], [3.5, 1.5, 2.5], times=np.array([3, 1, 2]), ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), [1.5, 2.5, 3.5])


def test_classes_and_a_target_a_series_for_step_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"PredictionsDisplay\.from_estimator only supports regressors"):
        PredictionsDisplay.from_estimator(SequenceClassifier(), X, Y)
    with pytest.raises(DataError, match="y_pred needs one value per step"):
        PredictionsDisplay.from_predictions(X, NUMBERS)
    with pytest.raises(DataError, match=r"one row per target \(36\), got 3"):
        PredictionsDisplay.from_predictions(NAMES, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("wrapped", ["alone", "pipeline", "search"])
def test_the_steps_drawn_of_a_forecast_are_those_that_score_counts(wrapped: str) -> None:
    targets = steps()
    model = net(burn_in=1, horizon=2)
    estimator = {
        "alone": model,
        "pipeline": make_pipeline(FunctionTransformer(), model),
        "search": LockstepSearchCV(model, {"lr": [0.01]}, cv=2),
    }[wrapped].fit(X, targets)
    display = PredictionsDisplay.from_estimator(estimator, X, targets)
    counted = np.concatenate([(np.arange(n) >= 3) & ~np.isnan(y) for n, y in zip(X.lengths, targets, strict=True)])
    np.testing.assert_array_equal(display.observed, np.concatenate(targets)[counted])
    np.testing.assert_array_equal(display.predicted, estimator.predict(X).values[counted, 0])
    assert r2_score(display.observed, display.predicted) == estimator.score(X, targets)


def test_steps_before_the_first_forecast_are_left_out_of_predictions_given() -> None:
    targets = steps()
    found = cross_val_predict(net(horizon=2), X, targets, cv=3)
    display = PredictionsDisplay.from_predictions(targets, found)
    counted = np.concatenate([(np.arange(n) >= 2) & ~np.isnan(y) for n, y in zip(X.lengths, targets, strict=True)])
    np.testing.assert_array_equal(display.observed, np.concatenate(targets)[counted])
    assert np.isfinite(display.predicted).all()
    nothing = Sequences(np.full((X.n_steps, 1), np.nan), X.offsets)
    with pytest.raises(DataError, match="y_pred needs a prediction at a step with an observed target"):
        PredictionsDisplay.from_predictions(targets, nothing)
    holes = found.values.copy()
    holes[X.offsets[1] + 3] = np.nan  # no first step of a forecast: not for us to leave out
    with pytest.raises(ValueError, match="NaN"):
        PredictionsDisplay.from_predictions(targets, Sequences(holes, X.offsets))
