"""Tests of whether the inputs, the outputs or the targets of two samples of series have one distribution.

Each permutes whole series, or groups or blocks of them, and takes what it compares as arrays, (series, column), or as
`Embedding`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.special import softmax

from throughtime.errors import DataError
from throughtime.shift.column_names import labels_of, names_of, numbered, output_names, with_squares
from throughtime.shift.embedding import check_summaries, take
from throughtime.shift.largest_effect import LEVEL, POWER, largest_effect_test
from throughtime.shift.permutations import joint_p_value, p_values
from throughtime.shift.records import Embedding, ShiftTest
from throughtime.shift.sides import Groups, Sample, Sides, joined, sides_of
from throughtime.shift.statistics import (
    areas_under_the_curve,
    class_shifts,
    discrepancies,
    largest_cdf_gaps,
    mean_shifts,
    standardize,
)

#: The normal quantile of an interval of 95 %.
_TWO_SIDED = 1.96
#: Series of either side that a kernel test compares, every one with every other; of more it draws as many.
MOST_PAIRED = 2000


def mean_shift_test(
    reference: Sample,
    deployed: Sample,
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
        Columns to compare, (series, column); of an `Embedding` its summaries.
    names
        Of the columns.
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
    values, columns = _columns(reference, deployed, names)
    if squares:
        values, columns = _with_squares(values, columns)
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
    shifts = mean_shifts(sides.deployed, values)
    return largest_effect_test("mean shift", np.abs(shifts.t).max(1), shifts.effects, "sd", sides, columns, level=level)


def mmd_test(
    reference: Sample,
    deployed: Sample,
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
        Columns to compare; of an `Embedding` its summaries. Of more than 2,000 series a side as many are drawn.
    standardized
        Whether every column counts as much as the others.
    groups
        As in `mean_shift_test`.
    """
    reference, deployed, groups = _thinned(reference, deployed, groups, random_state)
    values, _ = _columns(reference, deployed, None)
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
    found = discrepancies(sides.deployed, standardize(values) if standardized else values, sides.units)
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
    reference: Sample,
    deployed: Sample,
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
        Columns to compare; of an `Embedding` its summaries. Of more than 2,000 series a side as many are drawn.
    groups
        As in `mean_shift_test`.
    """
    reference, deployed, groups = _thinned(reference, deployed, groups, random_state)
    values, _ = _columns(reference, deployed, None)
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
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
    """
    reference, deployed, _ = _thinned(reference, deployed, None, random_state)
    summaries, names = _columns(reference, deployed, None)
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
    reference: Sample,
    deployed: Sample,
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
    outputs = joined(_outputs(reference), _outputs(deployed), "outputs")
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
    names = labels_of(reference, outputs.shape[1])
    return _of_classes("predicted classes", outputs.argmax(1), names, sides)


def output_test(
    reference: Sample,
    deployed: Sample,
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
    values = joined(_said(reference), _said(deployed), "outputs")
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
    gaps = largest_cdf_gaps(sides.deployed, values)
    columns = numbered("output", values.shape[1])
    return largest_effect_test("outputs", gaps.max(1), gaps, "KS", sides, columns, lowest=0, highest=1)


def target_test(
    reference: Sample,
    deployed: Sample,
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
        Class codes, which are integers, (series,); or numbers, (series,) or (series, column); of an `Embedding` its
        target.
    groups, level
        As in `mean_shift_test`.

    Returns
    -------
    The effect is the change of the fraction of the class that moved most, or that of `mean_shift_test`.

    Raises
    ------
    DataError
        For embeddings without targets, and classes on one side beside numbers on the other.
    """
    one, other = _target(reference), _target(deployed)
    are_classes = {target.dtype.kind in "iu" and target.ndim == 1 for target in (one, other)}
    if len(are_classes) > 1:
        raise DataError(
            "a test of targets needs classes or numbers on both sides, got one of each; classes are integers"
        )
    sides = sides_of(reference, deployed, permutations, random_state, groups=groups)
    if are_classes == {True}:
        labels, codes = np.unique(np.concatenate([one, other]), return_inverse=True)
        if isinstance(reference, Embedding) and reference.class_labels is not None:
            labels = reference.class_labels[labels]
        return _of_classes("Y", codes, labels.tolist(), sides, level=level)
    values = joined(one, other, "targets")
    width = values.shape[1]
    names = names_of("target", width, reference) if isinstance(reference, Embedding) else numbered("target", width)
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


def _columns(reference: Sample, deployed: Sample, names: Sequence[str] | None) -> tuple[ndarray, Sequence[str]]:
    """What is compared, and its names: columns as given, or summaries."""
    if isinstance(reference, Embedding) and isinstance(deployed, Embedding):
        check_summaries(reference, deployed)
    own = [sample.summary_names for sample in (reference, deployed) if isinstance(sample, Embedding)]
    values = joined(_summaries(reference), _summaries(deployed), "columns")
    found = tuple(names or (own[0] if own else numbered("column", values.shape[1])))
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


def _target(sample: Sample) -> ndarray:
    if not isinstance(sample, Embedding):
        return np.asarray(sample)
    if sample.target is None:
        raise DataError("a test of targets needs them on both sides, got an embedding without; give embed their y")
    return sample.target


def _thinned(
    reference: Sample, deployed: Sample, groups: Groups | None, random_state: int | None
) -> tuple[Any, Any, Groups | None]:
    """As many series of either side as can be compared with each other, drawn at random."""
    rng = np.random.default_rng(random_state)
    samples: list[Any] = [reference, deployed]
    own = [None, None] if groups is None else list(groups)
    for side, sample in enumerate(samples):
        if len(sample) <= MOST_PAIRED:
            continue
        some = np.sort(rng.choice(len(sample), MOST_PAIRED, replace=False))
        samples[side] = take(sample, some) if isinstance(sample, Embedding) else np.asarray(sample)[some]
        if own[side] is not None:
            own[side] = np.asarray(own[side])[some]
    return samples[0], samples[1], None if groups is None else (own[0], own[1])
