"""Fitted estimators of every kind, their exported models, and what both say of series that neither has seen."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences
from throughtime.estimators import SequenceEstimator, at_initialization
from throughtime.export import export_torch

#: Of probabilities, and of numbers in units of the target's deviation, absolute and relative. Float32 has 7 digits, and
#: sums of some hundred products in another order differ in the last of them.
TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-13}
#: Steps and numbers of series that no estimator was fitted on.
SHAPES = ((1, 4), (3, 9), (5, 31))
CHANNELS = 3


def series(
    n: int,
    longest: int,
    *,
    ragged: bool = True,
    missing: bool = False,
    static: bool = False,
    times: str | None = None,
    dtype: str = "float32",
    shortest: int = 3,
    seed: int = 0,
) -> Sequences:
    """Random series far from zero; the longest first."""
    rng = np.random.default_rng([seed, n, longest])
    lengths = rng.integers(shortest, longest + 1, n) if ragged else np.full(n, longest)
    lengths[0] = longest
    arrays = [(rng.normal(size=(length, CHANNELS)) * [1, 20, 0.1] + [0, 300, -5]).astype(dtype) for length in lengths]
    if missing:
        for x in arrays:
            x[rng.random(x.shape) < 0.3] = np.nan
        arrays[-1][:, 1] = np.nan
    features = rng.normal(size=(n, 2)).astype(dtype) if static else None
    if static and missing:
        features[0, 1] = np.nan
    return Sequences.from_arrays(arrays, static=features, times=times_of(lengths, times, rng))


def times_of(lengths: np.ndarray, kind: str | None, rng: np.random.Generator) -> list[np.ndarray] | None:
    """Times of series that begin anywhere, one step apart."""
    if kind is None:
        return None
    begins = rng.integers(0, 1000, len(lengths))
    if kind == "numbers":
        return [begin + np.arange(length) * 1.0 for begin, length in zip(begins, lengths, strict=True)]
    first = np.datetime64("2024-02-20T06:00", "ns")
    hours = np.timedelta64(1, "h")
    return [first + (begin + np.arange(length)) * hours for begin, length in zip(begins, lengths, strict=True)]


def fitted(X: Sequences, *, by_step: bool = False, classes: bool = True, **parameters: Any) -> SequenceEstimator:
    """An estimator as training would begin with it: scaled, its weights random."""
    rng = np.random.default_rng(1)
    n = X.n_steps if by_step else len(X)
    numbers = np.arange(n) % 3 if classes else rng.normal(size=n) * 3 + 40
    y: Any = np.split(numbers, X.offsets[1:-1]) if by_step else numbers
    if classes and not by_step:
        y = np.array(["ill", "well", "un\nknown"])[y]
    estimator = SequenceClassifier if classes else SequenceRegressor
    return at_initialization(estimator(**{"hidden_size": 5, "random_state": 3} | parameters), X, y)


def exported(estimator: SequenceEstimator, directory: Path, **options: Any) -> ModuleType:
    """The written file, imported."""
    export_torch(estimator, directory, **options)
    spec = importlib.util.spec_from_file_location("exported_model", directory / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs_of(X: Sequences, clock: str | None = None) -> dict[str, Tensor]:
    """Series as the exported model takes them, what is behind their ends filled with something to be ignored."""
    x = torch.full((len(X), int(X.lengths.max()), X.n_channels), 1e6, dtype=getattr(torch, str(X.dtype)))
    for row, values in zip(x, X, strict=True):
        row[: len(values)] = torch.from_numpy(values.copy())
    found = {"x": x, "lengths": torch.from_numpy(np.array(X.lengths))}
    if X.static is not None:
        found["static"] = torch.from_numpy(np.array(X.static))
    if clock is not None:
        times = X.times if clock == "numbers" else (X.times - np.datetime64(0, "ns")) / np.timedelta64(1, "D")
        found["clock"] = torch.zeros(x.shape[:2], dtype=torch.float64)
        for row, own in zip(found["clock"], np.split(times, X.offsets[1:-1]), strict=True):
            row[: len(own)] = torch.from_numpy(own.copy())
    return found


def at_steps(outputs: Tensor, X: Sequences) -> np.ndarray:
    """Outputs of every step, one series after the other, as `Sequences` have them."""
    return np.concatenate([row[:length].numpy() for row, length in zip(outputs, X.lengths, strict=True)])


def expected_of(estimator: SequenceEstimator, X: Sequences) -> np.ndarray:
    """Probabilities, or numbers: a row per series or step."""
    classifies = isinstance(estimator, SequenceClassifier)
    found = estimator.predict_proba(X) if classifies else estimator.predict(X)
    values = np.asarray(found.values if isinstance(found, Sequences) else found)
    return values if classifies or not estimator.by_step_ else values[:, 0]


def found_of(model: Any, estimator: SequenceEstimator, X: Sequences) -> np.ndarray:
    """The same of an exported model."""
    given = inputs_of(X, None if estimator.time_units_ == "steps" else estimator.time_units_)
    with torch.no_grad():
        outputs = model(**given)
        if isinstance(estimator, SequenceClassifier):
            outputs = model.predict_proba(**given)
    return at_steps(outputs, X) if estimator.by_step_ else outputs.numpy()


def check(model: Any, estimator: SequenceEstimator, X: Sequences) -> None:
    """Compare what both say of some series."""
    scale, tolerance = getattr(estimator, "target_scale_", 1.0), TOLERANCES[estimator.network_.dtype]
    found, expected = found_of(model, estimator, X), expected_of(estimator, X)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=tolerance, atol=tolerance)
