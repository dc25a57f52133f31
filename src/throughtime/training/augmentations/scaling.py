"""Scaling: each channel of a series multiplied by one random factor.

Reference: Um et al. (2017), https://arxiv.org/abs/1706.00527.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class Scaling(Augmentation):
    """Multiplies each standardized channel by a normal number of mean 1, whose standard deviation is the strength."""

    strength: float = AUGMENTATIONS["scaling"].default
    name: ClassVar[str] = "scaling"
    key: ClassVar[int] = 1002

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Other values."""
        factors = 1 + self.strength * generator.standard_normal(tuple(series.x.shape[1:]))
        return replace(series, x=series.x * torch.from_numpy(factors).to(series.x))
