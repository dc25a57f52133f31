"""Statistics between two samples, each worked out for many assignments of the series to the samples at once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.stats import rankdata

#: Of the median distance: kernels of several widths see shifts of several sizes.
BANDWIDTHS = (0.5, 1.0, 2.0)
#: Folds of the classifier.
FOLDS = 5
#: Series whose distances the median is taken of.
_FOR_MEDIAN = 1000
#: Rows of a kernel matrix that are held at a time.
_ROWS = 512
#: Beyond these sizes squares leave float64.
_SMALLEST, _LARGEST = 1e-100, 1e100

Masks = Bool[ndarray, "permutation series"]


def tamed(values: Float[ndarray, "series column"]) -> Float[ndarray, "series column"]:
    """Columns that are very large, or very small, times a power of two, which loses nothing; others as they are."""
    sizes = np.abs(values).max(0, initial=0)
    wild = (sizes > _LARGEST) | ((sizes < _SMALLEST) & (sizes > 0))
    return np.ldexp(values, np.where(wild, -np.frexp(sizes)[1], 0)) if wild.any() else values


def standardize(values: Float[ndarray, "series column"]) -> Float[ndarray, "series column"]:
    """Columns of mean 0 and deviation 1 over both samples; constant ones are 0."""
    values = tamed(values)
    centered = values - values.mean(0)
    sd = centered.std(0)
    # What rounding leaves of a constant column is no variation.
    varies = sd > 1e-12 * np.maximum(np.abs(values).max(0, initial=0), 1e-300)
    standardized: ndarray = np.divide(centered, sd, where=varies, out=np.zeros_like(centered))
    return standardized


class MeanShifts(NamedTuple):
    """Of each column, for each assignment."""

    t: Float[ndarray, "permutation column"]
    #: Deployed less reference, in standard deviations within the samples.
    effects: Float[ndarray, "permutation column"]


def mean_shifts(deployed: Masks, values: Float[ndarray, "series column"]) -> MeanShifts:
    """Student's t, with the variance of both samples pooled: it stays tame where a column hardly varies on one side."""
    z = standardize(values)
    count = deployed.sum(1, keepdims=True)
    n = len(z)
    scale = 1 / count + 1 / (n - count)  # of the variance of a difference of means
    difference = (deployed.astype(np.float64) @ z) * scale  # the sums of either side are each other's negative
    within = np.square(z).sum(0) - np.square(difference) / scale
    # Where one side has every value of a kind, nothing is left within: as large a t as rounding allows.
    sd = np.sqrt(np.maximum(within, 1e-12 * n) / (n - 2))
    return MeanShifts(difference / sd / np.sqrt(scale), difference / sd)


class Discrepancies(NamedTuple):
    """Squared maximum mean discrepancies, and the standard error of the measured one."""

    mmd_2: Float[ndarray, "permutation"]
    error: float


def discrepancies(
    deployed: Masks, values: Float[ndarray, "series column"], units: Int[ndarray, "series"]
) -> Discrepancies:
    """The unbiased squared MMD of a Gaussian kernel, the mean of three widths around the median distance.

    Reference: Gretton et al. (2012), https://jmlr.org/papers/v13/gretton12a.html, eq. 3; its error by the law of large
    numbers for the first-order term, summed within units.
    """
    n = len(values)
    widths = _median_distance(values) * np.array(BANDWIDTHS)
    masks = deployed.astype(np.float64)
    inside, across, total = np.zeros(len(masks)), np.zeros(len(masks)), 0.0
    toward = np.zeros((2, n))  # the kernel's sums with the deployed and with all others, as measured
    for first in range(0, n, _ROWS):
        rows = slice(first, first + _ROWS)
        kernel = _kernel(values[rows], values, widths)
        kernel[np.arange(len(kernel)), np.arange(n)[rows]] = 0
        sums = kernel.sum(1)
        with_deployed = masks @ kernel.T
        inside += (with_deployed * masks[:, rows]).sum(1)
        across += masks[:, rows] @ sums
        total += sums.sum()
        toward[:, rows] = with_deployed[0], sums
    across -= inside
    n1 = masks.sum(1)
    n0 = n - n1
    mmd_2 = inside / (n1 * np.maximum(n1 - 1, 1)) + (total - inside - 2 * across) / (n0 * np.maximum(n0 - 1, 1))
    mmd_2 -= 2 * across / (n1 * n0)

    own = deployed[0]
    witness = toward[0] / (n1[0] - own) - (toward[1] - toward[0]) / (n0[0] - ~own)
    influence = np.where(own, witness - witness[own].mean(), -(witness - witness[~own].mean()))
    influence *= 2 / np.where(own, n1[0], n0[0])
    return Discrepancies(mmd_2, float(np.sqrt(np.square(np.bincount(units, influence)).sum())))


def _median_distance(values: Float[ndarray, "series column"]) -> float:
    """The median distance of two series that differ."""
    some = values[np.random.default_rng(0).permutation(len(values))[:_FOR_MEDIAN]]
    squares = _squared_distances(some, some)
    apart = squares[squares > 1e-12 * max(squares.max(initial=0), 1e-300)]
    return float(np.median(np.sqrt(apart))) if len(apart) else 1.0


def _squared_distances(
    a: Float[ndarray, "row column"], b: Float[ndarray, "other column"]
) -> Float[ndarray, "row other"]:
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0))


def _kernel(
    a: Float[ndarray, "row column"], b: Float[ndarray, "other column"], widths: Float[ndarray, "width"]
) -> Float[ndarray, "row other"]:
    squares = _squared_distances(a, b)
    # Widths of .5, 1 and 2 medians: each kernel is the fourth power of the next, wider one.
    wide = np.exp(squares / (-2 * widths[-1] ** 2))
    middle = wide**4
    return np.asarray((wide + middle + middle**4) / len(widths))


def areas_under_the_curve(
    deployed: Masks,
    values: Float[ndarray, "series column"],
    units: Int[ndarray, "series"],
    random_state: int | None,
) -> Float[ndarray, "permutation"]:
    """How well a ridge classifier, cross-fitted, tells the samples apart: the mean AUC of its test folds.

    For given folds its scores are linear in who is on which side, so that one factorization per fold serves all
    permutations. Units stay within a fold, which are drawn in ignorance of sides.
    """
    z = standardize(values)
    z = standardize(np.column_stack([z, np.square(z)]))
    gram = z @ z.T / max(1, z.shape[1])
    side = deployed.T.astype(np.float64)
    _, unit_of = np.unique(units, return_inverse=True)
    fold_of = (np.random.default_rng(random_state).permutation(unit_of.max() + 1) % FOLDS)[unit_of]
    areas, weights = [], []
    for fold in range(FOLDS):
        test, train = fold_of == fold, fold_of != fold
        if not test.any() or not train.any():
            continue
        ridge = gram[np.ix_(train, train)] + np.eye(train.sum())
        centered = side[train] - side[train].mean(0)
        scores = gram[np.ix_(test, train)] @ np.linalg.solve(ridge, centered)
        area, weight = _areas(scores, deployed[:, test].T)
        areas.append(area)
        weights.append(weight)
    total = np.sum(weights, 0)
    mean: ndarray = np.divide(np.sum(areas, 0), total, where=total > 0, out=np.full(len(deployed), 0.5))
    return mean


def _areas(
    scores: Float[ndarray, "series permutation"], deployed: Bool[ndarray, "series permutation"]
) -> tuple[Float[ndarray, "permutation"], Float[ndarray, "permutation"]]:
    """Pairs of a deployed and another series in which the former scores higher, ties half; and all pairs."""
    n1 = deployed.sum(0).astype(np.float64)
    ranks = np.where(deployed, rankdata(scores, axis=0), 0.0).sum(0)
    return ranks - n1 * (n1 + 1) / 2, n1 * (len(scores) - n1)


class ClassShifts(NamedTuple):
    """Pearson's chi-square, and the change of each class' fraction, for each assignment."""

    chi_2: Float[ndarray, "permutation"]
    #: Deployed less reference.
    effects: Float[ndarray, "permutation class"]


def class_shifts(deployed: Masks, codes: Int[ndarray, "series"], n_classes: int) -> ClassShifts:
    """How often each class is on either side."""
    one_hot = np.eye(n_classes)[codes]
    all_counts = one_hot.sum(0)
    n1 = deployed.sum(1, keepdims=True).astype(np.float64)
    n0 = len(codes) - n1
    counts = deployed.astype(np.float64) @ one_hot
    surplus = counts - n1 * all_counts / len(codes)  # the other side lacks as many
    terms = np.square(surplus) * len(codes) / np.maximum(all_counts, 1)
    return ClassShifts(terms.sum(1) * (1 / n1 + 1 / n0)[:, 0], counts / n1 - (all_counts - counts) / n0)


def largest_cdf_gaps(deployed: Masks, values: Float[ndarray, "series column"]) -> Float[ndarray, "permutation column"]:
    """The Kolmogorov-Smirnov distance of each column."""
    n1 = deployed.sum(1, keepdims=True)
    n0 = deployed.shape[1] - n1
    gaps = np.empty((len(deployed), values.shape[1]))
    for column, one in enumerate(values.T):
        order = np.argsort(one, kind="stable")
        rising = one[order]
        last = np.append(rising[1:] > rising[:-1], True)  # of equal values the distribution jumps once
        below = np.cumsum(deployed[:, order], 1)[:, last]
        gaps[:, column] = np.abs(below / n1 - (np.arange(1, len(one) + 1)[last] - below) / n0).max(1)
    return gaps
