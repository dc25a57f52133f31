"""What all augmentations have in common: a name, one strength, and a probability per series."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from throughtime.augmentation_specs import AUGMENTATIONS, checked_spec
from throughtime.training.perturbations import Perturbation, Series


@dataclass(frozen=True)
class Augmentation(Perturbation, ABC):
    """Other series of the same kind, for training alone.

    Parameters
    ----------
    strength
        See `throughtime.augmentation_specs.AUGMENTATIONS`.
    probability
        That a series is augmented, each pass anew; the others stay as they are.

    Raises
    ------
    ParameterError
        For numbers that it cannot have.
    """

    strength: float
    probability: float = 1.0

    name: ClassVar[str]
    #: whether a series begins at another step, where the network has not read the steps before
    moves_start: ClassVar[bool] = False
    #: whether neighboring steps are no longer one step of the clock apart
    changes_clock: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_spec(self)

    @abstractmethod
    def augment(self, series: Series, generator: np.random.Generator) -> Series:
        """All series augmented, in as many steps of padding; what is missing need not be set to zero."""

    def transform(self, series: Series, generator: np.random.Generator) -> Series | None:
        """Each series as it was, or augmented.

        One whose targets each step would all be lost stays as it was.
        """
        if self.strength == AUGMENTATIONS[self.name].identity:
            return None
        chosen = torch.from_numpy(generator.random(len(series.lengths)) < self.probability).to(series.x.device)
        new = self.augment(series, generator)
        if series.by_step:
            chosen &= _observed(new) | ~_observed(series)
        new = _chosen(chosen, new, series)
        if new.missing is not None:
            new = replace(new, x=new.x.masked_fill(new.missing, 0))
        return _without_padding(new)


def _observed(series: Series) -> Bool[Tensor, "batch"]:
    """Which series have a target that counts."""
    inside = torch.arange(len(series.x), device=series.x.device)[:, None] < series.lengths
    return ((series.weights > 0) & inside).any(0)


def _chosen(chosen: Bool[Tensor, "batch"], new: Series, old: Series) -> Series:
    parts = {}
    for name in ("x", "lengths", "targets", "weights", "missing", "static"):
        part, before = getattr(new, name), getattr(old, name)
        if part is not before:
            at = chosen[:, None] if name in ("x", "missing", "static") else chosen
            parts[name] = torch.where(at, part, before)
    return replace(old, **parts)


def _without_padding(series: Series) -> Series:
    """The same in as many steps as the longest has."""
    longest = int(series.lengths.max())
    if longest == len(series.x):
        return series
    names = ["x"] + ["missing"] * (series.missing is not None) + ["targets", "weights"] * series.by_step
    return replace(series, **{name: getattr(series, name)[:longest] for name in names})
