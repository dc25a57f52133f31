"""Small series, and targets that follow from them."""

import numpy as np

from throughtime.data import Sequences

N = 36
LENGTHS = np.random.default_rng(7).integers(3, 9, N)


def ragged(dtype: type = np.float64) -> list[np.ndarray]:
    """Series (time, 2) whose level tells their class."""
    rng = np.random.default_rng(0)
    levels = np.arange(N) % 3
    return [
        (rng.normal(size=(length, 2)) + level * np.array([1.5, -1.0])).astype(dtype)
        for length, level in zip(LENGTHS, levels, strict=True)
    ]


def classes() -> np.ndarray:
    return np.arange(N) % 3


def values() -> np.ndarray:
    """Numbers above zero."""
    return np.array([np.exp(x[:, 0].mean() / 2) for x in ragged()])


def steps(of_classes: bool = False) -> list[np.ndarray]:
    """A target per step, every fourth unobserved but not the last; of numbers or of classes."""
    targets = []
    for x in ragged():
        y = (x.sum(1) > 0) * 1.0 if of_classes else x[:, 0] - x[:, 1]
        y[::4] = np.nan
        y[-1] = 1.0
        targets.append(y)
    return targets


def series(**extras: object) -> Sequences:
    return Sequences.from_arrays(ragged(), **extras)
