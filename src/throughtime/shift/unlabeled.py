"""What can be told of a shift without labels: whether label shift would explain all that moved."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.findings import NotApplicable
from throughtime.shift.calibration import calibrated
from throughtime.shift.column_names import output_names, with_squares
from throughtime.shift.concept import target_functions
from throughtime.shift.partial import Columns, partial_test
from throughtime.shift.priors import PriorEstimate, floored
from throughtime.shift.records import Embedding, ShiftTest
from throughtime.shift.sides import Sides, joined
from throughtime.shift.statistics import standardize


def beyond_label_shift_test(
    reference: Embedding, deployed: Embedding, priors: PriorEstimate | None, sides: Sides
) -> ShiftTest | NotApplicable:
    """Whether series moved in other ways than a label shift moves them.

    Parameters
    ----------
    priors
        Of classes, estimated without labels; ``None`` for numbers, of which label shift moves the outputs first.

    Returns
    -------
    The largest partial correlation of summaries, their squares and logits, the log ratio of densities under label shift
    held fixed; of numbers, of summaries and squares, the outputs and their squares held fixed.
    """
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    z = standardize(joined(reference.summaries, deployed.summaries, "summaries"))
    blocks = [Columns(np.column_stack([z, np.square(z)]), with_squares(reference.summary_names))]
    fixed = _log_ratio(outputs, priors, len(reference))
    if fixed is None:
        fixed = target_functions(outputs)
    else:
        blocks.append(Columns(outputs, output_names(reference)))
    return partial_test("X beyond Y", blocks, fixed, sides) or NotApplicable("no summary varies")


def _log_ratio(
    outputs: Float[ndarray, "series class"], priors: PriorEstimate | None, n_reference: int
) -> Float[ndarray, "series 1"] | None:
    """The log ratio of densities where only the fractions of the classes moved."""
    if priors is None or priors.calibration is None or priors.method == "none":
        return None
    ratios = calibrated(outputs, priors.calibration) @ (priors.deployed / floored(priors.reference, n_reference))
    return np.asarray(np.log(np.maximum(ratios, 1e-12)))[:, None]
