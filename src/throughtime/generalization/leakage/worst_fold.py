"""What the checks for leakage have in common: nothing may be shared, and the worst fold counts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy import ndarray

from throughtime.findings import Measured
from throughtime.generalization.folds import Split

#: What justifies a threshold of 0; the kind of leakage follows.
NONE_SHARED = "none may be shared: Kapoor & Narayanan (2023), "


def worst_fold(fraction: Callable[[ndarray, ndarray], float], splits: Sequence[Split], detail: str) -> Measured:
    """The largest fraction of a fold's test side that training shares.

    Parameters
    ----------
    fraction
        Of the indices of training and test, 0 when nothing is shared.
    splits
        The folds.
    detail
        Says what is shared; its places are for the fraction, the fold's number from 1 and how many folds there are.
    """
    fractions = [fraction(train, test) for train, test in splits]
    worst = int(np.argmax(fractions))
    if not fractions[worst] > 0:
        return Measured(fractions[worst], f"none in any of {len(splits)} folds")
    return Measured(fractions[worst], detail.format(fractions[worst], worst + 1, len(splits)))
