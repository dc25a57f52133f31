"""Scores by the number of training series, or by the value of a parameter: scikit-learn's displays, in lockstep."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray
from sklearn.model_selection import LearningCurveDisplay as SklearnLearningCurveDisplay
from sklearn.model_selection import ValidationCurveDisplay as SklearnValidationCurveDisplay
from sklearn.utils._plotting import _validate_score_name

from throughtime.displays.canvas import FURTHER, TRAINING, VALIDATION, axes_for, set_title, without_legend
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.generalization import learning_curve, validation_curve

FIGSIZE = 6.0, 3.6
#: What the estimators' own scores are called in a picture.
_SCORE_NAMES = {"accuracy": "Accuracy", "R2": "R²"}
#: So many values are all marked on the axis.
MOST_TICKS = 10


class LearningCurveDisplay(SklearnLearningCurveDisplay):  # type: ignore[misc]
    """Scores by the number of training series.

    Parameters, attributes and methods are those of ``sklearn.model_selection.LearningCurveDisplay``.  All sizes of all
    folds train in lockstep; the mean is taken over the folds that have a score.
    """

    def plot(self, ax: Axes | None = None, **style: Any) -> Self:
        """Draw into ``ax``, or into a new figure; the other keywords are scikit-learn's."""
        drawn = SklearnLearningCurveDisplay(
            train_sizes=self.train_sizes,
            train_scores=_scored(self.train_scores),
            test_scores=_scored(self.test_scores),
            score_name=self.score_name,
        )
        _draw(self, drawn, np.asarray(self.train_sizes), "training series", ax, style)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        fit_params: dict[str, Any] | None = None,
        ax: Axes | None = None,
        negate_score: bool = False,
        score_name: str | None = None,
        score_type: str = "both",
        std_display_style: str | None = "fill_between",
        line_kw: dict[str, Any] | None = None,
        fill_between_kw: dict[str, Any] | None = None,
        errorbar_kw: dict[str, Any] | None = None,
        **curve: Any,
    ) -> Self:
        """Train all sizes of all folds in lockstep, and draw.

        Parameters
        ----------
        curve
            Of `learning_curve`: ``groups``, ``train_sizes``, ``cv``, ``shuffle``, ``random_state``, ``memory_budget``
            and the rest.
        scoring, fit_params, ax, negate_score, score_name, score_type, std_display_style, line_kw, fill_between_kw, \
        errorbar_kw
            scikit-learn's.
        """
        sizes, train, test = learning_curve(estimator, X, y, scoring=scoring, params=fit_params, **curve)
        name = _name_of_score(score_name, scoring, negate_score, estimator)
        display = cls(train_sizes=sizes, train_scores=train, test_scores=test, score_name=name)
        return display.plot(
            ax,
            negate_score=negate_score,
            score_type=score_type,
            std_display_style=std_display_style,
            line_kw=line_kw,
            fill_between_kw=fill_between_kw,
            errorbar_kw=errorbar_kw,
        )


class ValidationCurveDisplay(SklearnValidationCurveDisplay):  # type: ignore[misc]
    """Scores by the value of a parameter.

    Parameters, attributes and methods are those of ``sklearn.model_selection.ValidationCurveDisplay``.  All values of
    all folds train in lockstep; the mean is taken over the folds that have a score.  Values that are no finite numbers,
    such as the names of cells, are set side by side, with error bars instead of a band.
    """

    def plot(self, ax: Axes | None = None, **style: Any) -> Self:
        """Draw into ``ax``, or into a new figure; the other keywords are scikit-learn's."""
        values = np.asarray(self.param_range)
        numbers = values.dtype.kind in "iuf" and bool(np.isfinite(values).all())
        drawn = SklearnValidationCurveDisplay(
            param_name=self.param_name,
            param_range=values if numbers else np.arange(len(values)),
            train_scores=_scored(self.train_scores),
            test_scores=_scored(self.test_scores),
            score_name=self.score_name,
        )
        # np.asarray makes 1.0 of the 1 in [1, None] no more than it makes text of it: names are the caller's own
        names = None if numbers else [str(value) for value in self.param_range]
        _draw(self, drawn, drawn.param_range, self.param_name, ax, style, names)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        param_name: str,
        param_range: Any,
        scoring: Any = None,
        fit_params: dict[str, Any] | None = None,
        ax: Axes | None = None,
        negate_score: bool = False,
        score_name: str | None = None,
        score_type: str = "both",
        std_display_style: str | None = "fill_between",
        line_kw: dict[str, Any] | None = None,
        fill_between_kw: dict[str, Any] | None = None,
        errorbar_kw: dict[str, Any] | None = None,
        **curve: Any,
    ) -> Self:
        """Train all values of all folds in lockstep, and draw.

        Parameters
        ----------
        param_name, param_range
            What varies, and over which values.
        curve
            Of `validation_curve`: ``groups``, ``cv``, ``error_score``, ``memory_budget`` and the rest.
        scoring, fit_params, ax, negate_score, score_name, score_type, std_display_style, line_kw, fill_between_kw, \
        errorbar_kw
            scikit-learn's.
        """
        varied = {"param_name": param_name, "param_range": param_range}
        train, test = validation_curve(estimator, X, y, scoring=scoring, params=fit_params, **varied, **curve)
        name = _name_of_score(score_name, scoring, negate_score, estimator)
        display = cls(**varied, train_scores=train, test_scores=test, score_name=name)
        return display.plot(
            ax,
            negate_score=negate_score,
            score_type=score_type,
            std_display_style=std_display_style,
            line_kw=line_kw,
            fill_between_kw=fill_between_kw,
            errorbar_kw=errorbar_kw,
        )


def _name_of_score(score_name: str | None, scoring: Any, negate_score: bool, estimator: Any) -> str:
    """scikit-learn's name, but what our estimators' ``score`` is where it would only say "score"."""
    if score_name is None and scoring is None and not negate_score and isinstance(estimator, SequenceEstimator):
        return _SCORE_NAMES[estimator.task.score_name]
    return str(_validate_score_name(score_name, scoring, negate_score))


def _scored(scores: ndarray) -> Any:
    """Scores without those of fits that failed, which would take the mean of all with them."""
    return np.ma.masked_invalid(scores)  # type: ignore[no-untyped-call]


def _draw(
    display: Any,
    drawn: Any,
    x: ndarray,
    xlabel: str,
    ax: Axes | None,
    style: dict[str, Any],
    names: list[str] | None = None,
) -> None:
    """Let scikit-learn draw, take what it drew over, and make the axes and the legend readable."""
    if len(x) < 2:
        raise ParameterError(f"{type(display).__name__} needs at least 2 values for a curve, got {len(x)}")
    axes = axes_for(ax, FIGSIZE)
    spread = style.get("std_display_style", "fill_between")
    if names is not None and spread == "fill_between":  # there is nothing between two names
        style["std_display_style"] = "errorbar"
        style["errorbar_kw"] = {"linestyle": "none"} | (style.get("errorbar_kw") or {})
    score_type = style.get("score_type", "both")
    if not axes.has_data():
        colors = {"train": [TRAINING], "test": [VALIDATION]}.get(score_type, [TRAINING, VALIDATION])
        axes.set_prop_cycle(color=[*colors, *FURTHER])
    for part, usual in (
        ("line_kw", {"marker": "o", "markersize": 4}),
        ("errorbar_kw", {"marker": "o", "markersize": 4, "capsize": 3}),
        ("fill_between_kw", {"alpha": 0.18, "linewidth": 0}),
    ):
        style[part] = usual | (style.get(part) or {})
    drawn.plot(axes, **style)
    for name in ("ax_", "figure_", "lines_", "errorbar_", "fill_between_"):
        setattr(display, name, getattr(drawn, name))
    if axes.get_xscale() == "symlog":  # scikit-learn leaves everything below 2 linear
        axes.set_xscale("symlog", linthresh=float(np.abs(x[x != 0]).min()))
    if names is not None:
        axes.margins(x=0.2)
        axes.set_xticks(x, names, rotation=90 if sum(map(len, names)) > 60 else 0)
    elif len(x) <= MOST_TICKS:
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.minorticks_off()
    axes.set_xlabel(xlabel)
    n_folds = np.shape(display.test_scores)[1]
    n_lines = len(axes.get_legend_handles_labels()[0])
    without_legend(axes)
    set_title(axes, f"mean{'' if spread is None else ' ± standard deviation'} of {n_folds} folds", legend=n_lines > 1)
