"""Fold curves: the loss on a fold's test series is that of the network trained on the others, epoch by epoch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from pictured_data import NUMBERS, X, Y
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, cross_validate
from throughtime.displays import TrainingCurvesDisplay
from throughtime.errors import DataError, ParameterError
from throughtime.records import EpochRecord

CV = StratifiedKFold(4, shuffle=True, random_state=0)


def net(**settings: Any) -> SequenceClassifier:
    return SequenceClassifier(**{"hidden_size": 4, "max_epochs": 3, "random_state": 0} | settings)


def history(losses: list[float], evaluated: list[float] | None = None) -> list[EpochRecord]:
    return [
        EpochRecord(i + 1, 0.1, loss, None, None if evaluated is None else evaluated[i], 1.0, 0.0)
        for i, loss in enumerate(losses)
    ]


def test_each_folds_curve_is_that_of_its_network_trained_alone() -> None:
    display = TrainingCurvesDisplay.from_estimator(net(), X, Y, cv=CV)
    for k, (train, test) in enumerate(CV.split(np.zeros(len(Y)), Y)):
        alone = net().fit(X[train], Y[train])
        np.testing.assert_array_equal(display.train[k], [record.train_loss for record in alone.history_])
        expected = log_loss(Y[test], alone.predict_proba(X[test]), labels=[0, 1, 2])
        np.testing.assert_allclose(display.validation[k, -1], expected, rtol=1e-12)  # float64
    np.testing.assert_array_equal(
        np.column_stack([line.get_ydata() for line in display.member_lines_["validation"]]), display.validation.T
    )
    np.testing.assert_allclose(display.lines_["validation"].get_ydata(), display.validation.mean(0), rtol=1e-14)
    assert display.ax_.get_ylabel() == "cross-entropy (nats)"


def test_the_band_holds_the_middle_80_percent() -> None:
    losses = np.random.default_rng(0).random((30, 4)) + 1
    display = TrainingCurvesDisplay([history(list(row)) for row in losses]).plot()
    corners = display.bands_["training"].get_paths()[0].vertices
    for epoch in (1, 2, 3, 4):
        ys = corners[corners[:, 0] == epoch, 1]
        np.testing.assert_allclose([ys.min(), ys.max()], np.percentile(losses[:, epoch - 1], [10, 90]))
    assert not display.member_lines_  # too many to tell apart


def test_the_mean_is_solid_while_all_train_and_ends_once_half_have_stopped() -> None:
    display = TrainingCurvesDisplay(
        [history([4.0]), history([4.0, 2.0]), history([4.0, 3.0, 3.0]), history([4.0, 4.0, 5.0, 6.0])]
    ).plot()
    np.testing.assert_allclose(display.lines_["training"].get_ydata(), [4, np.nan, np.nan])
    (dotted,) = (line for line in display.ax_.get_lines() if line.get_linestyle() == ":")
    np.testing.assert_array_equal(dotted.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(dotted.get_ydata(), [4, 3, 4])
    assert len(display.member_lines_["training"][0].get_xdata()) == 4  # thin lines go on to the end


def test_one_network_has_a_line_and_no_band() -> None:
    display = TrainingCurvesDisplay([history([2.0, 1.0], [3.0, 2.0])]).plot(plt.subplots()[1])
    np.testing.assert_array_equal(display.lines_["validation"].get_ydata(), [3, 2])
    assert not display.bands_
    assert not display.member_lines_


def test_a_fold_that_fails_is_told_and_the_others_are_drawn() -> None:
    y = np.where(np.arange(len(Y)) < 9, 0, 1)
    folds = [(np.arange(9), np.arange(9, 36)), (np.arange(5, 30), np.arange(30, 36))]
    with pytest.warns(FitFailedWarning, match="1 of 2 folds failed and are not drawn: .*at least two classes"):
        display = TrainingCurvesDisplay.from_estimator(net(), X, y, cv=folds)
    assert len(display.train) == 1
    with pytest.raises(DataError, match="at least two classes"):
        TrainingCurvesDisplay.from_estimator(net(), X, y, cv=folds[:1])


def test_results_of_a_cross_validation_are_drawn_whatever_holds_the_network() -> None:
    pipeline = make_pipeline(FunctionTransformer(), net(early_stopping=True, patience=2, max_epochs=6))
    found = cross_validate(pipeline, X, Y, cv=CV, return_estimator=True)
    display = TrainingCurvesDisplay.from_cv_results(found)
    for row, own in zip(display.validation, found["estimator"], strict=True):
        losses = [record.validation_loss for record in own[-1].history_]
        np.testing.assert_array_equal(row[: len(losses)], losses)
    search = LockstepSearchCV(net(), {"lr": [0.01, 0.1]}, cv=2)
    found = cross_validate(search, X, Y, cv=CV, return_estimator=True)
    display = TrainingCurvesDisplay.from_cv_results(found)
    best = [[record.train_loss for record in own.best_estimator_.history_] for own in found["estimator"]]
    np.testing.assert_array_equal(display.train, best)
    assert np.isnan(display.validation).all()


def test_step_targets_and_numbers_are_drawn_too() -> None:
    targets = [x[:, 0] for x in X]
    display = TrainingCurvesDisplay.from_estimator(
        SequenceRegressor(hidden_size=4, max_epochs=2, random_state=0), X, targets, cv=3
    )
    assert display.validation.shape == (3, 2)
    assert np.isfinite(display.validation).all()
    assert display.ax_.get_ylabel() == "squared error (standardized)"


def test_what_has_no_curve_is_refused() -> None:
    with pytest.raises(ParameterError, match="needs a SequenceClassifier or SequenceRegressor, got a Pipeline"):
        TrainingCurvesDisplay.from_estimator(make_pipeline(net()), X, Y)
    with pytest.raises(ParameterError, match="return_estimator=True"):
        TrainingCurvesDisplay.from_cv_results({"test_score": NUMBERS})
    with pytest.raises(ParameterError, match="a fitted network of throughtime"):
        TrainingCurvesDisplay.from_cv_results({"estimator": [LogisticRegression()]})
    with pytest.raises(ParameterError, match="needs the history of a member"):
        TrainingCurvesDisplay([])


def test_a_loss_of_zero_has_its_place() -> None:
    zero = [replace(record, train_loss=0.0) for record in history([1.0, 1.0])]
    display = TrainingCurvesDisplay([zero]).plot()
    assert display.ax_.get_yscale() == "linear"
