"""Window slice: a window of each series, from anywhere in it.

Reference: Le Guennec, Malinowski & Tavenard (2016), https://shs.hal.science/halshs-01357973; Iwana & Uchida (2021),
https://doi.org/10.1371/journal.pone.0254841.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.resampling import take_steps
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class WindowSlice(Augmentation):
    """Keeps a fraction of the steps of each series, the strength, rounded up; with the targets of these steps."""

    strength: float = AUGMENTATIONS["window_slice"].default
    name: ClassVar[str] = "window_slice"
    key: ClassVar[int] = 1005
    moves_start: ClassVar[bool] = True

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Shorter series."""
        lengths = series.lengths.cpu().numpy()
        # 0.7 * 10 is 7.000000000000001
        shorter = np.maximum(np.ceil(self.strength * lengths - 1e-9), 1).astype(np.int64)
        begins = generator.integers(0, lengths - shorter + 1)
        steps = np.minimum(begins + np.arange(int(lengths.max()))[:, None], lengths - 1)
        sliced = take_steps(series, torch.from_numpy(steps).to(series.x.device))
        return replace(sliced, lengths=torch.from_numpy(shorter).to(series.lengths))
