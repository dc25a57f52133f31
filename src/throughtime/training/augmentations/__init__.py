"""Augmentations: other series of the same kind to train on, anew each pass, each with one number for its strength.

References: Um et al. (2017), https://arxiv.org/abs/1706.00527; Iwana & Uchida (2021),
https://doi.org/10.1371/journal.pone.0254841; Zhang et al. (2018), https://arxiv.org/abs/1710.09412.
"""

from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.channel_dropout import ChannelDropout
from throughtime.training.augmentations.jitter import Jitter
from throughtime.training.augmentations.magnitude_warp import MagnitudeWarp
from throughtime.training.augmentations.mixup import Mixup
from throughtime.training.augmentations.permutation import Permutation
from throughtime.training.augmentations.scaling import Scaling
from throughtime.training.augmentations.time_warp import TimeWarp
from throughtime.training.augmentations.window_slice import WindowSlice

#: Every augmentation by its name in a text.
AUGMENTATION_CLASSES: dict[str, type[Augmentation]] = {
    made.name: made
    for made in (Jitter, Scaling, MagnitudeWarp, TimeWarp, WindowSlice, Permutation, ChannelDropout, Mixup)
}

__all__ = [
    "AUGMENTATION_CLASSES",
    "Augmentation",
    "ChannelDropout",
    "Jitter",
    "MagnitudeWarp",
    "Mixup",
    "Permutation",
    "Scaling",
    "TimeWarp",
    "WindowSlice",
]
