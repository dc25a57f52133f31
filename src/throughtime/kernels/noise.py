"""Noise inside the steps of a recurrence, already drawn."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class StepNoise(NamedTuple):
    """What acts inside the steps of one layer in one direction; constants, so no gradient reaches them.

    Parameters
    ----------
    recurrent
        What the state is multiplied with where it enters the next step's product.
    candidate
        What a gated cell would write into its state is multiplied with, step by step.
    zoneout_h, zoneout_c
        How much of h, and of a cell's c, stays as it was one step before, step by step: 0 or 1, or an expectation.
    """

    recurrent: Float[Tensor, "member batch _"] | None = None
    candidate: Float[Tensor, "member time batch unit"] | None = None
    zoneout_h: Float[Tensor, "member time batch _"] | None = None
    zoneout_c: Float[Tensor, "member time batch unit"] | None = None


#: No noise at all.
NO_NOISE = StepNoise()
