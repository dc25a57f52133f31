"""Targets on their way to the loss and back: classes to numbers, values to a learnable scale, steps to pairs."""

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from throughtime.data import Sequences, as_sequences, as_targets, steps_within, unmasked
from throughtime.errors import DataError, ParameterError
from throughtime.estimators.features import gather_steps
from throughtime.estimators.forecast import check_longer

#: The way there and back, the lowest value that has one, and that bound in words.
_TRANSFORMS: dict[str, tuple[Callable[[ndarray], ndarray], Callable[[ndarray], ndarray], float, str]] = {
    "none": (lambda y: y, lambda y: y, -np.inf, "any size"),
    "log": (np.log, np.exp, np.nextafter(0, 1), "above 0"),
    "log1p": (np.log1p, np.expm1, np.nextafter(-1, 0), "above -1"),
    "sqrt": (np.sqrt, np.square, 0.0, "of at least 0"),
}

_LARGEST = 1e140  # its square, times the number of targets, is a float64, and so is the inverse of that


@dataclass(frozen=True)
class Targets:
    """One target per series, ``(series,)``, or one per step: then flat, with the lengths of the series."""

    values: ndarray
    lengths: ndarray | None = None

    @property
    def by_step(self) -> bool:
        """Whether every step has a target."""
        return self.lengths is not None

    def take(self, rows: ndarray) -> "Targets":
        """The targets of some series, in their order."""
        if self.lengths is None:
            return Targets(self.values[rows])
        starts = np.cumsum(self.lengths) - self.lengths
        own = self.lengths[rows]
        return Targets(gather_steps(self.values, starts[rows], own), own)

    def after(self, steps: int) -> "Targets":
        """The targets per step, without the first of each series."""
        assert self.lengths is not None
        return Targets(self.values[steps_within(self.lengths) >= steps], self.lengths - steps)


def targets_of(y: Any, X: Sequences, burn_in: int = 0, horizon: int = 0) -> Targets:
    """Check targets against their series; the first steps of each, ``horizon + burn_in``, count as unobserved (NaN).

    The burn-in is counted in steps read: the first ``horizon`` steps have no forecast that it could be about.
    """
    y = as_targets(y, X)
    if not isinstance(y, Sequences):
        if horizon:
            raise DataError(f"horizon={horizon} needs a target at each step, got one per series")
        return Targets(y)
    if y.n_channels != 1:
        raise DataError(f"y needs one target per step, got {y.n_channels} channels")
    check_longer(X, horizon)
    values = y.values[:, 0].copy()
    values[steps_within(y.lengths) < burn_in + horizon] = np.nan
    if np.isnan(values).all():
        which = f"{burn_in + horizon} steps (burn_in{' and horizon' if horizon else ''})"
        raise DataError(f"y needs an observed target after the first {which}, got none")
    return Targets(values, np.asarray(y.lengths))


def checked_weights(weights: Any, n: int) -> Float[ndarray, "series"]:
    """Weights of ``n`` series, 1 where none are given.

    Raises
    ------
    DataError
        For another number of them, what is no finite number of at least 0, or a sum beyond float64.
    """
    if weights is None:
        return np.ones(n)
    try:
        given = np.asarray(unmasked(weights))
        # text may look like a number, and the imaginary part of one would be dropped
        checked = given.astype(np.float64) if given.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        checked = None
    if checked is None:
        raise DataError(f"sample_weight needs one number per series ({n}), got {reprlib.repr(weights)}")
    if checked.shape != (n,):
        raise DataError(f"sample_weight needs one value per series ({n}), got shape {checked.shape}")
    wrong = ~(np.isfinite(checked) & (checked >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"sample_weight needs finite values of at least 0, got {checked[row]:g} for series {row}")
    with np.errstate(over="ignore"):
        total = checked.sum()
    if checked.any() and not np.finfo(np.float64).tiny <= total < np.inf:
        raise DataError(
            f"sample_weight needs a sum from 2.3e-308 to 1.7e308, got {total:g}; divide the weights by their mean"
        )
    return checked


def classes_of(targets: Targets) -> ndarray:
    """The classes among the observed targets, sorted; step classes that are whole numbers as integers.

    Raises
    ------
    DataError
        For fewer than two, or numbers that are not whole.
    """
    values = targets.values
    classes = np.unique(values[~np.isnan(values)] if targets.by_step else values)
    if classes.dtype.kind == "f" and (broken := classes != np.round(classes)).any():
        raise DataError(
            f"Unknown label type: continuous. A classifier needs classes, strings or whole numbers, got "
            f"{classes[broken][0]:g}; SequenceRegressor predicts any number"
        )
    if len(classes) < 2:
        raise DataError(f"a classifier needs at least two classes, got one class: {classes.tolist()[0]!r}")
    return classes.astype(np.int64) if targets.by_step else classes


def encode(targets: Targets, classes: ndarray) -> ndarray:
    """Class numbers; -1 for what is unobserved or not among the classes."""
    places = np.searchsorted(classes, targets.values).clip(max=len(classes) - 1)
    return np.where(classes[places] == targets.values, places, -1)


def refuse_unscorable(y: Shaped[ndarray, "target"]) -> None:
    """Refuse numbers whose squares, of which every score is made, float64 would turn into infinity or zero.

    Raises
    ------
    DataError
        With what to do.
    """
    if y.dtype.kind not in "iuf" or np.isnan(y).all():
        return
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    largest = max(-low, high)
    if largest > _LARGEST:
        raise DataError(f"y needs targets of at most {_LARGEST:g} in size, got {largest:g}; divide y by a constant")
    if 0 < high - low < 1 / _LARGEST:
        raise DataError(
            f"y needs targets at least {1 / _LARGEST:g} apart, got {low:g} to {high:g}; multiply y by a constant"
        )


def transform(name: str, y: Shaped[ndarray, "target"], refuse: bool = True) -> Float[ndarray, "target"]:
    """Take values to the scale they are learned on, in float64.

    Raises
    ------
    DataError
        For a target that is no number, or, if ``refuse``, outside the transform's domain; else that becomes NaN.
    """
    forward, _, lowest, bound = _TRANSFORMS[name]
    if y.dtype.kind not in "biuf":
        raise DataError(f"a regressor needs targets that are numbers, got {y[0]!r}")
    y = y.astype(np.float64)
    outside = y < lowest  # never true of NaN
    if refuse and outside.any():
        raise DataError(f"target_transform={name!r} needs targets {bound}, got {y[outside][0]:g}")
    return np.asarray(forward(np.where(outside, np.nan, y)))


def untransform(name: str, learned: Float[ndarray, "target"]) -> Float[ndarray, "target"]:
    """Take learned values back to their own scale."""
    if name == "sqrt":  # what falls below zero would come back positive
        learned = np.maximum(learned, 0)
    return np.asarray(_TRANSFORMS[name][1](learned))


def steps_like(X: Sequences, values: ndarray) -> Sequences:
    """Values at every step of X, with its times and groups."""
    return Sequences(values, X.offsets, times=X.times, groups=X.groups, time_zone=X.time_zone)


def observed_pairs(
    estimator: Any, X: Any, y: Any, found: ndarray | Sequences, sample_weight: Any = None
) -> tuple[ndarray, ndarray, ndarray | None]:
    """Truth, prediction and weight wherever there is a target that counts: series, or steps after the burn-in."""
    series = as_sequences(X, layout=estimator.layout)
    weights = None if sample_weight is None else checked_weights(sample_weight, len(series))
    if not estimator.by_step_:
        truth = as_targets(y, series)
        if isinstance(truth, Sequences):
            raise ParameterError("this estimator was fitted on a target per series and needs the same to score")
        return truth, np.asarray(found), weights
    targets = targets_of(y, series, estimator.burn_in, estimator.horizon_)
    if not targets.by_step:
        raise ParameterError("this estimator was fitted on a target each step and needs the same to score")
    seen = ~np.isnan(targets.values)
    flat = found.values[:, 0] if isinstance(found, Sequences) else np.asarray(found)
    if weights is not None:
        weights = np.repeat(weights, series.lengths)[seen]
    return targets.values[seen], flat[seen], weights
