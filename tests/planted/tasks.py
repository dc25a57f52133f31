"""Tasks with a planted lag: what the network must remember, and for how long, is known.

They follow Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735: copy is their task of long
lags, adding their experiment 4, temporal order their experiment 6a.  Their sizes, settings and what counts as solved
are fixed here, before anything was trained on them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from sklearn.datasets import load_digits

from throughtime.nn import Architecture
from throughtime.parameters import CellName
from throughtime.training import Loss

#: A task is solved when the mean loss of 50 steps, each on fresh series, is below this fraction of the trivial loss.
SOLVED = 0.1
BLOCK = 50
BATCH = 32
CLIP_NORM = 1.0
#: What the ten networks of a row start from and are shown.
SEEDS = range(10)

Series = tuple[Float32[ndarray, "series time channel"], Shaped[ndarray, "series"]]


def copy(rng: np.random.Generator, count: int, time: int) -> Series:
    """Name, after the last step, which of 4 symbols came first.

    Every later step has one of 4 distractors, in channels of their own, so that the lag is ``time - 1``.
    """
    first = rng.integers(4, size=count)
    later = rng.integers(4, 8, size=(count, time - 1))
    shown = np.concatenate([first[:, None], later], 1)
    return np.eye(8, dtype=np.float32)[shown], first


def adding(rng: np.random.Generator, count: int, time: int) -> Series:
    """Add the two values, of U(0, 1) at every step, that are marked: one in each half of the series."""
    values = rng.random((count, time), dtype=np.float32)
    marked = np.zeros((count, time), dtype=np.float32)
    series, half = np.arange(count), time // 2
    marked[series, rng.integers(half, size=count)] = 1
    marked[series, rng.integers(half, time, size=count)] = 1
    return np.stack([values, marked], -1), (values * marked).sum(1)


def order(rng: np.random.Generator, count: int, time: int) -> Series:
    """Name two symbols, each X or Y, in their order: one in the second tenth, one in the sixth, else distractors."""
    shown = rng.integers(2, 6, size=(count, time))
    symbols = rng.integers(2, size=(count, 2))
    series, tenth = np.arange(count), time // 10
    shown[series, rng.integers(tenth, 2 * tenth, size=count)] = symbols[:, 0]
    shown[series, rng.integers(5 * tenth, 6 * tenth, size=count)] = symbols[:, 1]
    return np.eye(6, dtype=np.float32)[shown], 2 * symbols[:, 0] + symbols[:, 1]


def digits(rng: np.random.Generator) -> Series:
    """Name the digits of scikit-learn's 1,797 images, 8 by 8 pixels read one after the other; the images shuffled."""
    images, names = load_digits(return_X_y=True)
    shuffled = rng.permutation(len(names))
    return (images[shuffled, :, None] / 16).astype(np.float32), names[shuffled]


@dataclass(frozen=True)
class Task:
    """A task, and the loss of who knows its targets' distribution but not its series."""

    draw: Callable[[np.random.Generator, int, int], Series]
    channels: int
    outputs: int
    loss: Loss
    trivial: float


TASKS = {
    "copy": Task(copy, 8, 4, "cross_entropy", math.log(4)),
    "adding": Task(adding, 2, 1, "squared_error", 1 / 6),
    "order": Task(order, 6, 4, "cross_entropy", math.log(4)),
}


@dataclass(frozen=True)
class Setting:
    """A task of one length, and how networks are trained on it: by Adam, in so many steps."""

    task: str
    time: int
    cell: CellName
    lr: float
    steps: int
    hidden_size: int = 16

    def net(self) -> Architecture:
        """The network: one layer, its output layer on the last state."""
        task = TASKS[self.task]
        return Architecture(self.cell, task.channels, self.hidden_size, 1, False, "last", task.outputs)


#: Where ``chrono(time)`` is to solve at least nine of ten networks, and torch's initialization at most one.
SEPARATING = (
    Setting("copy", 101, "gru", 3e-3, 1500),
    Setting("copy", 101, "lstm", 3e-3, 1500),
    Setting("adding", 200, "lstm", 1e-2, 1000),
)
#: The same in seconds.
SHORT = Setting("copy", 61, "gru", 3e-3, 500)
