"""What the checks for leakage have in common: nothing may be shared, and the worst fold counts."""

from collections.abc import Sequence

import numpy as np

from throughtime.findings import Measured

#: What justifies a threshold of 0; the kind of leakage follows.
NONE_SHARED = "none may be shared: Kapoor & Narayanan (2023), "
#: What looking up a step in a fold takes in units of looking at a value once, which is then hashed.
PER_STEP = 0.1


def worst_fold(fractions: Sequence[float], detail: str) -> Measured:
    """The largest fraction of a fold's test side that training shares.

    Parameters
    ----------
    fractions
        One per fold, 0 when nothing is shared.
    detail
        Says what is shared; its places are for the fraction, the fold's number from 1 and how many folds there are.
    """
    worst = int(np.argmax(fractions))
    if not fractions[worst] > 0:
        return Measured(fractions[worst], f"none in any of {len(fractions)} folds")
    return Measured(fractions[worst], detail.format(fractions[worst], worst + 1, len(fractions)))
