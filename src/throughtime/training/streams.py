"""Random streams keyed by what a member is, never by where it stands in a group.

Counter-based generators (Philox; Salmon et al. 2011) make a stream out of its key alone.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float
from numpy import ndarray

#: float32 numbers that Philox draws each time its counter goes up.
_PER_COUNT = 8


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the result and never change."""

    INITIAL_WEIGHTS = 0
    SHUFFLE = 1
    DROPOUT = 2
    INNER_SPLIT = 3
    NOISE = 4
    PERTURBATION = 5
    PROBE = 6
    INPUT_NOISE = 7


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """The generator of one member's seed, one purpose, and a key such as (epoch, step, layer)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, *key))))


def derived_seed(seed: int, purpose: Purpose) -> int:
    """A seed for a library that takes one, below 2**31."""
    return int(stream(seed, purpose).integers(2**31))


def first_rows(
    generator: np.random.Generator, shape: tuple[int, int, int], rows: int
) -> Float[ndarray, "block row column"]:
    """The first rows of each block of what a fresh generator would draw in a shape, float32 in [0, 1).

    The other rows are skipped, so that their number costs nothing.
    """
    blocks, all_rows, columns = shape
    if rows == all_rows:
        return generator.random(shape, dtype=np.float32)
    drawn = np.empty((blocks, rows * columns), dtype=np.float32)
    counted = 0  # where Philox's counter stands
    for block in range(blocks):
        begin = block * all_rows * columns
        generator.bit_generator.advance(begin // _PER_COUNT - counted)  # type: ignore[attr-defined]
        ahead = begin % _PER_COUNT
        numbers = generator.random(ahead + rows * columns, dtype=np.float32)
        drawn[block] = numbers[ahead:]
        counted = begin // _PER_COUNT - (-len(numbers) // _PER_COUNT)
    return drawn.reshape(blocks, rows, columns)
