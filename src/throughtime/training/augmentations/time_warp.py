"""Time warp: a series read at a speed that varies smoothly, from its first step to its last.

Reference: Um et al. (2017), https://arxiv.org/abs/1706.00527. Their speed is a curve around 1, which can turn negative;
here it is e to the power of a curve around 0, the same to first order, so that time never runs back.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.curves import smooth_curves
from throughtime.training.augmentations.resampling import read_at
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class TimeWarp(Augmentation):
    """Stretches some parts of a series and shortens others; lengths stay, targets each step move along."""

    strength: float = AUGMENTATIONS["time_warp"].default
    name: ClassVar[str] = "time_warp"
    key: ClassVar[int] = 1004
    changes_clock: ClassVar[bool] = True

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Values between the steps."""
        lengths = series.lengths.cpu().numpy()
        speeds = np.exp(self.strength * smooth_curves(lengths, 1, generator)[..., 0])
        places = np.cumsum(speeds, axis=0) - speeds[0]
        whole = places[lengths - 1, np.arange(len(lengths))]
        places *= (lengths - 1) / np.where(whole > 0, whole, 1)
        return read_at(series, torch.from_numpy(places).to(series.x.device))
