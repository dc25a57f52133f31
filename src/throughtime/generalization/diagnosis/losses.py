"""What a member's outputs cost, example by example: raw, tempered, and as the leak check reads them.

A net that has learned something and says it too loudly has a worse log loss than one that says nothing.  Tempering
takes the loudness out: outputs are drawn toward what the training fold knows without looking, by a factor that the
other folds' outputs choose,

    z = log prior + s (o - log prior)        classes,
    z = mean + s (o - mean)                  numbers,

so that a worse loss after it is a worse net; s = 0 is the dummy, and s = 1, the largest, the net itself: folds without
an error would draw it out for ever.  s = 1/T of Guo et al. (2017), On calibration of
modern neural networks, https://arxiv.org/abs/1706.04599, section 4.2, about the prior in the place of uniform chances.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import log_softmax

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator, targets_of

#: Folds are taken together to so many blocks, each tempered by what the others say: leave-one-out has one per series.
_MOST_BLOCKS = 10
#: How far an s may be from the best one.
_SCALE_ERROR = 1e-6


@dataclass(frozen=True)
class Scored:
    """Observed targets and what one member put out for them.

    Parameters
    ----------
    truth
        The class's number, or the value.
    example
        The series of each.
    outputs
        Log-probability of each class; or the value in one column.
    center
        The same of a dummy: the training fold's class frequencies, or its mean; of all rows, or of each.
    """

    truth: Shaped[ndarray, "row"]
    example: Int[ndarray, "row"]
    outputs: Float[ndarray, "row output"]
    center: Float[ndarray, "*row output"]


@dataclass(frozen=True)
class OutOfFold:
    """Mean losses of one condition in one repeat, by series; NaN where a series was in no test fold.

    Attributes
    ----------
    raw, tempered, leak, chance, leak_chance
        Loss of the outputs as they are; tempered; the bounded loss that leaks are judged by; and the dummy's.
    train
        Mean raw loss on the training series, over folds.
    """

    raw: Float[ndarray, "series"]
    tempered: Float[ndarray, "series"]
    leak: Float[ndarray, "series"]
    chance: Float[ndarray, "series"]
    leak_chance: Float[ndarray, "series"]
    train: float


class Losses(ABC):
    """The losses of a task on one data set's targets.

    Parameters
    ----------
    n_series
        Examples.
    weights
        One per series.

    Attributes
    ----------
    name, leak_name
        Of the raw loss and of the one for leaks, in words; "tempered" or "recalibrated" goes before the first.
    """

    name: str
    tempered_name: str
    leak_name: str

    def __init__(self, n_series: int, weights: Float[ndarray, "series"]) -> None:
        self.n_series, self.weights = n_series, weights

    @abstractmethod
    def loss(self, truth: ndarray, outputs: ndarray) -> Float[ndarray, "row"]:
        """The raw loss of each row."""

    @abstractmethod
    def leak(self, truth: ndarray, outputs: ndarray) -> Float[ndarray, "row"]:
        """The loss that leaks are judged by."""

    @abstractmethod
    def best_scale(self, scored: Scored, weights: Float[ndarray, "row"]) -> float:
        """The s from 0 to 1 of the lowest weighted loss after tempering by it, which is convex in s."""

    @abstractmethod
    def tempered(self, scored: Scored, s: float) -> Float[ndarray, "row output"]:
        """Outputs drawn toward the dummy's."""

    def out_of_fold(self, tests: Sequence[Scored], trains: Sequence[Scored]) -> OutOfFold:
        """Losses of all folds of a condition.

        Parameters
        ----------
        tests, trains
            One per fold: its member's outputs on test and on training series.
        """
        scales = self.scales(tests)
        raw, leak = ([loss(one.truth, one.outputs) for one in tests] for loss in (self.loss, self.leak))
        calm = [self.loss(one.truth, self.tempered(one, s)) for one, s in zip(tests, scales, strict=True)]
        dummies = [(one.truth, np.broadcast_to(one.center, one.outputs.shape)) for one in tests]
        chance, leak_chance = ([loss(*dummy) for dummy in dummies] for loss in (self.loss, self.leak))
        kinds = {"raw": raw, "tempered": calm, "leak": leak, "chance": chance, "leak_chance": leak_chance}
        fits = [self._mean(one, self.loss(one.truth, one.outputs)) for one in trains]
        by_series = {kind: self._by_series(tests, losses) for kind, losses in kinds.items()}
        return OutOfFold(**by_series, train=float(np.mean(fits)))

    def scales(self, tests: Sequence[Scored]) -> list[float]:
        """The s that each fold is tempered by: the best one for the outputs of the other folds."""
        block = np.arange(len(tests)) % _MOST_BLOCKS
        weights = [self._row_weights(one) for one in tests]
        found = {}
        for number in np.unique(block):
            others = np.flatnonzero(block != number)
            found[number] = 1.0
            if len(others):
                rows = _joined([tests[k] for k in others])
                found[number] = self.best_scale(rows, np.concatenate([weights[k] for k in others]))
        return [found[number] for number in block]

    def _row_weights(self, scored: Scored) -> Float[ndarray, "row"]:
        """A series' weight, divided equally among its rows."""
        rows = np.bincount(scored.example, minlength=self.n_series)
        return np.asarray(self.weights[scored.example] / rows[scored.example])

    def _mean(self, scored: Scored, losses: Float[ndarray, "row"]) -> float:
        weights = self._row_weights(scored)
        return float(weights @ losses / weights.sum())

    def _by_series(self, tests: Sequence[Scored], losses: Sequence[ndarray]) -> Float[ndarray, "series"]:
        """Means over the rows of each series, in however many folds it was tested."""
        example = np.concatenate([one.example for one in tests])
        rows = np.bincount(example, minlength=self.n_series)
        sums = np.bincount(example, np.concatenate(losses), minlength=self.n_series)
        means: ndarray = np.divide(sums, rows, out=np.full(self.n_series, np.nan), where=rows > 0)
        return means


def _joined(folds: Sequence[Scored]) -> Scored:
    centers = [np.broadcast_to(one.center, one.outputs.shape) for one in folds]
    truth, example, outputs = (
        np.concatenate([getattr(one, part) for one in folds]) for part in ("truth", "example", "outputs")
    )
    return Scored(truth, example, outputs, np.concatenate(centers))


class ClassLosses(Losses):
    """Log loss, and the Brier score for leaks."""

    name, tempered_name, leak_name = "log loss", "tempered log loss", "Brier score"

    def loss(self, truth: ndarray, outputs: ndarray) -> Float[ndarray, "row"]:
        """Log loss."""
        return np.asarray(-np.take_along_axis(outputs, truth[:, None], 1)[:, 0])

    def leak(self, truth: ndarray, outputs: ndarray) -> Float[ndarray, "row"]:
        """Brier score, over all classes."""
        p = np.exp(outputs)
        return np.asarray((p * p).sum(1) - 2 * np.take_along_axis(p, truth[:, None], 1)[:, 0] + 1)

    def best_scale(self, scored: Scored, weights: Float[ndarray, "row"]) -> float:
        """Where the slope, which rises, crosses 0; else the end that it points to.

        The slope of a row is the mean distance of its outputs from the prior, less that of the true class.
        """
        away = scored.outputs - scored.center
        more = away - np.take_along_axis(away, scored.truth[:, None], 1)

        def slope(s: float) -> float:
            logits = scored.center + s * away
            p = np.exp(logits - logits.max(1, keepdims=True))
            return float(weights @ ((p * more).sum(1) / p.sum(1)))

        if slope(1.0) <= 0:
            return 1.0
        return float(brentq(slope, 0.0, 1.0, xtol=_SCALE_ERROR)) if slope(0.0) < 0 else 0.0

    def tempered(self, scored: Scored, s: float) -> Float[ndarray, "row output"]:
        """Logits about the log prior."""
        return np.asarray(log_softmax(scored.center + s * (scored.outputs - scored.center), 1))


class SquaredErrors(Losses):
    """Squared error in squared units of the target, for everything."""

    name, tempered_name, leak_name = "squared error", "recalibrated squared error", "squared error"

    def loss(self, truth: ndarray, outputs: ndarray) -> Float[ndarray, "row"]:
        """Squared error."""
        return np.asarray((outputs[:, 0] - truth) ** 2)

    leak = loss

    def best_scale(self, scored: Scored, weights: Float[ndarray, "row"]) -> float:
        """Least squares through the mean."""
        away, truth = (values - scored.center[..., 0] for values in (scored.outputs[:, 0], scored.truth))
        squares = weights @ away**2
        return float(np.clip(weights @ (away * truth) / squares, 0, 1)) if squares else 1.0

    def tempered(self, scored: Scored, s: float) -> Float[ndarray, "row output"]:
        """Values about the mean."""
        return np.asarray(scored.center + s * (scored.outputs - scored.center))


class Targets:
    """The targets that a condition is judged by, as rows: one per series, or one per observed step.

    Parameters
    ----------
    estimator
        Whose burn-in and horizon leave steps out.
    X, y
        Series and targets of the condition.
    classes
        All classes there are, sorted; ``None`` for numbers.
    origin
        The example that each series of X belongs to.
    """

    def __init__(
        self, estimator: SequenceEstimator, X: Sequences, y: Any, classes: ndarray | None, origin: ndarray | None
    ) -> None:
        found = targets_of(y, X, estimator.burn_in, estimator.horizon)
        self.horizon = estimator.horizon if found.by_step else 0
        series = np.arange(len(X)) if found.lengths is None else np.repeat(np.arange(len(X)), found.lengths)
        seen = ~np.isnan(found.values) if found.by_step else np.ones(len(series), bool)
        self.classes = classes
        values = found.values[seen]
        self.truth = values.astype(np.float64) if classes is None else np.searchsorted(classes, values)
        self.series = series[seen]
        self.example = self.series if origin is None else origin[self.series]
        #: which row of a network's outputs, without the first ``horizon`` steps of each series, each target has
        self.output = np.flatnonzero(seen) - self.horizon * (self.series + 1)

    def of(self, examples: Int[ndarray, "example"]) -> Int[ndarray, "row"]:
        """The rows of some examples."""
        chosen = np.zeros(max(self.example.max(initial=-1), examples.max(initial=-1)) + 1, bool)
        chosen[examples] = True
        return np.flatnonzero(chosen[self.example])

    def center(self, rows: Int[ndarray, "row"], weights: Float[ndarray, "series"]) -> Float[ndarray, "output"]:
        """What a dummy puts out that was trained on these rows; each example counts by its weight, whatever its steps.

        Raises
        ------
        DataError
            Where a class is missing.
        """
        count = np.bincount(self.example[rows], minlength=len(weights))
        by_row = weights[self.example[rows]] / count[self.example[rows]]
        if self.classes is None:
            return np.array([by_row @ self.truth[rows] / by_row.sum()])
        frequencies = np.bincount(self.truth[rows], by_row, minlength=len(self.classes))
        if not frequencies.all():
            missing = self.classes.tolist()[int(frequencies.argmin())]
            raise DataError(f"every training fold needs each class, got none of class {missing!r}; use fewer folds")
        return np.asarray(np.log(frequencies / frequencies.sum()))

    def scored(
        self, estimator: SequenceEstimator, outputs: Float[ndarray, "row output"], rows: ndarray, center: ndarray
    ) -> Scored:
        """What a member put out for some rows."""
        chosen = outputs[self.output[rows]]
        if self.classes is None:
            values = estimator.task.coding_of(estimator).decode(chosen)[:, None]
        else:
            values = log_softmax(chosen.astype(np.float64), 1)
        return Scored(self.truth[rows], self.example[rows], values, center)


def losses_for(estimator: SequenceEstimator, n_series: int, weights: Float[ndarray, "series"]) -> Losses:
    """The losses of an estimator's task."""
    kind = ClassLosses if estimator.task.name == "classification" else SquaredErrors
    return kind(n_series, weights)
