"""Permutation of segments: a series is cut into pieces, which change places.

Reference: Um et al. (2017), https://arxiv.org/abs/1706.00527.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.resampling import take_steps
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class Permutation(Augmentation):
    """Cuts each series at random into as many segments as the strength says, or as it has steps; shuffles them.

    Targets each step move along.
    """

    strength: float = AUGMENTATIONS["permutation"].default
    name: ClassVar[str] = "permutation"
    key: ClassVar[int] = 1006
    moves_start: ClassVar[bool] = True
    changes_clock: ClassVar[bool] = True

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """The same steps in another order."""
        lengths = series.lengths.cpu().numpy()
        steps = np.zeros((int(lengths.max()), len(lengths)), dtype=np.int64)
        for row, length in enumerate(lengths):
            steps[:length, row] = shuffled_steps(int(length), int(self.strength), generator)
        return take_steps(series, torch.from_numpy(steps).to(series.x.device))


def shuffled_steps(length: int, segments: int, generator: np.random.Generator) -> Int[ndarray, "length"]:
    """The steps of one series, segment by segment in a random order."""
    cuts = 1 + np.sort(generator.permutation(length - 1)[: segments - 1])
    pieces = np.split(np.arange(length), cuts)
    return np.concatenate([pieces[place] for place in generator.permutation(len(pieces))])
