"""Which windows are no other's by chance, as still ones and short ones of few kinds of values are."""

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.generalization.leakage.step_identities import bits_needed, bits_per_change, changes_of


def telling_windows(series: Sequences) -> Bool[ndarray, "series"]:
    """Whether the changes within each window hold more than two have in common by chance; whole series always tell.

    Windows are short, and those of recordings that rest are alike by the thousand.
    """
    if series.source is None or not len(series):
        return np.ones(len(series), dtype=bool)
    changed = changes_of([series.buffer])
    up_to = np.append(0, changed.cumsum())
    within = up_to[series.starts + series.lengths] - up_to[series.starts + 1]
    telling: ndarray = within * bits_per_change(series.buffer, changed) >= bits_needed(len(series.buffer))
    return telling
