"""Ragged series of three classes, and a model with its out-of-fold reference."""

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.records import Records
from throughtime.shift import Embedding, Reference, ShiftDiagnosis, embed, reference_of

EQUAL = (1 / 3, 1 / 3, 1 / 3)
_MEANS = np.array([[0.7, 0.0], [-0.4, 0.6], [-0.4, -0.6]])


def drawn(n: int, fractions: tuple[float, ...] = EQUAL, seed: int = 0) -> tuple[Sequences, ndarray]:
    """AR(.6) series of 8 to 14 steps and 2 channels whose means tell the class."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(len(fractions), n, p=fractions)
    lengths = rng.integers(8, 15, n)
    values = []
    for code, length in zip(codes, lengths, strict=True):
        noise = rng.normal(size=(length, 2))
        for step in range(1, length):
            noise[step] = 0.6 * noise[step - 1] + 0.8 * noise[step]
        values.append(_MEANS[code] + noise)
    return Sequences.from_arrays(values), np.array(["a", "b", "c"])[codes]


class Fitted(NamedTuple):
    """A model, what it was trained on, and the reference of its fold members."""

    model: Any
    X: Sequences
    y: Any
    reference: Reference

    def diagnosis(self, deployed: Embedding, **changed: Any) -> ShiftDiagnosis:
        """Of deployed series, with no tests: corrections read the reference and the verdict only."""
        plain = ShiftDiagnosis(
            verdict="label",
            sentence="The fractions of the classes moved.",
            findings=Records(),
            tests=Records(),
            channels=Records(),
            stretches=Records(),
            classes=Records(),
            labeled=deployed.target is not None,
            level=0.05,
            reference=self.reference,
            deployed=deployed,
        )
        return replace(plain, **changed)

    def diagnosed(self, X: Sequences, y: Any = None, **changed: Any) -> ShiftDiagnosis:
        """Of series."""
        return self.diagnosis(embed(self.reference, X, y), **changed)


def fitted_on(estimator: Any, X: Sequences, y: Any, n_folds: int = 3) -> Fitted:
    """The model of all series, and the members of folds, in lockstep."""
    folds = [np.arange(fold, len(X), n_folds) for fold in range(n_folds)]
    splits = [(np.setdiff1d(np.arange(len(X)), fold), fold) for fold in folds]
    everything = np.arange(len(X))
    *members, model = fit_members(
        [estimator] * (n_folds + 1), X, y, train_indices=[*(train for train, _ in splits), everything]
    )
    return Fitted(model, X, y, reference_of(members, X, y, splits))  # type: ignore[arg-type]


NET = {"hidden_size": 6, "max_epochs": 25, "lr": 0.02, "random_state": 3}


@cache
def classifier(seed: int = 0) -> Fitted:
    """A fitted GRU on 150 series of equally frequent classes."""
    return fitted_on(SequenceClassifier(**NET), *drawn(150, seed=seed))


@cache
def under_fitted() -> Fitted:
    """One that was hardly trained."""
    return fitted_on(SequenceClassifier(**NET | {"max_epochs": 1, "lr": 1e-4}), *drawn(150))


@cache
def regressor() -> Fitted:
    """One that predicts the mean of the first channel, from series with noise on the target."""
    X, _ = drawn(60, seed=1)
    return fitted_on(SequenceRegressor(**NET), X, numbers_of(X))


def numbers_of(X: Sequences, slope: float = 1.0, seed: int = 0) -> ndarray:
    """Targets that follow the mean of the first channel, with noise."""
    noise = np.random.default_rng(seed).normal(size=len(X))
    return slope * np.array([series[:, 0].mean() for series in X]) + 0.2 * noise
