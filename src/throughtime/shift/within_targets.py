"""Whether the series given their targets changed, which label shift keeps: permuted within targets alike."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.findings import NotApplicable
from throughtime.shift.column_names import output_names, with_squares
from throughtime.shift.concept import is_of_classes, target_functions, targets_of_both
from throughtime.shift.partial import Columns, partial_test
from throughtime.shift.records import Embedding, ShiftTest
from throughtime.shift.sides import joined, sides_of
from throughtime.shift.statistics import standardize

#: Quantile bins of numbers, within which series change sides.
BINS = 10


def series_given_target_test(
    reference: Embedding,
    deployed: Embedding,
    *,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest | NotApplicable:
    """Whether p(x given y) is what it was: the largest partial correlation of summaries, their squares and outputs.

    Series change sides within their class; with numbers, within deciles of the target (of several targets, of their
    first principal component), beside which the targets and their squares are held fixed. Groups change sides as a
    whole, with the classes or deciles held fixed.

    Parameters
    ----------
    level
        At which the test will reject, a part of it where it is one of several: what `ShiftTest.detectable` is for.

    Returns
    -------
    Or why there is nothing to test.
    """
    y = targets_of_both(reference, deployed)
    of_classes = is_of_classes(reference)
    strata = y if of_classes else _bins(y)
    fixed = np.zeros((len(y), 0)) if of_classes else target_functions(y)
    z = standardize(joined(reference.summaries, deployed.summaries, "summaries"))
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    # Groups cut by target would change sides in parts, each of which tells of the whole.
    within = strata if reference.groups is None and deployed.groups is None else None
    sides = sides_of(reference, deployed, permutations, random_state, strata=within)
    given = np.column_stack([fixed, strata[:, None] == np.unique(strata)])
    of_summaries = Columns(np.column_stack([z, np.square(z)]), with_squares(reference.summary_names))
    of_outputs = Columns(outputs, output_names(reference))
    found = partial_test("X given Y", [of_outputs, of_summaries], given, sides, level)
    return found or NotApplicable("too few series share a target")


def _bins(y: Float[ndarray, "series target"]) -> Int[ndarray, "series"]:
    z = standardize(y)
    u, s, _ = np.linalg.svd(z, full_matrices=False)
    along = u[:, 0] * s[0]
    return np.asarray(np.searchsorted(np.quantile(along, np.arange(1, BINS) / BINS), along, side="right"))
