"""Whether targets given the series changed: of all of p(y given x), and of the part that no label shift explains.

Where p(x) and p(y) alone moved, the log of the ratio of densities is ``f(x) + g(y)``. What is not of this form is
concept shift, whatever else moved: of classes, two that are taken for each other more often; of numbers, a relation to
a summary of the series that turned.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.errors import DataError
from throughtime.findings import NotApplicable
from throughtime.shift.calibration import calibrate, calibrated
from throughtime.shift.column_names import labels_of, names_of, output_names, with_squares
from throughtime.shift.embedding import check_embeddings
from throughtime.shift.partial import Columns, partial_test
from throughtime.shift.records import Embedding, ShiftTest
from throughtime.shift.sides import Sides, joined, sides_of
from throughtime.shift.statistics import standardize

#: Series of a class that either side needs, for a pair of classes to be compared.
LEAST_OF_A_CLASS = 5
#: Pairs of classes compared, those with most series.
MOST_PAIRS = 500
#: Series per principal component of summaries that are held fixed.
_SERIES_PER_COMPONENT = 5
#: The fraction of a class taken for another, and the largest ratio of chances, that the direction of a pair is for.
_SWAPPED, _LARGEST_RATIO = 0.1, 50.0


def concept_test(
    reference: Embedding,
    deployed: Embedding,
    *,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest | NotApplicable:
    """Whether p(y given x) changed in a way that neither covariate nor label shift explains.

    Classes: whether a pair of classes is taken for each other more often, by the columns ``log(.9 + .1 p(other given x)
    / p(y given x))``, the log ratio of densities where a tenth of each are named as the other. Numbers: whether the
    error of the prediction changed its relation to a summary of the series. Both are tested beside the summaries, the
    outputs and functions of the target.

    Parameters
    ----------
    level
        At which the test will reject, a part of it where it is one of several: what `ShiftTest.detectable` is for.

    Returns
    -------
    Or why there is nothing to test, such as fewer than two classes with five series on either side.

    Raises
    ------
    DataError
        For embeddings without targets.
    """
    y = targets_of_both(reference, deployed)
    of_classes = is_of_classes(reference)
    # Within classes sides are drawn as label shift draws them; groups are not cut.
    within = y if of_classes and reference.groups is None and deployed.groups is None else None
    sides = sides_of(reference, deployed, permutations, random_state, strata=within)
    x = given_series(reference, deployed)
    if of_classes:
        pairs = _pairs(y, len(reference))
        if not pairs:
            return NotApplicable(
                f"it needs two classes with {LEAST_OF_A_CLASS} series each among the reference and the deployed series"
            )
        labels = labels_of(reference, int(y.max()) + 1)
        swaps = Columns(
            _swaps(_probabilities(reference, deployed, y), y, pairs),
            [f"classes {labels[a]} and {labels[b]}" for a, b in pairs],
        )
        found = partial_test("concept", [swaps], np.column_stack([x, _one_hot(y)]), sides, level)
    else:
        turns = _turns(reference, deployed, errors_of(reference, deployed, y))
        found = partial_test("concept", turns, np.column_stack([x, target_functions(y)]), sides, level)
    return found or _too_few(sides)


def target_given_series_test(
    reference: Embedding,
    deployed: Embedding,
    *,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest | NotApplicable:
    """Whether p(y given x) is what it was, which covariate shift keeps, and label and concept shift do not.

    Whether a class is more frequent, or a number's error, its square, or its relation to a summary different, beside
    what summaries and outputs say.

    Parameters
    ----------
    level
        As in `concept_test`.

    Returns
    -------
    Or why there is nothing to test.

    Raises
    ------
    DataError
        For embeddings without targets.
    """
    y = targets_of_both(reference, deployed)
    sides = sides_of(reference, deployed, permutations, random_state)
    if is_of_classes(reference):
        columns = _one_hot(y)
        blocks = [Columns(columns, [f"class {label}" for label in labels_of(reference, columns.shape[1])])]
    else:
        errors = errors_of(reference, deployed, y)
        own = names_of("error", errors.shape[1], reference)
        functions = Columns(target_functions(errors), with_squares(own))
        blocks = [functions, *_turns(reference, deployed, errors)]
    found = partial_test("Y given X", blocks, given_series(reference, deployed), sides, level)
    return found or _too_few(sides)


def is_of_classes(embedding: Embedding) -> bool:
    """Whether targets are class codes, and not numbers."""
    target = embedding.target
    return target is not None and target.ndim == 1 and target.dtype.kind in "iu"


def given_series(reference: Embedding, deployed: Embedding) -> Float[ndarray, "series column"]:
    """What stands for the series where they are held fixed: outputs, and summaries or their principal components."""
    outputs = standardize(joined(reference.outputs, deployed.outputs, "outputs"))
    summaries = standardize(joined(reference.summaries, deployed.summaries, "summaries"))
    most = max(1, len(outputs) // _SERIES_PER_COMPONENT)
    if summaries.shape[1] > most:
        u, s, _ = np.linalg.svd(summaries, full_matrices=False)
        summaries = u[:, :most] * s[:most]
    return np.column_stack([summaries, outputs])


def target_functions(y: ndarray) -> Float[ndarray, "series column"]:
    """Numbers and their squares, as columns."""
    z = standardize(y.reshape(len(y), -1).astype(np.float64))
    return np.column_stack([z, np.square(z)])


def targets_of_both(reference: Embedding, deployed: Embedding) -> ndarray:
    """Targets of both samples, the reference's first: class codes, (series,), or numbers, (series, target)."""
    check_embeddings("a test of p(y given x), or of p(x given y),", reference, deployed)
    if reference.target is None or deployed.target is None:
        raise DataError("tests of p(y given x) need targets on both sides, got an embedding without; give embed its y")
    if is_of_classes(reference) != is_of_classes(deployed):
        raise DataError("tests of p(y given x) need classes or numbers on both sides, got one of each")
    if is_of_classes(reference):
        return np.concatenate([reference.target, deployed.target])
    return joined(reference.target, deployed.target, "targets")


def _too_few(sides: Sides) -> NotApplicable:
    return NotApplicable(
        f"{sides.n_reference} and {sides.n_deployed} {sides.unit}s are too few beside so many summaries, or the "
        "targets follow from them"
    )


def _one_hot(codes: Int[ndarray, "series"]) -> Float[ndarray, "series class"]:
    return np.asarray(np.eye(int(codes.max()) + 1)[codes])


def _probabilities(
    reference: Embedding, deployed: Embedding, y: Int[ndarray, "series"]
) -> Float[ndarray, "series class"]:
    """Of both samples, calibrated on both together, so that it is alike for either."""
    outputs = joined(reference.outputs, deployed.outputs, "logits")
    return calibrated(outputs, calibrate(outputs, y))


def _pairs(codes: Int[ndarray, "series"], n_reference: int) -> list[tuple[int, int]]:
    """Pairs of classes with enough series, at most `MOST_PAIRS`."""
    n_classes = int(codes.max()) + 1
    counts = np.minimum(*(np.bincount(side, minlength=n_classes) for side in np.split(codes, [n_reference])))
    pairs = list(combinations(np.flatnonzero(counts >= LEAST_OF_A_CLASS).tolist(), 2))
    return sorted(pairs, key=lambda pair: -int(counts[list(pair)].min()))[:MOST_PAIRS]


def _swaps(
    p: Float[ndarray, "series class"], codes: Int[ndarray, "series"], pairs: list[tuple[int, int]]
) -> Float[ndarray, "series pair"]:
    """Log ratio of densities where a tenth of two classes are named as the other, less its mean given the series.

    Less that mean, what is held fixed need not tell the function of the series that it is.
    """
    columns = np.empty((len(codes), len(pairs)))
    for column, (a, b) in zip(columns.T, pairs, strict=True):
        of_a, of_b = (
            np.log(1 - _SWAPPED + _SWAPPED * np.minimum(p[:, other] / np.maximum(p[:, own], 1e-12), _LARGEST_RATIO))
            for own, other in ((a, b), (b, a))
        )
        column[:] = np.where(codes == a, of_a, 0) + np.where(codes == b, of_b, 0) - p[:, a] * of_a - p[:, b] * of_b
    return columns


def errors_of(
    reference: Embedding, deployed: Embedding, y: Float[ndarray, "series target"]
) -> Float[ndarray, "series target"]:
    """Targets less the linear function of the outputs that is best in both samples together.

    Fitted to one sample, errors would differ between the samples by chance in a way that permutations do not know.
    """
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    columns = np.column_stack([np.ones(len(outputs)), outputs])
    return np.asarray(y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0])


def _turns(
    reference: Embedding, deployed: Embedding, errors: Float[ndarray, "series target"]
) -> tuple[Columns, Columns]:
    """Errors times each output, and times each summary."""
    own = Columns(errors, names_of("error", errors.shape[1], reference))
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    summaries = joined(reference.summaries, deployed.summaries, "summaries")
    return (
        _products(own, Columns(outputs, output_names(reference))),
        _products(own, Columns(summaries, reference.summary_names)),
    )


def _products(errors: Columns, others: Columns) -> Columns:
    products = np.einsum("nt,ns->nts", standardize(errors.values), standardize(others.values))
    return Columns(
        products.reshape(len(products), -1), [f"{error} by {name}" for error in errors.names for name in others.names]
    )
