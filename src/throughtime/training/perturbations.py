"""What a member's training is disturbed by on purpose: augmentation of its series, masks, a term added to its loss.

It acts while training alone, never where a loss or a prediction is evaluated. Dropout and noise inside the layers are
the network's own (`nn.NoiseRates`): they have an expectation that stays in predictions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Series:
    """One member's own series of one step, without the padding that other members ask for; not to be changed in place.

    Parameters
    ----------
    x
        Standardized channels, in the network's precision; what lies beyond a series' end is not read. The columns that
        flag what is missing are not among them: they are made of ``missing`` again.
    lengths
        Steps of each series, from 1 up to ``time``.
    targets
        Class numbers, or values on the learned scale: one per series, or one per step.
    weights
        Of the targets in the mean loss; zero where none was observed, whatever stands in ``targets``.
    missing
        Where a value of x is missing: x is zero there, whatever is written. ``None`` where the network is fed no flags.
    static
        Standardized static features, if there are any.
    """

    x: Float[Tensor, "time batch channel"]
    lengths: Int[Tensor, "batch"]
    targets: Shaped[Tensor, "*step batch"]
    weights: Float[Tensor, "*step batch"]
    missing: Bool[Tensor, "time batch channel"] | None = None
    static: Float[Tensor, "batch column"] | None = None

    @property
    def by_step(self) -> bool:
        """Whether every step has a target."""
        return self.targets.dim() == 2


class Perturbation:
    """One disturbance; a class that derives from this one overrides what it changes.

    Every call sees one member's own series of one step and draws from the member's own stream, so that a member is
    disturbed the same alone and among others. Results that depend on anything else, such as a counter of its own, break
    that law.

    Attributes
    ----------
    key
        A number of its own, from 0 up: its part of the streams' key. Perturbations of one member differ in it.
    """

    key: ClassVar[int]

    def transform(self, series: Series, generator: np.random.Generator) -> Series | None:
        """Other inputs, lengths or targets of a step, of as many series; ``None`` for the same.

        With a target each step, targets and weights are as long as x.
        """

    def mask(self, layer: int, shape: tuple[int, ...], generator: np.random.Generator) -> Float[ndarray, "..."] | None:
        """What a layer's outputs are multiplied by, as with dropout's masks; ``None`` for nothing.

        Parameters
        ----------
        layer
            Of the built-in network; the last layer's outputs are what the output layer is handed.
        shape
            (time, batch, unit); (batch, unit) for the last layer with one output per series.
        """

    def penalty(self, weights: Mapping[str, Float[Tensor, "..."]]) -> Float[Tensor, ""] | None:
        """A term added to the loss of every step, differentiable in the weights; ``None`` for nothing.

        The losses of records and of early stopping stay those of the data, as with ``weight_decay``.
        """
