"""GEN018: an augmentation that changes what the label says.

A network that was trained without the augmentation is asked about its own training series, augmented. Its loss there
rises for any network that fits its training series closely; if the augmented series are still of their class, not above
that on fresh series, of which no network has seen anything. What rises beyond that breaks the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.augmentation_specs import augmentation_text, parse_augmentations
from throughtime.data import Sequences, as_labels, as_sequences, as_targets, steps_within
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import DEFAULT_BUDGET, augment_series, predict_members
from throughtime.findings import Check, Finding, Measured, NotApplicable
from throughtime.records import Records

#: Standard errors that the rise is lowered by: a one-sided bound at 95 %.
_ERRORS = 1.645


@dataclass(frozen=True, eq=False)
class _Fits:
    """Fitted estimators, and the series that each was trained on."""

    estimators: Sequence[Any]
    X: Sequences
    y: Any
    train: Sequence[ndarray]
    groups: ndarray | None
    repeats: int
    random_state: int
    memory_budget: float | None


def augmentation_findings(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    augment: Any,
    *,
    train_indices: Sequence[ndarray],
    groups: Any = None,
    repeats: int = 3,
    random_state: int = 0,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> Records[Finding]:
    """Tell which augmentations would break the labels.

    Parameters
    ----------
    estimators
        Fitted without the augmentations, such as those of a cross-validation (``return_estimator=True``).
    X, y
        The data that they were fitted on parts of.
    augment
        As the estimators take it; each augmentation is looked at by itself, on every series.
    train_indices
        The series that each estimator was trained on (``return_indices=True``). The others are fresh to it.
    groups
        One per series, those of X by default: the unit of the standard error.
    repeats
        How many times each series is augmented.
    random_state
        Seed of the augmentations.
    memory_budget
        As in `fit_members`.

    Returns
    -------
    One finding GEN018 per augmentation. ``measured`` is the lower bound (95 %, one-sided) of how far the loss on
    augmented training series is above that on fresh ones, in units of the loss of the best constant prediction. The
    loss is the error rate, or the squared error.

    Raises
    ------
    ParameterError
        For an estimator that was fitted with the augmentation, or for indices of other estimators.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> from throughtime import SequenceClassifier, cross_validate, load
    >>> X, y = load("japanese-vowels", split="train")
    >>> folds = KFold(3, shuffle=True, random_state=0)
    >>> net = SequenceClassifier(hidden_size=8, max_epochs=10, random_state=0)
    >>> found = cross_validate(net, X, y, cv=folds, return_estimator=True, return_indices=True)
    >>> fits = {"estimators": found["estimator"], "train_indices": found["indices"]["train"]}
    >>> [finding.verdict for finding in augmentation_findings(X=X, y=y, augment="jitter,scaling:5", **fits)]
    ['clear', 'found']
    """
    if len(train_indices) != len(estimators) or not len(estimators):
        raise ParameterError(
            f"train_indices needs indices for each estimator, of one at least, got {len(train_indices)} for "
            f"{len(estimators)}"
        )
    if repeats < 1:
        raise ParameterError(f"repeats needs at least 1, got {repeats}")
    series = as_sequences(X, layout=estimators[0].layout)
    fits = _Fits(
        estimators,
        series,
        as_targets(y, series),
        [np.asarray(own) for own in train_indices],
        series.groups if groups is None else as_labels(groups, "groups", len(series)),
        repeats,
        random_state,
        memory_budget,
    )
    found = []
    for spec in parse_augmentations(augmentation_text(augment)):
        text = augmentation_text([spec])
        for estimator in estimators:
            if estimator.augment is not None and f"{spec.name}:" in augmentation_text(estimator.augment):
                raise ParameterError(
                    f"estimators need to be fitted without {spec.name} to tell whether it breaks labels, got "
                    f"augment={estimator.augment!r}"
                )
        found.append(AUGMENTATION_CHECK.run(fits=fits, augmentation=text))
    return Records(found)


def _measure(fits: _Fits, augmentation: str) -> Measured | NotApplicable:
    if augmentation.startswith("mixup"):
        return NotApplicable("mixup mixes labels on purpose")
    n = len(fits.X)
    fresh = [np.setdiff1d(np.arange(n), own) for own in fits.train]
    if not any(map(len, fresh)):
        return NotApplicable("every series was trained on by every estimator: it needs fresh ones, of folds")
    before = _losses(fits, fits.X, fits.y, fresh)
    after = np.nanmean(
        [
            _losses(fits, *augment_series(fits.X, augmentation, fits.y, random_state=fits.random_state + r), fits.train)
            for r in range(fits.repeats)
        ],
        axis=0,
    )
    both = ~np.isnan(before) & ~np.isnan(after)
    constant = _loss_of_constant(fits, both)
    if both.sum() < 2 or not constant > 0:
        return NotApplicable("it needs several series that were trained on and fresh ones, with targets that differ")
    if before[both].mean() > constant:
        return NotApplicable("the estimators do no better than a constant prediction: there is nothing to break")
    rises = (after - before)[both] / constant
    error = _standard_error(rises, None if fits.groups is None else fits.groups[both])
    rise = float(rises.mean())
    return Measured(
        rise - _ERRORS * error,
        f"{augmentation}: the loss is {after[both].mean():.3g} on augmented training series and "
        f"{before[both].mean():.3g} on fresh ones, a rise of {rise:.2f} +- {error:.2f} of the loss of a constant "
        f"prediction, {constant:.3g}",
    )


def _losses(fits: _Fits, X: Sequences, y: Any, indices: Sequence[ndarray]) -> Float[ndarray, "series"]:
    """The mean loss on each series by those estimators whose indices have it, NaN where none has."""
    asked = [m for m, own in enumerate(indices) if len(own)]
    outputs = predict_members(
        [fits.estimators[m] for m in asked], X, [indices[m] for m in asked], memory_budget=fits.memory_budget
    )
    sums, counts = np.zeros(len(X)), np.zeros(len(X))
    for m, found in zip(asked, outputs, strict=True):
        estimator, own = fits.estimators[m], indices[m]
        losses = _series_losses(estimator, X[own], y[own], estimator.predictions(X[own], found))
        np.add.at(sums, own, np.nan_to_num(losses))
        np.add.at(counts, own, ~np.isnan(losses))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _series_losses(estimator: Any, X: Sequences, y: Any, predicted: Any) -> Float[ndarray, "series"]:
    """Error rate or mean squared error of each series, NaN without a target that counts."""
    if not isinstance(y, Sequences):
        return _loss(estimator.task.name, y, predicted)
    losses = _loss(estimator.task.name, y.values[:, 0], predicted.values[:, 0])
    losses[np.isnan(y.values[:, 0]) | np.isnan(predicted.values[:, 0])] = np.nan
    losses[steps_within(X.lengths) < estimator.horizon + estimator.burn_in] = np.nan
    counts = np.add.reduceat(~np.isnan(losses), X.offsets[:-1], dtype=np.float64)
    means: ndarray = np.add.reduceat(np.nan_to_num(losses), X.offsets[:-1]) / np.where(counts > 0, counts, np.nan)
    return means


def _loss(task: str, truth: ndarray, predicted: ndarray) -> Float[ndarray, "..."]:
    wrong = task == "classification"
    losses: ndarray = (
        (truth != predicted).astype(np.float64) if wrong else np.square(truth.astype(np.float64) - predicted)
    )
    return losses


def _loss_of_constant(fits: _Fits, series: ndarray) -> float:
    """Of the most frequent class, or of the mean."""
    if not series.any():
        return 0.0
    y = fits.y[np.flatnonzero(series)]
    values = y.values[:, 0] if isinstance(y, Sequences) else y
    if isinstance(y, Sequences):
        values = values[~np.isnan(values)]
    if fits.estimators[0].task.name == "classification":
        return float(1 - np.unique(values, return_counts=True)[1].max() / len(values))
    return float(np.var(values.astype(np.float64)))


def _standard_error(values: Float[ndarray, "series"], groups: ndarray | None) -> float:
    """Of the mean over series, or over all series where groups are the unit."""
    if groups is None:
        return float(values.std(ddof=1) / np.sqrt(len(values)))
    _, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, values - values.mean())
    count = len(sums)
    if count < 2:
        raise DataError("groups needs at least two groups, got one")
    return float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))


AUGMENTATION_CHECK = Check(
    "GEN018",
    "augmentation breaks the label",
    "warning",
    ("fits", "augmentation"),
    _measure,
    threshold=0.15,
    source="three times the gain that is worth having, 5 % of the loss of a constant prediction; planted tasks measure "
    "at most 0.11 where the label stays, and from 0.18 on where half of the labels go",
    remedy="leave this augmentation out, or make it weaker; train with and without it to see which is better on fresh "
    "series",
    docs="docs/guide/augmentation.md#gen018",
)
