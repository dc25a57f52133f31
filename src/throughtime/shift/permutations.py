"""Permutation tests between two samples of series: whole series or groups change sides, never steps.

A statistic is computed for many assignments of the series to the two sides at once: row 0 is the one that was
measured, the others are permuted.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from throughtime.errors import DataError


def assignments(
    is_deployed: Bool[ndarray, "series"],
    permutations: int,
    random_state: int | None,
    *,
    groups: ndarray | None = None,
    strata: ndarray | None = None,
) -> Bool[ndarray, "permutation series"]:
    """Which series are on the deployed side, first as they are and then permuted.

    Parameters
    ----------
    is_deployed
        The side of each series.
    groups
        What changes sides as a whole; each series by default.
    strata
        Series change sides within their stratum only, such as a class or a fold member; groups are then cut by it.

    Returns
    -------
    ``permutations + 1`` rows.

    Raises
    ------
    DataError
        For a group on both sides.
    """
    rng = np.random.default_rng(random_state)
    found = np.empty((permutations + 1, len(is_deployed)), bool)
    found[0] = is_deployed
    for stratum in [slice(None)] if strata is None else [strata == value for value in np.unique(strata)]:
        inside = np.arange(len(is_deployed))[stratum]
        labels = inside if groups is None else groups[inside]
        _, first, place = np.unique(labels, return_index=True, return_inverse=True)
        sides = is_deployed[inside][first]
        if np.any(sides[place] != is_deployed[inside]):
            shared = labels[np.flatnonzero(sides[place] != is_deployed[inside])[0]]
            raise DataError(
                f"shift tests need each group on one side, got group {shared!r} among reference and deployed series; "
                "give the deployed series' groups names of their own, or leave groups out"
            )
        shuffled = rng.permuted(np.tile(sides, (permutations, 1)), axis=1)
        found[1:, inside] = shuffled[:, place]
    return found


def p_values(statistics: Float[ndarray, "permutation statistic"]) -> Float[ndarray, "statistic"]:
    """The chance under permutation of a statistic at least as large as the measured one, which counts as one."""
    return np.asarray(np.mean(statistics >= statistics[0], axis=0))


def joint_p_value(statistics: Float[ndarray, "permutation statistic"]) -> float:
    """The p-value of the smallest of several p-values (min-p of Westfall & Young, 1993), each by permutation."""
    order = np.sort(statistics, axis=0)
    count = len(statistics)
    smallest = np.min(
        [count - np.searchsorted(order[:, q], statistics[:, q], side="left") for q in range(statistics.shape[1])],
        axis=0,
    )
    return float(np.mean(smallest <= smallest[0]))
