"""Random streams keyed by what a member is, never by where it stands in a group.

Counter-based generators (Philox; Salmon et al. 2011) make a stream out of its key alone.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the result and never change."""

    INITIAL_WEIGHTS = 0
    SHUFFLE = 1
    DROPOUT = 2
    INNER_SPLIT = 3
    NOISE = 4


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """The generator of one member's seed, one purpose, and a key such as (epoch, step, layer)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, *key))))


def derived_seed(seed: int, purpose: Purpose) -> int:
    """A seed for a library that takes one, below 2**31."""
    return int(stream(seed, purpose).integers(2**31))
