"""Whether a class predicted with 80 % comes true in 80 % of cases: scikit-learn's reliability curve, with counts.

References: Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks,
https://arxiv.org/abs/1706.04599, section 2: with several classes, confidence is the probability of the predicted class,
and its accuracy is what it should equal.  Kull et al. (2019), https://arxiv.org/abs/1910.12656, take each class against
the rest.
"""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray
from sklearn.base import is_classifier
from sklearn.calibration import CalibrationDisplay as SklearnCalibrationDisplay
from sklearn.calibration import calibration_curve

from throughtime.displays.canvas import VALIDATION, axes_for, set_title, show_literally, without_legend
from throughtime.displays.pairs import pair_up, unscored_steps
from throughtime.errors import DataError, ParameterError

#: Fraction of the height that the tallest bar of counts takes.
BARS = 0.2
#: A bin of this width or less has no room for a number.
NARROW = 0.04
#: The class of an example whose predicted class was the true one.
RIGHT = "predicted class"


class CalibrationDisplay(SklearnCalibrationDisplay):  # type: ignore[misc]
    """Fraction of examples that came true by predicted probability, and the number of examples in each bin.

    Parameters
    ----------
    prob_true, prob_pred, y_prob, estimator_name, pos_label
        scikit-learn's.
    bin_edges
        ``(bin + 1,)``; without them no counts are drawn.

    Attributes
    ----------
    counts
        Examples in each bin, those that are empty too.
    line_, ax_, figure_, bars_
        What ``plot`` drew.
    """

    #: Inches, of a new figure.
    figsize = 5.0, 4.6

    def __init__(
        self,
        prob_true: ndarray,
        prob_pred: ndarray,
        y_prob: ndarray,
        *,
        estimator_name: str | None = None,
        pos_label: Any = None,
        bin_edges: ndarray | None = None,
    ) -> None:
        super().__init__(prob_true, prob_pred, y_prob, estimator_name=estimator_name, pos_label=pos_label)
        self.bin_edges = bin_edges
        self.counts = None
        if bin_edges is not None:  # as calibration_curve counts: an edge belongs to the bin below
            self.counts = np.bincount(np.searchsorted(bin_edges[1:-1], y_prob), minlength=len(bin_edges) - 1)

    def plot(self, ax: Axes | None = None, *, name: str | None = None, ref_line: bool = True, **style: Any) -> Self:
        """Draw into ``ax``, or into a new figure; ``style`` goes to ``Axes.plot``.

        Bars at the bottom, with their numbers, count the examples in each bin.
        """
        axes = axes_for(ax, self.figsize)
        colored = {} if axes.has_data() else {"color": VALIDATION}
        super().plot(ax=axes, name=name, ref_line=ref_line, **({"marker": "o"} | colored | style))
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        self.bars_: Any = None
        if self.counts is not None and self.bin_edges is not None:
            self._count(axes, self.bin_edges, self.counts)
        of = self.pos_label
        if of == RIGHT:
            words = "mean probability of the predicted class", "fraction predicted rightly"
        elif of is None:
            words = "mean predicted probability", "fraction that came true"
        else:
            words = f"mean predicted probability of class {of}", f"fraction of class {of}"
            show_literally([axes.xaxis.label, axes.yaxis.label])
        axes.set(xlabel=words[0], ylabel=words[1])
        labels = axes.get_legend_handles_labels()[1]
        without_legend(axes)
        if len(labels) > 1:
            axes.legend(frameon=False, loc="best", fontsize=9)
        set_title(axes, f"{len(self.y_prob)} examples; bars count those of each bin", legend=False)
        return self

    def _count(self, axes: Axes, edges: ndarray, counts: ndarray) -> None:
        low = axes.get_xaxis_transform()  # in fractions of the height, whatever the y-axis is
        heights, widths = BARS * counts / counts.max(), np.diff(edges)
        self.bars_ = axes.bar(edges[:-1], heights, widths, align="edge", color="0.85", ec="w", zorder=0, transform=low)
        for left, width, height, count in zip(edges[:-1], widths, heights, counts, strict=True):
            if count and width > NARROW:
                place = left + width / 2, height + 0.005
                axes.text(*place, str(count), ha="center", va="bottom", fontsize=8, color="0.35", transform=low)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Predict the probabilities of X with a fitted classifier, and draw; ``options`` are `from_predictions`'s.

        Raises
        ------
        ValueError
            As scikit-learn does, for what is no classifier.
        """
        if not is_classifier(estimator):
            raise ValueError(f"{cls.__name__}.from_estimator only supports classifiers")
        truth, probabilities, _ = pair_up(y, estimator.predict_proba(X), unscored_steps(estimator))
        options = {"name": type(estimator).__name__, "labels": estimator.classes_} | options
        return cls.from_predictions(truth, probabilities, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_prob: Any,
        *,
        labels: Any = None,
        n_bins: int = 5,
        strategy: str = "uniform",
        pos_label: Any = None,
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **style: Any,
    ) -> Self:
        """Draw the fraction that came true by what was predicted for it.

        Parameters
        ----------
        y_true
            One class per series, or ``Sequences`` with one per step.
        y_prob
            The probability of ``pos_label``, one per target; or that of every class, ``(target, class)``, or
            ``Sequences`` with one channel per class.
        labels
            The classes of the columns; by default those of ``y_true``, sorted.
        pos_label
            The class whose probability is shown, against all others. By default the second of two; with more, the
            predicted one, whichever it is: is it right as often as its probability says?
        n_bins, strategy, name, ax, ref_line, style
            scikit-learn's.

        Raises
        ------
        ParameterError
            When ``pos_label`` is none of the classes.
        DataError
            When the columns are not one per class.
        ValueError
            scikit-learn's, for probabilities outside [0, 1] and for an unknown ``strategy``.
        """
        truth, probabilities, _ = pair_up(y_true, y_prob)
        if probabilities.ndim == 1:
            prob_true, prob_pred = calibration_curve(
                truth, probabilities, n_bins=n_bins, strategy=strategy, pos_label=pos_label
            )
        else:
            came_true, probabilities, pos_label = _one_probability(truth, probabilities, labels, pos_label)
            prob_true, prob_pred = calibration_curve(came_true, probabilities, n_bins=n_bins, strategy=strategy)
        levels = np.linspace(0, 1, n_bins + 1)
        edges = levels if strategy == "uniform" else np.percentile(probabilities, levels * 100)
        display = cls(prob_true, prob_pred, probabilities, estimator_name=name, pos_label=pos_label, bin_edges=edges)
        return display.plot(ax, ref_line=ref_line, **style)


def _one_probability(truth: ndarray, table: ndarray, labels: Any, pos_label: Any) -> tuple[ndarray, ndarray, Any]:
    """Whether it came true, the probability said for that, and of what: one class, or the predicted one."""
    classes = np.unique(truth) if labels is None else np.asarray(labels)
    if table.shape[1] != len(classes):
        raise DataError(
            f"y_prob needs one column per class ({len(classes)}), got {table.shape[1]}; labels names the columns"
        )
    if pos_label is None and len(classes) == 2:
        pos_label = classes[1]
    if pos_label is None:
        return (classes[table.argmax(1)] == truth).astype(int), table.max(1), RIGHT
    (column,) = np.nonzero(classes == pos_label)
    if not len(column):
        raise ParameterError(f"pos_label needs one of {', '.join(map(str, classes))}, got {pos_label!r}")
    return (truth == pos_label).astype(int), table[:, column[0]], pos_label
