"""What a member's training is disturbed by on purpose: augmentation of its series, masks, a term added to its loss.

It acts while training alone, never where a loss or a prediction is evaluated. Dropout and noise inside the layers are
the network's own (`nn.NoiseRates`): they have an expectation that stays in predictions.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor


class Perturbation:
    """One disturbance; a class that derives from this one overrides what it changes.

    Every call sees one member's own series of one step, without the padding that other members ask for, and draws from
    the member's own stream, so that a member is disturbed the same alone and among others. Results that depend on
    anything else, such as a counter of its own, break that law.

    Attributes
    ----------
    key
        A number of its own, from 0 up: its part of the streams' key. Perturbations of one member differ in it.
    """

    key: ClassVar[int]

    def transform(
        self,
        x: Float[Tensor, "time batch channel"],
        lengths: Int[Tensor, "batch"],
        generator: np.random.Generator,
    ) -> tuple[Float[Tensor, "new_time batch channel"], Int[Tensor, "batch"]] | None:
        """Other inputs of a step, and with one target per series other lengths; ``None`` for the same.

        Parameters
        ----------
        x
            Standardized, in the network's precision, zero where missing; what lies beyond a series' end is not read.
            Not to be changed in place.
        lengths
            Steps of each series, from 1 up; the new ones as well, and at most ``new_time``.
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
