"""The confusion matrix: scikit-learn's numbers, of series and of steps, readable however many classes there are."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib import rc_context
from matplotlib.figure import Figure
from pictured_data import NAMES, NUMBERS, X, Y, steps
from sklearn.linear_model import LinearRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import SequenceClassifier, SequenceRegressor, cross_val_predict
from throughtime.displays import ConfusionMatrixDisplay


def net(**settings: object) -> SequenceClassifier:
    return SequenceClassifier(hidden_size=4, max_epochs=4, random_state=0, **settings)  # type: ignore[arg-type]


def test_the_matrix_drawn_is_scikit_learns() -> None:
    model = net().fit(X, NAMES)
    display = ConfusionMatrixDisplay.from_estimator(model, X, NAMES)
    expected = confusion_matrix(NAMES, model.predict(X))
    assert 0 < np.trace(expected) < len(X)  # right and wrong ones
    np.testing.assert_array_equal(display.confusion_matrix, expected)
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    assert [[int(text.get_text()) for text in row] for row in display.text_] == expected.tolist()
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["ebb", "flow", "slack"]
    assert display.ax_.get_title(loc="left") == f"{np.trace(expected) / 36:.1%} of 36 right"


@pytest.mark.parametrize("normalize", ["true", "pred", "all"])
def test_shares_are_scikit_learns(normalize: str) -> None:
    predicted = np.roll(Y, 5)
    display = ConfusionMatrixDisplay.from_predictions(Y, predicted, normalize=normalize)
    expected = confusion_matrix(Y, predicted, normalize=normalize)
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    assert display.text_[0, 2].get_text() == f"{expected[0, 2]:.2f}"
    assert "fraction of" in display.ax_.get_title(loc="left")


def test_of_steps_the_observed_ones_after_the_burn_in_are_counted() -> None:
    targets = steps(of_classes=True)
    model = net(burn_in=2).fit(X, targets)
    found = model.predict(X)
    truth = np.concatenate([y[2:] for y in targets])
    predicted = np.concatenate([p[2:, 0] for p in found])[~np.isnan(truth)]
    expected = confusion_matrix(truth[~np.isnan(truth)], predicted)
    for estimator in (model, make_pipeline(FunctionTransformer(), model)):
        display = ConfusionMatrixDisplay.from_estimator(estimator, X, targets)
        np.testing.assert_array_equal(display.confusion_matrix, expected)
        assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0", "1"]
    out_of_fold = cross_val_predict(net(), X, targets, cv=3)
    display = ConfusionMatrixDisplay.from_predictions(targets, out_of_fold)
    assert display.confusion_matrix.sum() == sum(np.isfinite(y).sum() for y in targets)


@pytest.mark.parametrize(("n", "numbered", "labels"), [(3, True, 3), (25, True, 25), (26, False, 26), (120, False, 40)])
def test_many_classes_stay_readable(n: int, numbered: bool, labels: int) -> None:
    y = np.arange(2 * n) % n
    display = ConfusionMatrixDisplay.from_predictions(y, y)
    assert (display.text_ is not None) == numbered
    assert (display.im_.colorbar is None) == numbered
    ticks = display.ax_.get_xticklabels()
    assert len(ticks) == len(display.ax_.get_yticklabels()) == labels
    display.figure_.draw_without_rendering()
    boxes = [tick.get_window_extent() for tick in ticks]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize(("n", "others"), [(2, 4), (2, 14), (3, 5), (5, 3)])
def test_labels_of_any_length_are_apart(n: int, others: int) -> None:
    turned = []
    for letters in (2, 8, 12, 14, 16, 18, 22, 26, 30):
        labels = [*(f"{k}{'n' * (others - 1)}" for k in range(n - 1)), "w" + "e" * (letters - 1)]
        size = ConfusionMatrixDisplay.size_of(n, letters=max(letters, others))
        with rc_context({"font.size": 9}):  # as a report draws it
            figure = Figure(figsize=(0.8 * size[0], 0.8 * size[1]), layout="constrained")
            display = ConfusionMatrixDisplay(np.eye(n, dtype=int), display_labels=labels).plot(figure.subplots())
            figure.draw_without_rendering()  # matplotlib warns where the matrix has no room, and warnings are errors
        ticks = display.ax_.get_xticklabels()
        boxes = [tick.get_window_extent() for tick in ticks]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes)), labels
        assert all(figure.bbox.y0 <= box.y0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert display.ax_.bbox.width > figure.bbox.width / 6
        turned.append(ticks[0].get_rotation())
    assert turned == sorted(turned)  # from some length on
    assert turned[-1] == 90


def test_labels_that_have_room_are_level() -> None:
    for labels in (["no", "yes"], ["normal sinus", "atrial fib"], [str(k) for k in range(10)]):
        display = ConfusionMatrixDisplay(np.eye(len(labels), dtype=int), display_labels=labels).plot()
        assert display.ax_.get_xticklabels()[0].get_rotation() == 0


def test_what_is_asked_for_is_drawn() -> None:
    ax = plt.subplots()[1]
    display = ConfusionMatrixDisplay(np.eye(30, dtype=int)).plot(
        ax, include_values=True, xticks_rotation=45, colorbar=True, cmap="Greys", values_format="02d"
    )
    assert display.ax_ is ax
    assert display.text_[0, 0].get_text() == "01"
    assert display.im_.get_cmap().name == "Greys"
    assert display.im_.colorbar is not None
    assert ax.get_xticklabels()[0].get_rotation() == 45


def test_a_regressor_has_no_confusion() -> None:
    for regressor in (SequenceRegressor(), LinearRegression()):
        with pytest.raises(ValueError, match=r"ConfusionMatrixDisplay\.from_estimator only supports classifiers"):
            ConfusionMatrixDisplay.from_estimator(regressor, X, NUMBERS)
