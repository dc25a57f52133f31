"""Jitter: independent noise on every value.

Reference: Um et al. (2017), https://arxiv.org/abs/1706.00527; as regularization, Bishop (1995).
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Adds normal noise whose standard deviation is the strength, in standard deviations of the channel."""

    strength: float = AUGMENTATIONS["jitter"].default
    name: ClassVar[str] = "jitter"
    key: ClassVar[int] = 1001

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Other values."""
        noise = self.strength * generator.standard_normal(tuple(series.x.shape))
        return replace(series, x=series.x + torch.from_numpy(noise).to(series.x))
