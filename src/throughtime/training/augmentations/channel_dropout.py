"""Channel dropout: some channels of a series are set to their mean, as if a sensor had fallen silent.

Reference: Saeed et al. (2021), https://doi.org/10.1109/ICASSP39728.2021.9413712.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class ChannelDropout(Augmentation):
    """Sets each channel of a series to zero, its mean once standardized, with the strength as probability.

    The others are not enlarged: in prediction every channel is what a network saw in training.
    """

    strength: float = AUGMENTATIONS["channel_dropout"].default
    name: ClassVar[str] = "channel_dropout"
    key: ClassVar[int] = 1007

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """The same values or zeros."""
        dropped = torch.from_numpy(generator.random(tuple(series.x.shape[1:])) < self.strength)
        return replace(series, x=series.x.masked_fill(dropped.to(series.x.device), 0))
