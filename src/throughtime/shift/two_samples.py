"""Tests of whether the inputs, the outputs or the targets of two samples of series have one distribution.

Each permutes whole series, or groups or blocks of them, and takes what it compares as numbers with a row per series
(arrays, data frames, whose columns go by their names, or lists) or as `Embedding`; those of columns take `Sequences`
too, of which they compare the summaries, and of which what moves together is known.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.special import softmax

from throughtime.data import as_labels
from throughtime.errors import DataError
from throughtime.shift.arguments import check_seed
from throughtime.shift.column_names import labels_of, names_of, numbered, output_names, with_squares
from throughtime.shift.embedding import check_embeddings, check_summaries, take
from throughtime.shift.largest_effect import LEVEL, POWER, largest_effect_test
from throughtime.shift.permutations import joint_p_value, p_values
from throughtime.shift.records import Embedding, ShiftTest
from throughtime.shift.samples import TwoSamples, samples_of
from throughtime.shift.sides import Groups, Sample, Sides, joined, sides_of
from throughtime.shift.statistics import (
    areas_under_the_curve,
    class_shifts,
    discrepancies,
    largest_cdf_gaps,
    mean_shifts,
    standardize,
    tamed,
)

#: The normal quantile of an interval of 95 %.
_TWO_SIDED = 1.96
#: Series of either side that a kernel test compares, every one with every other; of more it draws as many.
MOST_PAIRED = 2000


def mean_shift_test(
    reference: Any,
    deployed: Any,
    *,
    names: Sequence[str] | None = None,
    squares: bool = True,
    groups: Groups | None = None,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether the mean of any column differs: the largest of their t statistics, permuted.

    Parameters
    ----------
    reference, deployed
        Columns to compare, (series, column); of an `Embedding` or `Sequences` the summaries.
    names
        Of the columns, in the reference's order; those of data frames or summaries by default.
    squares
        Whether the squares of the standardized columns are compared too, which sees a change of spread.
    groups
        What changes sides as a whole, of the reference and of the deployed series; those of embeddings by default.
    level
        At which the test will reject, a part of it where it is one of several: what `ShiftTest.detectable` is for.

    Returns
    -------
    The effect is that of the column that moved most, in standard deviations within the samples; its interval holds for
    all columns at once.
    """
    given = samples_of(reference, deployed, "columns")
    values, columns = _columns(given, names)
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    if squares:
        values, columns = _with_squares(values, columns)
    shifts = mean_shifts(sides.deployed, values)
    return largest_effect_test("mean shift", np.abs(shifts.t).max(1), shifts.effects, "sd", sides, columns, level=level)


def mmd_test(
    reference: Any,
    deployed: Any,
    *,
    standardized: bool = True,
    groups: Groups | None = None,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether the joint distribution of the columns differs: the squared MMD of Gaussian kernels of three widths.

    Parameters
    ----------
    reference, deployed
        Columns to compare; of an `Embedding` or `Sequences` the summaries. Of more than 2,000 series a side as many are
        drawn.
    standardized
        Whether every column counts as much as the others.
    groups
        As in `mean_shift_test`.
    """
    given, groups = _thinned(samples_of(reference, deployed, "columns"), groups, random_state)
    values, _ = _columns(given)
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    # a power of two for all columns alike leaves distances in proportion
    values = standardize(values) if standardized else tamed(values.reshape(-1, 1)).reshape(values.shape)
    found = discrepancies(sides.deployed, values, sides.units)
    permuted = found.mmd_2[1:]
    error = np.hypot(found.error, permuted.std())
    effect = found.mmd_2[0]
    return ShiftTest(
        name="mmd",
        statistic=float(effect),
        p_value=float(p_values(found.mmd_2[:, None])[0]),
        effect=float(effect),
        low=float(effect - _TWO_SIDED * error),
        high=float(effect + _TWO_SIDED * error),
        effect_unit="squared MMD",
        detectable=float(np.quantile(permuted, 1 - LEVEL) + POWER * permuted.std()),
        unit=sides.unit,
        n_reference=sides.n_reference,
        n_deployed=sides.n_deployed,
        permutations=permutations,
    )


def classifier_two_sample_test(
    reference: Any,
    deployed: Any,
    *,
    groups: Groups | None = None,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether a classifier tells the samples apart: the AUC of a cross-fitted ridge on columns and their squares.

    Reference: Lopez-Paz & Oquab (2017), https://arxiv.org/abs/1610.06545; the AUC is compared with those of permuted
    sides, as series that move together make it larger than .5 by chance.

    Parameters
    ----------
    reference, deployed
        Columns to compare; of an `Embedding` or `Sequences` the summaries. Of more than 2,000 series a side as many are
        drawn.
    groups
        As in `mean_shift_test`.
    """
    given, groups = _thinned(samples_of(reference, deployed, "columns"), groups, random_state)
    values, _ = _columns(given)
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    areas = areas_under_the_curve(sides.deployed, values, sides.units, random_state)
    return largest_effect_test("classifier", areas, areas[:, None], "AUC", sides, none=0.5, lowest=0, highest=1)


def covariate_test(
    reference: Embedding,
    deployed: Embedding,
    *,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether the series differ, and where a network of theirs would notice.

    The smallest of three permuted p-values, itself permuted (Westfall & Young, 1993): of the largest t statistic over
    summaries, their squares and the outputs; of the MMD of summaries; of the MMD of class probabilities, or of other
    outputs. Logits enter as they are: no temperature or bias would change their t statistics.

    Parameters
    ----------
    level
        As in `mean_shift_test`.

    Returns
    -------
    The statistic is that smallest p-value; the effect is that of the column that moved most, as in `mean_shift_test`.
    Of more than 2,000 series a side as many are drawn.

    Raises
    ------
    DataError
        For what are no embeddings, or such of other summaries.
    """
    check_embeddings("covariate_test", reference, deployed)
    check_summaries(reference, deployed)
    (reference, deployed, _), _ = _thinned(TwoSamples(reference, deployed, None), None, random_state)
    summaries, names = joined(reference.summaries, deployed.summaries, "columns"), reference.summary_names
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    values, columns = _with_squares(summaries, names)
    values = np.column_stack([values, outputs])
    columns = [*columns, *output_names(reference)]
    sides = sides_of(reference, deployed, permutations, random_state)
    shifts = mean_shifts(sides.deployed, values)
    said = softmax(outputs, 1) if reference.has_logits else standardize(outputs)
    largest_t = np.abs(shifts.t).max(1)
    parts = [
        largest_t,
        discrepancies(sides.deployed, standardize(summaries), sides.units).mmd_2,
        discrepancies(sides.deployed, said, sides.units).mmd_2,
    ]
    statistics = np.column_stack(parts)
    by_t = largest_effect_test("X", largest_t, shifts.effects, "sd", sides, columns, level=level, n_tests=len(parts))
    return replace(by_t, statistic=float(p_values(statistics).min()), p_value=joint_p_value(statistics))


def predicted_class_test(
    reference: Any,
    deployed: Any,
    *,
    groups: Groups | None = None,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether the likeliest classes are predicted as often: chi-square, permuted.

    Parameters
    ----------
    reference, deployed
        Logits or probabilities, (series, class); of an `Embedding` its logits.
    groups
        As in `mean_shift_test`.

    Returns
    -------
    The effect is the change of the fraction of the class that moved most.

    Raises
    ------
    DataError
        For outputs that are no logits.
    """
    for sample in (reference, deployed):
        if isinstance(sample, Embedding) and not sample.has_logits:
            raise DataError("a test of predicted classes needs logits of classes, got numbers; output_test takes them")
    given = samples_of(reference, deployed, "outputs")
    outputs = joined(_outputs(given.reference), _outputs(given.deployed), "outputs")
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    names = given.names or labels_of(reference, outputs.shape[1])
    return _of_classes("predicted classes", outputs.argmax(1), names, sides)


def output_test(
    reference: Any,
    deployed: Any,
    *,
    groups: Groups | None = None,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether any output has another distribution: the largest of their Kolmogorov-Smirnov distances, permuted.

    Parameters
    ----------
    reference, deployed
        Class probabilities or predictions, (series, column); of an `Embedding` the softmax of its logits, or its
        other outputs.
    groups
        As in `mean_shift_test`.

    Returns
    -------
    The effect is that distance.
    """
    given = samples_of(reference, deployed, "outputs")
    values = joined(_said(given.reference), _said(given.deployed), "outputs")
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    gaps = largest_cdf_gaps(sides.deployed, values)
    columns = given.names or numbered("output", values.shape[1])
    return largest_effect_test("outputs", gaps.max(1), gaps, "KS", sides, columns, lowest=0, highest=1)


def target_test(
    reference: Any,
    deployed: Any,
    *,
    groups: Groups | None = None,
    level: float = 0.05,
    permutations: int = 199,
    random_state: int | None = 0,
) -> ShiftTest:
    """Whether the targets have another distribution: of classes chi-square, of numbers t as in `mean_shift_test`.

    Parameters
    ----------
    reference, deployed
        Classes, (series,): text, booleans, integers, or beside integers whole numbers; or numbers, (series,) or
        (series, column); of an `Embedding` its target.
    groups, level
        As in `mean_shift_test`.

    Returns
    -------
    The effect is the change of the fraction of the class that moved most, or that of `mean_shift_test`.

    Raises
    ------
    DataError
        For embeddings without targets, missing ones, and classes on one side beside numbers on the other.
    """
    given = samples_of(reference, deployed, "targets")
    one, other = _target(given.reference, "reference"), _target(given.deployed, "deployed")
    sides = sides_of(given.reference, given.deployed, permutations, random_state, groups=groups)
    if _are_classes(one) or _are_classes(other):
        labels, codes = np.unique(np.concatenate(_of_one_kind(one, other)), return_inverse=True)
        if isinstance(reference, Embedding) and reference.class_labels is not None:
            labels = reference.class_labels[labels]
        return _of_classes("Y", codes, labels.tolist(), sides, level=level)
    values = joined(one, other, "targets")
    width = values.shape[1]
    names = given.names or numbered("target", width)
    if isinstance(reference, Embedding):
        names = names_of("target", width, reference)
    values, columns = _with_squares(values, names)
    shifts = mean_shifts(sides.deployed, values)
    return largest_effect_test("Y", np.abs(shifts.t).max(1), shifts.effects, "sd", sides, columns, level=level)


def _of_classes(
    name: str,
    codes: ndarray,
    labels: Sequence[Any],
    sides: Sides,
    level: float = LEVEL,
) -> ShiftTest:
    shifts = class_shifts(sides.deployed, codes, len(labels))
    columns = [f"class {label}" for label in labels]
    return largest_effect_test(
        name, shifts.chi_2, shifts.effects, "fraction", sides, columns, level=level, lowest=-1, highest=1
    )


def _columns(given: TwoSamples, names: Sequence[str] | None = None) -> tuple[ndarray, Sequence[str]]:
    """What is compared, and its names: columns as given, or summaries."""
    values = joined(_summaries(given.reference), _summaries(given.deployed), "columns")
    found = tuple(names or given.names or numbered("column", values.shape[1]))
    if len(found) != values.shape[1]:
        raise DataError(f"names need one for each of {values.shape[1]} columns, got {len(found)}")
    return values, found


def _summaries(sample: Sample) -> ndarray:
    return sample.summaries if isinstance(sample, Embedding) else sample


def _with_squares(values: ndarray, names: Sequence[str]) -> tuple[ndarray, Sequence[str]]:
    """The standardized columns and their squares."""
    z = standardize(values)
    return np.column_stack([z, np.square(z)]), with_squares(names)


def _outputs(sample: Sample) -> ndarray:
    return sample.outputs if isinstance(sample, Embedding) else sample


def _said(sample: Sample) -> ndarray:
    """Class probabilities, or other outputs."""
    has_logits = isinstance(sample, Embedding) and sample.has_logits
    return np.asarray(softmax(_outputs(sample), 1)) if has_logits else _outputs(sample)


def _target(sample: Sample, side: str) -> ndarray:
    """The targets of a side; a vector of objects or text as labels, or numbers, none missing."""
    if isinstance(sample, Embedding):
        if sample.target is None:
            raise DataError("a test of targets needs them on both sides, got an embedding without; give embed their y")
        return sample.target
    is_text = sample.ndim == 1 and sample.dtype.kind in "OTU"
    return as_labels(sample, f"the target of the {side} side") if is_text else sample


def _are_classes(target: ndarray) -> bool:
    return target.ndim == 1 and target.dtype.kind in "biuOU"


def _is_whole(target: ndarray) -> bool:
    """Whether floats are integers, but for missing ones."""
    whole = target.ndim == 1 and target.dtype.kind == "f" and not np.isinf(target).any()
    return whole and np.array_equal(target, np.trunc(target), equal_nan=True)


def _of_one_kind(one: ndarray, other: ndarray) -> tuple[ndarray, ndarray]:
    """Classes of either side, of which some array can hold both: text, or whole numbers and truth values."""
    kinds = {"text" if target.dtype.kind in "OU" else "numbers" for target in (one, other)}
    # Integers of which some are missing, or were, are often held as floats.
    whole = [
        as_labels(target, f"the target of the {side} side").astype(np.int64) if _is_whole(target) else target
        for target, side in ((one, "reference"), (other, "deployed"))
    ]
    if len(kinds) > 1 or not all(map(_are_classes, whole)):
        raise DataError(
            "a test of targets needs classes or numbers on both sides, got one of each; classes are integers, text or "
            "booleans"
        )
    return whole[0], whole[1]


def _thinned(given: TwoSamples, groups: Groups | None, random_state: int | None) -> tuple[Any, Groups | None]:
    """As many series of either side as can be compared with each other, drawn at random."""
    check_seed(random_state)
    rng = np.random.default_rng(random_state)
    samples: list[Any] = [given.reference, given.deployed]
    own = [None, None] if groups is None else list(groups)
    for side, sample in enumerate(samples):
        if len(sample) <= MOST_PAIRED:
            continue
        some = np.sort(rng.choice(len(sample), MOST_PAIRED, replace=False))
        samples[side] = take(sample, some) if isinstance(sample, Embedding) else sample[some]
        if own[side] is not None:
            own[side] = np.asarray(own[side])[some]
    return TwoSamples(samples[0], samples[1], given.names), None if groups is None else (own[0], own[1])
