"""Mixup: each series mixed with another one of its batch, and the targets with it.

Reference: Zhang et al. (2018), https://arxiv.org/abs/1710.09412.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.training.augmentations.augmentation import Augmentation
from throughtime.training.augmentations.resampling import read_at
from throughtime.training.perturbations import Series


@dataclass(frozen=True)
class Mixup(Augmentation):
    """Mixes series, lambda x_i + (1 - lambda) x_j, with lambda from Beta(strength, strength) for each of them.

    The other series is first stretched to as many steps, linearly, so that all steps are mixed alike. Where its value
    is missing, the own one stays; what is missing stays missing. Static features are mixed too.

    Values to predict are mixed with lambda. Of classes, one is drawn, the own one with probability lambda: the loss has
    the same expectation, and so has its gradient, as with targets of two classes. A target that is not observed is
    never mixed into one that is.
    """

    strength: float = AUGMENTATIONS["mixup"].default
    name: ClassVar[str] = "mixup"
    key: ClassVar[int] = 1008
    changes_clock: ClassVar[bool] = True

    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """Other values and targets."""
        count, device = len(series.lengths), series.x.device
        partners = torch.from_numpy(generator.permutation(count)).to(device)
        drawn = generator.beta(self.strength, self.strength, count)
        own = torch.from_numpy(drawn).to(device)
        keeps_class = torch.from_numpy(generator.random(count) < drawn).to(device)
        other = _stretched(_of(series, partners), series)
        mixed = _mixed(series.x, other.x, own[:, None])
        static = series.static
        if static is not None and other.static is not None:
            static = _mixed(static, other.static, own[:, None])
        if series.missing is not None and other.missing is not None:
            mixed = torch.where(other.missing, series.x, mixed)
        if series.targets.is_floating_point():
            both = (series.weights > 0) & (other.weights > 0)
            targets = torch.where(both, _mixed(series.targets, other.targets, own), series.targets)
            weights = torch.where(both, _mixed(series.weights, other.weights, own), series.weights)
        else:
            targets = torch.where(keeps_class, series.targets, other.targets)
            weights = torch.where(keeps_class, series.weights, other.weights)
        return replace(series, x=mixed, targets=targets, weights=weights, static=static)


def _mixed(one: Tensor, other: Tensor, fraction: Float[Tensor, "..."]) -> Tensor:
    return other + fraction.to(one) * (one - other)


def _of(series: Series, rows: Tensor) -> Series:
    """Some of the series, with what belongs to them."""
    return Series(
        series.x[:, rows],
        series.lengths[rows],
        series.targets[..., rows],
        series.weights[..., rows],
        None if series.missing is None else series.missing[:, rows],
        None if series.static is None else series.static[rows],
    )


def _stretched(series: Series, like: Series) -> Series:
    """Each series in as many steps as the one that it is to be mixed with."""
    steps = torch.arange(len(series.x), device=series.x.device, dtype=torch.float64)[:, None]
    return read_at(series, steps * (series.lengths - 1) / (like.lengths - 1).clamp(min=1))
