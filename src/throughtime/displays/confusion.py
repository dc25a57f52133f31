"""Which class was taken for which: scikit-learn's confusion matrix, readable with many classes."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray
from sklearn.base import is_classifier
from sklearn.metrics import ConfusionMatrixDisplay as SklearnConfusionMatrixDisplay

from throughtime.displays.canvas import MOST_OF_NAME, axes_for, show_literally
from throughtime.displays.pairs import pair_up, unscored_steps

#: With more classes than this, numbers would overlap.
MOST_NUMBERED = 25
#: With more classes than this, not every one has its label.
MOST_LABELED = 50
#: More letters do not fit side by side under a matrix, however they are divided.
LETTERS = 36

#: Widths of axes before their layout that the matrix and the labels of its rows share.
BESIDE = 1.15

_FRACTIONS = {
    "true": "fraction of each true class",
    "pred": "fraction of each predicted class",
    "all": "fraction of all",
}


class ConfusionMatrixDisplay(SklearnConfusionMatrixDisplay):  # type: ignore[misc]
    """Counts by true and predicted class.

    Parameters, attributes and methods are those of ``sklearn.metrics.ConfusionMatrixDisplay``.  When each step has a
    target, the observed steps are counted.  The size, the direction of the labels and whether numbers are written
    follow from the number of classes, unless given.
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool | None = None,
        cmap: Any = "Blues",
        xticks_rotation: str | float | None = None,
        values_format: str | None = None,
        colorbar: bool | None = None,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw into ``ax``, or into a new figure; the other keywords are scikit-learn's.

        A color bar is drawn where no numbers are.
        """
        n = len(self.confusion_matrix)
        labels = [str(label) for label in (np.arange(n) if self.display_labels is None else self.display_labels)]
        if include_values is None:
            include_values = n <= MOST_NUMBERED
        measured = xticks_rotation is None and sum(len(label) + 1 for label in labels) <= LETTERS
        if xticks_rotation is None:
            xticks_rotation = "horizontal" if measured else "vertical"
        counted = np.asarray(self.confusion_matrix).dtype.kind in "iu"
        if values_format is None and not counted:
            values_format = ".2f"
        colorbar = not include_values if colorbar is None else colorbar
        super().plot(
            include_values=include_values,
            cmap=cmap,
            xticks_rotation=xticks_rotation,
            values_format=values_format,
            ax=axes_for(ax, self.size_of(n, colorbar, max(map(len, labels)))),
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw={"fontsize": 9 if n <= 12 else 7} | (text_kw or {}),
        )
        if self.text_ is not None:  # what is not there shall not hide what is
            for text in self.text_[np.asarray(self.confusion_matrix) == 0]:
                text.set_alpha(0.65)
        every = -(-n // MOST_LABELED)
        if every > 1:
            self.ax_.set_xticks(range(0, n, every), labels[::every], rotation=xticks_rotation)
            self.ax_.set_yticks(range(0, n, every), labels[::every])
        show_literally([*self.ax_.get_xticklabels(), *self.ax_.get_yticklabels()])
        self.ax_.set(xlabel="predicted class", ylabel="true class")
        if counted:
            total = int(np.sum(self.confusion_matrix))
            right = float(np.trace(self.confusion_matrix)) / max(total, 1)
            self.ax_.set_title(f"{right:.1%} of {total} right", fontsize=10, loc="left")
        if measured and self._a_label_exceeds_its_cell():
            self.ax_.tick_params(axis="x", labelrotation=90)
        return self

    def _a_label_exceeds_its_cell(self) -> bool:
        """Whether a label under the matrix is wider than a cell will be, beside the same label of a row."""
        labels, box = self.ax_.get_xticklabels(), self.ax_.bbox
        widest = max(label.get_window_extent().width for label in labels)
        return bool(widest > min(box.height, BESIDE * box.width - widest) / len(labels))

    @staticmethod
    def size_of(n_classes: int, colorbar: bool | None = None, letters: int = 0) -> tuple[float, float]:
        """Inches that a figure of so many classes takes, with labels of so many letters."""
        side = float(np.clip(2 + 0.35 * n_classes, 3.6, 9)) + 0.06 * max(0, min(letters, MOST_OF_NAME) - 8)
        return side + 0.4 + 0.8 * (n_classes > MOST_NUMBERED if colorbar is None else colorbar), side

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Predict the series of X with a fitted classifier, and draw; ``options`` as `from_predictions` takes them."""
        if not is_classifier(estimator):
            raise ValueError(f"{cls.__name__}.from_estimator only supports classifiers")
        return cls._of_pairs(*pair_up(y, estimator.predict(X), unscored_steps(estimator)), **options)

    @classmethod
    def from_predictions(cls, y_true: Any, y_pred: Any, **options: Any) -> Self:
        """Draw what was predicted for which truth.

        Parameters
        ----------
        y_true, y_pred
            One class per series, or ``Sequences`` with one per step.
        options
            scikit-learn's ``labels``, ``sample_weight``, ``normalize``, ``display_labels``, and those of `plot`.
        """
        return cls._of_pairs(*pair_up(y_true, y_pred), **options)

    @classmethod
    def _of_pairs(cls, truth: ndarray, predicted: ndarray, rows: ndarray | None, **options: Any) -> Self:
        if rows is not None:  # a step's class comes as a float
            truth, predicted = truth.astype(np.int64), predicted.astype(np.int64)
        chosen = {"include_values": None, "xticks_rotation": None, "cmap": "Blues", "colorbar": None} | options
        display: Self = super().from_predictions(truth, predicted, **chosen)
        if (normalize := options.get("normalize")) is not None:
            display.ax_.set_title(_FRACTIONS[normalize], fontsize=10, loc="left")
        return display
