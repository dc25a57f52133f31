"""Whether columns tell the two samples apart beyond what other columns do: partial correlations, permuted.

A column's correlation with the side, with the other columns' part taken from both, is the score statistic of that
column in a linear model ``side ~ other columns``. It needs no density ratios, and holds its level with a hundred other
columns of five hundred series, where the score test of a logistic model rejects twice too often
(docs/decisions/0017-naming-a-shift.md).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.shift.largest_effect import LEVEL, largest_effect_test
from throughtime.shift.levels import check_level
from throughtime.shift.permutations import joint_p_value, p_values
from throughtime.shift.records import ShiftTest
from throughtime.shift.sides import Sides
from throughtime.shift.statistics import standardize

#: What is left of a column that the others explain, of its norm.
_NOTHING = 1e-6
#: Series beyond the columns that are held fixed.
_LEAST_FREE = 3


class Columns(NamedTuple):
    """Columns of one kind, and what they are called."""

    values: Float[ndarray, "series column"]
    names: Sequence[str]


def partial_test(
    name: str, blocks: Sequence[Columns], given: Float[ndarray, "series other"], sides: Sides, level: float = LEVEL
) -> ShiftTest | None:
    """Whether any column has a partial correlation with the side: the largest of each block, permuted.

    Parameters
    ----------
    blocks
        What is tested; a block of few columns counts as much as one of many (min-p of Westfall & Young, 1993).
    given
        What may differ; a constant is added.
    sides
        Within strata, ``given`` needs a constant for each.
    level
        At which an effect is detected; the interval is one of 95 %.

    Returns
    -------
    The effect is the partial correlation of the column with the largest; ``None`` where no column is left.
    """
    check_level(level)
    basis = _basis(np.column_stack([np.ones(len(given)), standardize(given)]))
    masks = sides.deployed.astype(np.float64)
    unexplained = np.sqrt(np.maximum(masks.sum(1) - np.square(masks @ basis).sum(1), 1e-9))
    if len(basis) - basis.shape[1] < _LEAST_FREE:
        return None
    found, names = [], []
    for columns in blocks:
        own = standardize(columns.values)
        left = own - basis @ (basis.T @ own)
        norms = np.sqrt(np.square(left).sum(0))
        kept = norms > _NOTHING * np.sqrt(len(left))
        if kept.any():
            found.append((masks @ (left[:, kept] / norms[kept])) / unexplained[:, None])
            names.append([one for one, is_kept in zip(columns.names, kept, strict=True) if is_kept])
    if not found:
        return None
    largest = np.column_stack([np.abs(correlations).max(1) for correlations in found])
    block = int(p_values(largest).argmin())
    of_block = largest_effect_test(
        name,
        largest[:, block],
        found[block],
        "correlation",
        sides,
        names[block],
        level=level,
        n_tests=len(found),
        lowest=-1.0,
        highest=1.0,
    )
    return replace(of_block, p_value=joint_p_value(largest))


def _basis(columns: Float[ndarray, "series column"]) -> Float[ndarray, "series rank"]:
    """An orthonormal basis of what columns span, dependent ones among them."""
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * s[0]])
