"""How much likelier each reference series is among deployed ones: density ratios by a classifier, cut off above.

Reference: Sugiyama, Suzuki & Kanamori (2012), Density ratio estimation in machine learning, section 4.2;
Bickel, Brückner & Scheffer (2009), Discriminative learning under covariate shift, JMLR 10, 2137-2155.
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from throughtime.errors import DataError, ParameterError
from throughtime.estimators import checked_weights
from throughtime.records import Record
from throughtime.shift.arguments import check_seed, groups_of, real_numbers
from throughtime.shift.records import Embedding
from throughtime.shift.samples import samples_of
from throughtime.shift.statistics import tamed

#: Below these, few series would decide everything.
LEAST_EFFECTIVE_FRACTION, LEAST_EFFECTIVE_SIZE = 0.1, 30
#: Of the deployed series: weights of the rest stand for what the reference hardly has.
LEAST_COVERED = 0.5
#: Inverse penalties of the classifier, of which cross-fitting chooses.
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
_FOLDS = 5


@dataclass(frozen=True, repr=False, eq=False)
class CovariateWeights(Record):
    """Weights of the reference's series, under which they are distributed as the deployed ones.

    Attributes
    ----------
    weights
        (n,), of mean 1; all 1 where the classifier tells the samples apart no better than by chance.
    effective_size, effective_fraction
        ``(sum w)^2 / sum w^2``, as many series of equal weight are as informative; and the same over n.
    clip
        The largest weight before they were divided by their mean.
    clipped
        The fraction of series that had a larger one.
    covered
        The mean of the weights before they were divided by it: a density ratio has mean 1, less what lies beyond the
        clip or where the reference has no series. It is the fraction of the deployed series that the reference covers;
        the effective size alone does not see that samples are apart.
    usable, reason
        Not where the effective size is below 30 or below .1 n, or less than half is covered; and why, in a sentence.
    """

    weights: ndarray
    effective_size: float
    effective_fraction: float
    clip: float
    clipped: float
    covered: float
    usable: bool
    reason: str


def covariate_weights(
    reference: Any,
    deployed: Any,
    *,
    groups: ndarray | None = None,
    deployed_groups: ndarray | None = None,
    clip: float = 10.0,
    random_state: int | None = 0,
) -> CovariateWeights:
    """Weights ``min(exp h(x), clip)``, h the log odds of a cross-fitted logistic regression.

    Parameters
    ----------
    reference, deployed
        Columns of the two, (series, column); of an `Embedding` its summaries beside its outputs, of `Sequences` their
        summaries.
    groups, deployed_groups
        What folds keep together; those of embeddings and series by default, else each series.
    clip
        The largest weight: what it cuts off is bias, what it leaves is variance.
    random_state
        Seed of the folds.

    Raises
    ------
    DataError
        For other columns in one than in the other, values that are not finite, fewer than 5 series or groups on a side,
        or groups of another length.
    ParameterError
        For a clip below 1, or what is no seed.
    """
    if isinstance(clip, bool) or not isinstance(clip, Real) or not 1 <= clip < np.inf:
        raise ParameterError(f"clip needs a number of at least 1, got {clip!r}")
    check_seed(random_state)
    given = samples_of(reference, deployed, "columns")
    groups, deployed_groups = (
        sample.groups if own is None and isinstance(sample, Embedding) else own
        for own, sample in ((groups, given.reference), (deployed_groups, given.deployed))
    )
    reference, deployed = (
        real_numbers(_columns(sample), f"the {name} sample", 2)
        for name, sample in (("reference", given.reference), ("deployed", given.deployed))
    )
    groups = groups_of(groups, len(reference))
    deployed_groups = groups_of(deployed_groups, len(deployed), "deployed_groups")
    for name, sample in (("reference", reference), ("deployed", deployed)):
        if sample.shape[1] != reference.shape[1]:
            raise DataError(f"weights need {reference.shape[1:]} columns on both sides, got {sample.shape} {name}")
        if len(sample) < _FOLDS:
            raise DataError(f"weights need at least {_FOLDS} series on either side, got {len(sample)} {name}")
    n = len(reference)
    values = StandardScaler().fit_transform(tamed(np.vstack([reference, deployed])))
    is_deployed = np.arange(len(values)) >= n
    log_ratios = _cross_fitted(values, is_deployed, _units(n, len(deployed), groups, deployed_groups), random_state)
    ratios = np.exp(np.minimum(log_ratios[:n], 700))  # short of infinity
    cut = np.minimum(ratios, clip)
    weights = cut / cut.mean()
    size = effective_size(weights)
    covered = float(cut.mean())
    least = max(LEAST_EFFECTIVE_SIZE, LEAST_EFFECTIVE_FRACTION * n)
    reason = f"the weighted reference is worth {size:.0f} of its {n} series"
    if size < least:
        reason += f", at least {least:.0f} are needed: deployed series lie where it has hardly any"
    elif covered < LEAST_COVERED:
        reason = f"the reference covers {100 * covered:.0f} % of the deployed series, at least 50 % are needed"
    usable = size >= least and covered >= LEAST_COVERED
    return CovariateWeights(weights, size, size / n, clip, float((ratios > clip).mean()), covered, usable, reason)


def effective_size(weights: Float[ndarray, "series"]) -> float:
    """How many series of equal weight give a mean of the same variance (Kish 1965).

    Raises
    ------
    DataError
        For weights that are not finite, or below 0, or of sum 0.
    """
    checked = checked_weights(weights, np.size(weights))
    if not checked.any():
        raise DataError("an effective size needs a weight above zero, got zero weights only")
    relative = checked / checked.max()  # whose squares are within float64
    return float(relative.sum() ** 2 / np.square(relative).sum())


def _columns(sample: Embedding | ndarray) -> ndarray:
    return np.column_stack([sample.summaries, sample.outputs]) if isinstance(sample, Embedding) else sample


def _cross_fitted(values: ndarray, is_deployed: ndarray, units: ndarray | None, random_state: int | None) -> ndarray:
    """Log density ratios, each by a classifier that did not see the series; 0 where no classifier beats a constant."""
    folds = (
        StratifiedKFold(_FOLDS, shuffle=True, random_state=random_state)
        if units is None
        else StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=random_state)
    )
    splits = list(folds.split(values, is_deployed, units))
    best, least = np.zeros(len(values)), _deviance(np.zeros(len(values)), is_deployed)
    for penalty in _PENALTIES:
        found = np.empty(len(values))
        for train, test in splits:
            # balanced: the odds are then the density ratio itself, whatever the numbers of series
            model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
            found[test] = model.fit(values[train], is_deployed[train]).decision_function(values[test])
        if (deviance := _deviance(found, is_deployed)) < least:
            best, least = found, deviance
    return best


def _deviance(log_odds: ndarray, is_deployed: ndarray) -> float:
    """The log loss, either side counting half."""
    losses = np.logaddexp(0, np.where(is_deployed, -log_odds, log_odds))
    return float(losses[is_deployed].mean() + losses[~is_deployed].mean())


def _units(n: int, m: int, groups: ndarray | None, deployed_groups: ndarray | None) -> ndarray | None:
    """Numbers of what stays together, over both sides; ``None`` where each series is one."""
    if groups is None and deployed_groups is None:
        return None
    numbers = [
        np.unique(np.arange(size) if own is None else own, return_inverse=True)[1]
        for size, own in ((n, groups), (m, deployed_groups))
    ]
    fewest = 1 + min(int(own.max()) for own in numbers)
    if fewest < _FOLDS:
        raise DataError(f"weights need at least {_FOLDS} groups on either side, got {fewest}")
    return np.append(numbers[0], numbers[1] + n)
