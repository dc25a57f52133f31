"""Magnitude warp: each channel of a series multiplied by a smooth random curve around 1.

Reference: Um et al. (2017), https://arxiv.org/abs/1706.00527.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.curves import smooth_curves
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class MagnitudeWarp(Augmentation):
    """Multiplies standardized channels by curves that at their knots have mean 1 and the strength as deviation."""

    strength: float = AUGMENTATIONS["magnitude_warp"].default
    name: ClassVar[str] = "magnitude_warp"
    key: ClassVar[int] = 1003

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Other values."""
        curves = smooth_curves(series.lengths.cpu().numpy(), series.x.shape[2], generator)
        return replace(series, x=series.x * torch.from_numpy(1 + self.strength * curves).to(series.x))
