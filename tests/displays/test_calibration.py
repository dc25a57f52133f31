"""The reliability curve: scikit-learn's, of one class or of the predicted one, with every example counted once."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from numpy import ndarray
from pictured_data import NAMES, NUMBERS, X, steps
from sklearn.calibration import calibration_curve

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.displays import CalibrationDisplay
from throughtime.errors import DataError, ParameterError

RNG = np.random.default_rng(5)
TABLE = RNG.dirichlet([0.6, 0.6, 0.6], size=300)
TRUTH = np.array([RNG.choice(["ebb", "flow", "slack"], p=row) for row in TABLE])


def net(**settings: object) -> SequenceClassifier:
    return SequenceClassifier(hidden_size=4, max_epochs=4, random_state=0, **settings)  # type: ignore[arg-type]


def drawn(display: CalibrationDisplay) -> tuple[ndarray, ndarray]:
    return display.line_.get_ydata(), display.line_.get_xdata()


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_one_class_against_the_rest_is_scikit_learns_curve(strategy: str) -> None:
    display = CalibrationDisplay.from_predictions(TRUTH, TABLE, pos_label="flow", n_bins=7, strategy=strategy)
    expected = calibration_curve(TRUTH == "flow", TABLE[:, 1], n_bins=7, strategy=strategy)
    np.testing.assert_array_equal(drawn(display), expected)
    assert display.ax_.get_ylabel() == "fraction of class flow"


def test_of_several_classes_the_predicted_one_is_looked_at() -> None:
    display = CalibrationDisplay.from_predictions(TRUTH, TABLE, n_bins=10)
    right = np.array(["ebb", "flow", "slack"])[TABLE.argmax(1)] == TRUTH
    confidence = TABLE.max(1)
    bins = [right[(confidence > low) & (confidence <= low + 0.1)] for low in np.arange(3, 10) / 10]
    np.testing.assert_array_equal(display.line_.get_ydata(), [part.mean() for part in bins])
    np.testing.assert_array_equal(display.counts, [0, 0, 0, *map(len, bins)])


def test_two_classes_are_scikit_learns_curve_of_the_second() -> None:
    truth = np.where(TRUTH == "ebb", "a", "b")
    two = np.column_stack([TABLE[:, 0], 1 - TABLE[:, 0]])
    expected = calibration_curve(truth == "b", two[:, 1], n_bins=5)
    np.testing.assert_array_equal(drawn(CalibrationDisplay.from_predictions(truth, two)), expected)
    display = CalibrationDisplay.from_predictions(truth, two[:, 1], pos_label="b")  # as scikit-learn takes them
    np.testing.assert_array_equal(drawn(display), expected)
    assert "class b" in display.ax_.get_xlabel()


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_every_example_is_counted_in_the_bin_of_its_point(strategy: str) -> None:
    display = CalibrationDisplay.from_predictions(TRUTH, TABLE, pos_label="ebb", n_bins=8, strategy=strategy)
    counts = display.counts[display.counts > 0]
    assert counts.sum() == len(TRUTH)
    # points weighted by their counts give the means over all examples back
    np.testing.assert_allclose(counts @ display.prob_pred / len(TRUTH), TABLE[:, 0].mean(), rtol=1e-12)
    np.testing.assert_allclose(counts @ display.prob_true / len(TRUTH), (TRUTH == "ebb").mean(), rtol=1e-12)
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(heights, 0.2 * display.counts / display.counts.max())
    if strategy == "uniform":
        assert [text.get_text() for text in display.ax_.texts] == [str(count) for count in counts]


def test_an_estimators_probabilities_are_looked_at() -> None:
    model = net().fit(X, NAMES)
    display = CalibrationDisplay.from_estimator(model, X, NAMES, n_bins=3)
    np.testing.assert_array_equal(display.y_prob, model.predict_proba(X).max(1))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["Perfectly calibrated", "SequenceClassifier"]
    one = CalibrationDisplay.from_estimator(model, X, NAMES, pos_label="slack", n_bins=3)
    expected = calibration_curve(NAMES == "slack", model.predict_proba(X)[:, 2], n_bins=3)
    np.testing.assert_array_equal(drawn(one), expected)


def test_a_class_that_the_test_series_lack_keeps_its_column() -> None:
    model = net().fit(X, NAMES)
    some = NAMES != "flow"
    display = CalibrationDisplay.from_estimator(model, X[some], NAMES[some])
    assert display.counts.sum() == some.sum()
    with pytest.raises(DataError, match=r"one column per class \(2\), got 3; labels names"):
        CalibrationDisplay.from_predictions(NAMES[some], model.predict_proba(X[some]))


def test_of_steps_the_observed_ones_after_the_burn_in_count() -> None:
    targets = steps(of_classes=True)
    model = net(burn_in=1).fit(X, targets)
    display = CalibrationDisplay.from_estimator(model, X, targets)
    truth = np.concatenate([y[1:] for y in targets])
    said = np.concatenate([p[1:, 1] for p in model.predict_proba(X)])
    seen = ~np.isnan(truth)
    np.testing.assert_array_equal(drawn(display), calibration_curve(truth[seen], said[seen], n_bins=5))


def test_several_models_share_axes_and_one_diagonal() -> None:
    ax = plt.subplots()[1]
    first = CalibrationDisplay.from_predictions(TRUTH, TABLE, name="one", ax=ax)
    second = CalibrationDisplay.from_predictions(TRUTH, TABLE, name="two", ax=ax, n_bins=4, color="k")
    assert first.ax_ is second.ax_ is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Perfectly calibrated", "one", "two"]
    assert second.line_.get_color() == "k"


def test_a_curve_of_scikit_learns_making_is_drawn_without_counts() -> None:
    said = TABLE[:, 0]
    display = CalibrationDisplay(*calibration_curve(TRUTH == "ebb", said), said).plot()
    assert display.bars_ is None
    assert display.ax_.get_legend() is None  # a diagonal needs no name


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="from_estimator only supports classifiers"):
        CalibrationDisplay.from_estimator(SequenceRegressor(), X, NUMBERS)
    with pytest.raises(ParameterError, match="pos_label needs one of ebb, flow, slack, got 'surge'"):
        CalibrationDisplay.from_predictions(TRUTH, TABLE, pos_label="surge")
    with pytest.raises(ValueError, match="outside"):
        CalibrationDisplay.from_predictions(TRUTH, TABLE * 2)
    with pytest.raises(DataError, match=r"one row per target \(300\), got 200"):
        CalibrationDisplay.from_predictions(TRUTH, TABLE[:200])
