"""Training against validation loss over the epochs: the mean of all folds, their spread, and every fold's."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray
from sklearn.base import is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline

from throughtime.data import Sequences
from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, plain_log, set_title
from throughtime.errors import ParameterError, warn
from throughtime.estimators import DEFAULT_BUDGET, SequenceEstimator, fit_members
from throughtime.generalization import arguments_for
from throughtime.records import EpochRecord
from throughtime.training import CheckpointsOrPath

#: With more members than this, a line per member would fill the band.
MOST_LINES = 20
#: The band holds the members between these percentiles: 80 % of them.
BAND = 10, 90


class TrainingCurvesDisplay:
    """Loss of many members by epoch: their mean, a band that holds 80 % of them, and thin lines of up to 20.

    Where some members have stopped the mean of the others is dotted, for it is no longer that of the same members; once
    more than half have stopped, mean and band end.

    Parameters
    ----------
    histories
        One per member. The validation loss is that of the evaluated series, or else of the inner split.
    loss
        What the loss is called, with its unit.

    Attributes
    ----------
    train, validation
        Losses ``(member, epoch)``, NaN where there is none.
    ax_, figure_
        What ``plot`` drew into.
    lines_, bands_, member_lines_
        What it drew, by ``"training"`` and ``"validation"``: the line of the mean, the band, the thin lines.
    """

    figsize = 6.0, 3.6

    def __init__(self, histories: Sequence[Sequence[EpochRecord]], loss: str = "loss") -> None:
        if not histories or not any(map(len, histories)):
            raise ParameterError(f"TrainingCurvesDisplay needs the history of a member, got {len(histories)} histories")
        self.loss = loss
        self.train = _by_epoch([[record.train_loss for record in history] for history in histories])
        evaluated = [
            [r.eval_loss if r.eval_loss is not None else r.validation_loss for r in history] for history in histories
        ]
        self.validation = _by_epoch([[np.nan if loss is None else loss for loss in history] for history in evaluated])

    @classmethod
    def from_estimator(
        cls,
        estimator: SequenceEstimator,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        cv: Any = None,
        sample_weight: Any = None,
        memory_budget: float | None = DEFAULT_BUDGET,
        checkpoints: CheckpointsOrPath | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Train on all folds in lockstep, with the loss on each fold's test series, and draw.

        Parameters
        ----------
        estimator
            A ``SequenceClassifier`` or ``SequenceRegressor``.
        X, y, groups, cv, memory_budget, checkpoints
            As `cross_validate` takes them.

        Raises
        ------
        ParameterError
            For any other estimator.
        Exception
            The first member's, when all have failed; of fewer a ``FitFailedWarning`` tells.
        """
        if not isinstance(estimator, SequenceEstimator):
            raise ParameterError(
                f"{cls.__name__}.from_estimator needs a SequenceClassifier or SequenceRegressor, got a "
                f"{type(estimator).__name__}; from_cv_results takes what cross_validate gives with "
                "return_estimator=True"
            )
        given = arguments_for(estimator, X, y, groups, cv)
        labels = None if isinstance(given.y, Sequences) else given.y
        splitter = check_cv(given.cv, labels, classifier=is_classifier(estimator) and labels is not None)
        splits = list(splitter.split(given.X, labels, given.groups))
        fitted = fit_members(
            [estimator] * len(splits),
            given.X,
            given.y,
            train_indices=[train for train, _ in splits],
            eval_indices=[test for _, test in splits],
            sample_weight=sample_weight,
            groups=groups,
            memory_budget=memory_budget,
            checkpoints=checkpoints,
        )
        failures = [member for member in fitted if isinstance(member, Exception)]
        if len(failures) == len(fitted):
            raise failures[0]
        if failures:
            _warn(len(failures), len(fitted), str(failures[0]))
        histories = [member.history_ for member in fitted if not isinstance(member, Exception)]
        return cls(histories, loss_of(estimator)).plot(ax)

    @classmethod
    def from_cv_results(cls, cv_results: Mapping[str, Any], *, ax: Axes | None = None) -> Self:
        """Draw the losses of the estimators that ``cross_validate(..., return_estimator=True)`` gave.

        A validation loss is there only with early stopping: that of its inner split.

        Raises
        ------
        ParameterError
            Without estimators, or when none is a fitted network of ours or a pipeline or search that holds one.
        """
        if "estimator" not in cv_results:
            raise ParameterError(
                f"{cls.__name__}.from_cv_results needs cross_validate's results with return_estimator=True, got "
                f"{', '.join(cv_results) or 'none'}"
            )
        networks = [network_in(estimator) for estimator in cv_results["estimator"]]
        fitted = [network for network in networks if hasattr(network, "history_")]
        if not fitted:
            raise ParameterError(f"{cls.__name__}.from_cv_results needs a fitted network of throughtime, got none")
        if len(fitted) < len(networks):
            _warn(len(networks) - len(fitted), len(networks), "it holds no fitted network")
        return cls([network.history_ for network in fitted], loss_of(fitted[0])).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        self.member_lines_: dict[str, list[Any]] = {}
        epochs = np.arange(1, self.train.shape[1] + 1)
        several = len(self.train) > 1
        for name, curves, color in (
            ("training", self.train, TRAINING),
            ("validation", self.validation, VALIDATION),
        ):
            seen = ~np.isnan(curves).all(0)
            if not seen.any():
                continue
            x, part = epochs[seen], curves[:, seen]
            dot = "o" if len(x) == 1 else ""
            if several and len(part) <= MOST_LINES:
                self.member_lines_[name] = self.ax_.plot(x, part.T, color=color, lw=0.5, alpha=0.45)
            running = (~np.isnan(part)).mean(0)
            x, part, running = (values[..., running >= 0.5] for values in (x, part, running))
            if several:
                low, high = np.nanpercentile(part, BAND, axis=0)
                self.bands_[name] = self.ax_.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
            mean = np.nanmean(part, 0)
            whole = np.where(running == 1, mean, np.nan)
            (self.lines_[name],) = self.ax_.plot(x, whole, color=color, lw=1.8, label=name, marker=dot)
            if (running < 1).any():
                begin = max(int((running == 1).sum()) - 1, 0)  # join the line
                self.ax_.plot(x[begin:], mean[begin:], color=color, lw=1.8, ls=":")
        if (self.train > 0).any() or (self.validation > 0).any():
            self.ax_.set_yscale("log")
            plain_log(self.ax_.yaxis)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="epoch", ylabel=self.loss, xlim=(1, max(2, len(epochs))))
        set_title(
            self.ax_, f"mean and middle 80 % of {len(self.train)} networks" if several else "one network", legend=True
        )
        return self


def loss_of(estimator: Any) -> str:
    """What an estimator's loss is called, with its unit."""
    return "cross-entropy (nats)" if is_classifier(estimator) else "squared error (standardized)"


def network_in(estimator: Any) -> Any:
    """The network that answers for a pipeline or a search, or what is there instead."""
    while not isinstance(estimator, SequenceEstimator):
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator


def _warn(n_failed: int, n: int, why: str) -> None:
    warn(f"{n_failed} of {n} folds failed and are not drawn: {why}", FitFailedWarning)


def _by_epoch(curves: Sequence[Sequence[float]]) -> ndarray:
    """A row per member; NaN after it stopped."""
    table = np.full((len(curves), max(len(curve) for curve in curves)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table
