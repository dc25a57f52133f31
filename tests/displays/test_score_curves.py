"""Learning and validation curves: what is drawn is scikit-learn's curve of the same fits, made in lockstep."""

from inspect import signature
from typing import Any

import numpy as np
import pytest
import sklearn.model_selection as theirs
from matplotlib import pyplot as plt
from pictured_data import NUMBERS, X, Y
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from throughtime import SequenceClassifier, SequenceRegressor, learning_curve, validation_curve
from throughtime.displays import LearningCurveDisplay, ValidationCurveDisplay
from throughtime.errors import ParameterError
from throughtime.generalization import call_batcher

CV = StratifiedKFold(3, shuffle=True, random_state=0)
SIZES = [9, 15, 24]
DECAYS = [0.0, 1.0, 30.0]


def net(**settings: Any) -> SequenceClassifier:
    return SequenceClassifier(**{"hidden_size": 4, "max_epochs": 3, "random_state": 0} | settings)


@pytest.fixture
def companies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many fits went through the door together, one entry a time."""
    seen: list[int] = []
    together = call_batcher.fit_requests

    def counted(calls: Any, **rest: Any) -> Any:
        seen.append(len(calls))
        return together(calls, **rest)

    monkeypatch.setattr(call_batcher, "fit_requests", counted)
    return seen


def band(collection: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper edge of a band at each x."""
    corners = collection.get_paths()[0].vertices
    at = [corners[corners[:, 0] == place, 1] for place in x]
    return np.array([ys.min() for ys in at]), np.array([ys.max() for ys in at])


def test_a_learning_curve_is_that_of_scikit_learn_and_all_its_fits_meet(companies: list[int]) -> None:
    display = LearningCurveDisplay.from_estimator(net(), X, Y, cv=CV, train_sizes=SIZES, shuffle=True, random_state=1)
    assert companies == [len(SIZES) * 3]
    sizes, *scores = theirs.learning_curve(net(), X, Y, cv=CV, train_sizes=SIZES, shuffle=True, random_state=1)
    for line, filled, score in zip(display.lines_, display.fill_between_, scores, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), sizes)
        np.testing.assert_allclose(line.get_ydata(), score.mean(1), rtol=1e-15)
        low, high = band(filled, sizes)
        np.testing.assert_allclose(low, score.mean(1) - score.std(1), rtol=1e-14)
        np.testing.assert_allclose(high, score.mean(1) + score.std(1), rtol=1e-14)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("training series", "Accuracy")
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["Train", "Test"]


def test_a_validation_curve_is_that_of_scikit_learn_and_all_its_fits_meet(companies: list[int]) -> None:
    varied = {"param_name": "weight_decay", "param_range": DECAYS}
    display = ValidationCurveDisplay.from_estimator(net(), X, Y, cv=CV, **varied)
    assert companies == [len(DECAYS) * 3]
    train, test = theirs.validation_curve(net(), X, Y, cv=CV, **varied)
    for line, score in zip(display.lines_, (train, test), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), DECAYS)
        np.testing.assert_allclose(line.get_ydata(), score.mean(1), rtol=1e-15)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0", "1", "30"]


def test_values_below_2_keep_their_distance_on_an_axis_with_zero() -> None:
    scores = np.full((4, 2), 0.5)
    display = ValidationCurveDisplay(
        param_name="weight_decay", param_range=[0, 0.01, 0.1, 1], train_scores=scores, test_scores=scores
    ).plot()
    across = display.ax_.transData.transform(np.column_stack([[0.01, 0.1, 1], [0.5] * 3]))[:, 0]
    np.testing.assert_allclose(np.diff(across), np.diff(across)[0], rtol=1e-9)


def test_names_stand_side_by_side_unjoined() -> None:
    cells = ["rnn", "gru", "lstm"]
    display = ValidationCurveDisplay.from_estimator(
        net(), X, Y, cv=CV, param_name="cell", param_range=cells, score_type="test"
    )
    _, test = theirs.validation_curve(net(), X, Y, cv=CV, param_name="cell", param_range=cells)
    (bars,) = display.errorbar_
    np.testing.assert_array_equal(bars.lines[0].get_xdata(), [0, 1, 2])
    np.testing.assert_allclose(bars.lines[0].get_ydata(), test.mean(1), rtol=1e-15)
    assert bars.lines[0].get_linestyle() == "None"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == cells
    assert display.ax_.get_legend() is None  # one kind of score: the axis says which


@pytest.mark.parametrize("values", [[1.0, None], [1.0, np.inf], [True, False]])
def test_values_that_have_no_place_on_an_axis_are_named(values: list[Any]) -> None:
    scores = np.full((2, 2), 0.5)
    display = ValidationCurveDisplay(param_name="p", param_range=values, train_scores=scores, test_scores=scores).plot()
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == [str(value) for value in values]


def test_a_fold_without_a_score_leaves_the_mean_to_the_others() -> None:
    scores = np.array([[0.5, np.nan], [0.6, 0.8]])
    display = LearningCurveDisplay(train_sizes=np.array([5, 9]), train_scores=scores, test_scores=scores).plot()
    np.testing.assert_allclose(display.lines_[1].get_ydata(), [0.5, 0.7])
    np.testing.assert_array_equal(display.test_scores, scores)


def test_scikit_learns_keywords_do_what_they_do_there() -> None:
    options = {"scoring": "neg_mean_absolute_error", "cv": 3, "train_sizes": [10, 20]}
    regressor = SequenceRegressor(hidden_size=4, max_epochs=2, random_state=0)
    _, _, test = theirs.learning_curve(regressor, X, NUMBERS, **options)
    display = LearningCurveDisplay.from_estimator(
        regressor,
        X,
        NUMBERS,
        negate_score=True,
        score_type="test",
        std_display_style="errorbar",
        errorbar_kw={"color": "k"},
        **options,
    )
    (bars,) = display.errorbar_
    np.testing.assert_allclose(bars.lines[0].get_ydata(), -test.mean(1), rtol=1e-15)
    assert display.ax_.get_ylabel() == "Mean absolute error"
    assert bars.lines[0].get_color() == "k"
    with pytest.raises(TypeError, match="unexpected keyword argument 'train_size'"):
        LearningCurveDisplay.from_estimator(regressor, X, NUMBERS, train_size=[3])


def test_estimators_of_scikit_learn_are_drawn_too() -> None:
    flat = np.random.default_rng(0).normal(size=(36, 3))
    tree = DecisionTreeClassifier(random_state=0)
    display = LearningCurveDisplay.from_estimator(tree, flat, Y, cv=CV, train_sizes=SIZES, shuffle=True, random_state=0)
    _, _, test = theirs.learning_curve(tree, flat, Y, cv=CV, train_sizes=SIZES, shuffle=True, random_state=0)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), test.mean(1))
    assert display.ax_.get_ylabel() == "Score"


def test_a_curve_is_drawn_into_axes_that_are_given() -> None:
    ax = plt.subplots()[1]
    scores = np.full((2, 2), 0.5)
    display = LearningCurveDisplay(train_sizes=np.array([5, 9]), train_scores=scores, test_scores=scores)
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_two_models_in_the_same_axes_have_colors_of_their_own() -> None:
    ax = plt.subplots()[1]
    for level in (0.5, 0.7):
        scores = np.full((2, 2), level)
        LearningCurveDisplay(train_sizes=np.array([5, 9]), train_scores=scores, test_scores=scores).plot(ax)
    assert len({line.get_color() for line in ax.get_lines()}) == 4


def test_a_single_value_is_no_curve() -> None:
    scores = np.full((1, 2), 0.5)
    display = LearningCurveDisplay(train_sizes=np.array([5]), train_scores=scores, test_scores=scores)
    with pytest.raises(ParameterError, match="at least 2 values for a curve, got 1"):
        display.plot()


@pytest.mark.parametrize(
    ("display", "their_display", "curve"),
    [
        (LearningCurveDisplay, theirs.LearningCurveDisplay, learning_curve),
        (ValidationCurveDisplay, theirs.ValidationCurveDisplay, validation_curve),
    ],
)
def test_every_keyword_of_scikit_learn_is_taken(display: Any, their_display: Any, curve: Any) -> None:
    def keywords(function: Any) -> set[str]:
        return set(signature(function).parameters)

    taken = keywords(display.from_estimator) | keywords(curve)
    assert keywords(their_display.from_estimator) <= taken
