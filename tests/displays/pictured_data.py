"""Small series of three classes that a network learns in part."""

import numpy as np

from throughtime.data import Sequences

N = 36
Y = np.arange(N) % 3
RNG = np.random.default_rng(3)
X = Sequences.from_arrays([RNG.normal(size=(4 + i % 5, 2)) + 0.7 * (Y[i] - 1) for i in range(N)])
NUMBERS = np.array([x[:, 0].mean() for x in X])
NAMES = np.array(["ebb", "flow", "slack"])[Y]


def steps(of_classes: bool = False) -> list[np.ndarray]:
    """A target per step, every fourth unobserved."""
    targets = []
    for x in X:
        y = (x.sum(1) > 0) * 1.0 if of_classes else x[:, 0] - x[:, 1]
        y[1::4] = np.nan
        targets.append(y)
    return targets
