"""The fractions of the classes among deployed series, with labels or, if only the fractions moved, without.

References: Saerens, Latinne & Decaestecker (2002), Adjusting the outputs of a classifier to new a priori probabilities,
Neural Computation 14, 21-41, https://doi.org/10.1162/089976602753284446; Lipton, Wang & Smola (2018), Detecting and
correcting for label shift with black box predictors (BBSE), ICML, https://arxiv.org/abs/1802.03916.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import nnls
from scipy.stats import entropy

from throughtime.data import as_labels
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import checked_weights
from throughtime.records import Record
from throughtime.shift.arguments import (
    check_chance,
    check_count,
    check_seed,
    class_numbers,
    classes_of_labels,
    codes_of_labels,
    fractions_summing_to_one,
    groups_of,
    logits_of_classes,
    real_numbers,
)
from throughtime.shift.calibration import Calibration, calibrate, calibrated
from throughtime.shift.samples import samples_of

PriorMethod = Literal["labels", "EM", "BBSE", "BBSE soft"]

#: Of the confusion matrix: below it a network hardly tells some classes apart.  Under-fitted GRUs have .03 to .05,
#: fitted ones .4 on the same series.
LEAST_SINGULAR_VALUE = 0.2
#: Of the row that holds a sum of fractions at 1 among rows of fractions.
_SUM_WEIGHT = 1e4
_MOST_ITERATIONS = 1000


@dataclass(frozen=True, repr=False, eq=False)
class PriorEstimate(Record):
    """Fractions of the classes, (k,) each, in the reference and among the deployed series.

    Attributes
    ----------
    method
        "labels" counts them; "EM" and the two kinds of "BBSE" suppose that series of a class stayed as they were;
        "none" gives the reference's, because the network tells the classes apart too badly.
    reference, deployed
        As counted, where there are labels; an estimate without them is `floored`: a sample rules no class out.
    low, high
        Of ``deployed``, by the bootstrap over series or groups, of labels with one series more of the class and one of
        another; 0 and 1 where nothing is known.
    level
        Coverage of the interval.
    singular_value
        The smallest of the reference's confusion matrix P(predicted | class): 1 where no class is taken for another, 0
        where two cannot be told apart. NaN with labels.
    calibration
        Of the reference's logits, which "EM" and "BBSE soft" rest on; else ``None``.
    reason
        Why this method.
    """

    method: str
    reference: ndarray
    deployed: ndarray
    low: ndarray
    high: ndarray
    level: float
    singular_value: float
    calibration: Calibration | None
    reason: str


def estimate_priors(
    logits: Float[ndarray, "series class"],
    codes: Int[ndarray, "series"],
    deployed_logits: Float[ndarray, "deployed class"] | None,
    deployed_codes: Int[ndarray, "deployed"] | None = None,
    *,
    method: PriorMethod | Literal["auto"] = "auto",
    groups: ndarray | None = None,
    deployed_groups: ndarray | None = None,
    level: float = 0.95,
    repeats: int = 200,
    random_state: int | None = 0,
) -> PriorEstimate:
    """Estimate the fractions of the classes among deployed series.

    Parameters
    ----------
    logits, codes
        Of the reference's series, by networks that did not train on them, and their classes: numbers of the columns,
        or labels, whose order is the columns', as it is a classifier's.
    deployed_logits, deployed_codes
        Of the deployed series; either may be missing, where the method does without.
    method
        By default "labels" where there are some, else "EM" on calibrated probabilities; "BBSE" where calibration
        failed, and none where classes are hardly told apart.
    groups, deployed_groups
        What the bootstrap draws as a whole; each series by default.
    repeats
        Bootstrap samples.

    Raises
    ------
    DataError
        For a class without a series in the reference, other classes among the deployed series than in it, what
        `calibrate` refuses, or groups of another length.
    ParameterError
        For an unknown method, or one without what it needs; a level outside of (0, 1), or no bootstrap samples.
    """
    if method != "auto" and method not in get_args(PriorMethod):
        raise ParameterError(f"method needs to be one of auto, {', '.join(get_args(PriorMethod))}, got {method!r}")
    check_chance(level)
    check_count(repeats, "repeats")
    check_seed(random_state)
    both: tuple[Any, Any] = (logits, deployed_logits)
    if deployed_logits is not None:
        both = samples_of(logits, deployed_logits, "logits")[:2]
    logits = logits_of_classes(both[0], "the reference")
    n_classes = logits.shape[1]
    classes = classes_of_labels(codes, n_classes)
    if classes is not None:
        codes = codes_of_labels(as_labels(codes, "the reference", len(logits)), classes, "the reference has")
    codes = class_numbers(codes, n_classes, "the reference", len(logits))
    _check_each_class(codes, n_classes)
    if deployed_codes is None and (method == "labels" or deployed_logits is None):
        raise ParameterError("priors from labels need the classes of the deployed series, got none")
    if method not in ("auto", "labels") and deployed_logits is None:
        raise ParameterError(f"priors by {method} need logits of the deployed series, got none")
    n_deployed = None
    if deployed_logits is not None:
        deployed_logits = logits_of_classes(both[1], "the deployed sample", n_classes)
        n_deployed = len(deployed_logits)
    if deployed_codes is not None:
        if classes is not None:
            deployed_codes = codes_of_labels(
                as_labels(deployed_codes, "the deployed sample"), classes, "the reference has"
            )
        deployed_codes = class_numbers(deployed_codes, n_classes, "the deployed sample", n_deployed)
        n_deployed = len(deployed_codes)
    assert n_deployed is not None
    groups = groups_of(groups, len(codes))
    deployed_groups = groups_of(deployed_groups, n_deployed, "deployed_groups")
    rng = np.random.default_rng(random_state)
    reference = np.bincount(codes, minlength=n_classes) / len(codes)
    if method == "labels" or (method == "auto" and deployed_codes is not None):
        assert deployed_codes is not None
        is_class = np.eye(n_classes)[deployed_codes]
        found = is_class.mean(0)
        drawn = np.empty((repeats, n_classes))
        for row in drawn:
            # The series that are added, one of each class and one of none, are drawn as the others are.
            weights = _drawn_weights(rng, n_deployed, deployed_groups)
            of_class, of_another = rng.exponential(size=(2, n_classes))
            row[:] = (weights @ is_class + of_class) / (weights.sum() + of_class + of_another)
        low, high = _interval(drawn, level)
        low, high = np.minimum(low, found), np.maximum(high, found)  # beside none, or all, of the series
        reason = "one label was given" if n_deployed == 1 else f"{n_deployed} labels were given"
        return PriorEstimate("labels", reference, found, low, high, level, np.nan, None, reason)

    assert deployed_logits is not None
    whole = np.ones(len(codes))
    calibration = calibrate(logits, codes)
    least = float(np.linalg.svd(confusion(_hard(logits), codes, whole), compute_uv=False)[-1])
    chosen, reason = (method, "it was asked for") if method != "auto" else _choice(calibration, codes, least)
    if chosen == "none":
        nothing, everything = np.zeros(n_classes), np.ones(n_classes)
        return PriorEstimate(chosen, reference, reference, nothing, everything, level, least, calibration, reason)

    def estimate(weights: ndarray, deployed_weights: ndarray) -> ndarray:
        if chosen == "BBSE":
            return bbse_priors(
                confusion(_hard(logits), codes, weights),
                np.average(_hard(deployed_logits), axis=0, weights=deployed_weights),
            )
        own = calibration if weights is whole else calibrate(logits, codes, weights=weights, start=calibration)
        posteriors = calibrated(deployed_logits, own)
        if chosen == "EM":
            fractions = np.bincount(codes, weights, minlength=n_classes) / weights.sum()
            return em_priors(posteriors, fractions, weights=deployed_weights)
        return bbse_priors(
            confusion(calibrated(logits, own), codes, weights), np.average(posteriors, axis=0, weights=deployed_weights)
        )

    n = len(deployed_logits)
    found = floored(estimate(whole, np.ones(n)), n)
    drawn = np.array(
        [
            floored(estimate(_drawn_weights(rng, len(codes), groups), _drawn_weights(rng, n, deployed_groups)), n)
            for _ in range(repeats)
        ]
    )
    low, high = _interval(drawn, level)
    return PriorEstimate(chosen, reference, found, low, high, level, least, calibration, reason)


def em_priors(
    posteriors: Float[ndarray, "deployed class"],
    reference: Float[ndarray, "class"],
    *,
    weights: Float[ndarray, "deployed"] | None = None,
    iterations: int = _MOST_ITERATIONS,
    tolerance: float = 1e-6,
) -> Float[ndarray, "class"]:
    """Fractions of the classes under which deployed series are likeliest, by expectation maximization.

    Each step raises the likelihood ``sum of log(sum over k of q_k p(k | x) / reference_k)``, which is concave in q.

    Parameters
    ----------
    posteriors
        Calibrated probabilities, of networks trained where the fractions are those of ``reference``.
    weights
        How often each series counts, once by default.
    iterations, tolerance
        It ends after so many steps, or with one that changes no fraction by more than the tolerance.

    Raises
    ------
    DataError
        For probabilities or fractions that are none, of other classes than each other, or 0 in the reference; weights
        of sum 0.
    ParameterError
        For a number of iterations below 0.
    """
    check_count(iterations, "iterations", least=0)
    posteriors = fractions_summing_to_one(posteriors, "a table of probabilities", 2)
    reference = fractions_summing_to_one(reference, "the reference")
    if len(reference) != posteriors.shape[1] or not reference.all():
        raise DataError(
            f"EM needs a fraction above 0 of each of {posteriors.shape[1]} classes in the reference, got {reference}"
        )
    counted = checked_weights(weights, len(posteriors))
    if not counted.any():
        raise DataError("EM needs a weight above zero, got zero weights only")
    counted = counted / counted.sum()
    ratios = posteriors / reference
    found = reference
    for _ in range(iterations):
        before, found = found, found * (counted / (ratios @ found) @ ratios)
        if np.abs(found - before).max() <= tolerance:
            break
    return np.asarray(found / found.sum())


def bbse_priors(
    confusion: Float[ndarray, "predicted class"], predicted: Float[ndarray, "predicted"]
) -> Float[ndarray, "class"]:
    """Fractions q of the classes with the least ``||confusion q - predicted||``, at least 0 each, 1 together.

    Parameters
    ----------
    confusion
        P(predicted | class), each column of sum 1.
    predicted
        How often each class is predicted among the deployed series, or their mean probabilities.

    Raises
    ------
    DataError
        For columns, or predictions, that are no fractions, or of other classes than each other.
    """
    predicted = fractions_summing_to_one(predicted, "a vector of predictions")
    confusion = fractions_summing_to_one(np.transpose(confusion), "each column of a confusion matrix", 2).T
    if len(confusion) != len(predicted):
        raise DataError(f"BBSE needs a row of the confusion for each of {len(predicted)} classes, got {len(confusion)}")
    found, _ = nnls(np.vstack([confusion, np.full(len(predicted), _SUM_WEIGHT)]), np.append(predicted, _SUM_WEIGHT))
    return np.asarray(found / found.sum())


def confusion(
    predictions: Float[ndarray, "series predicted"], codes: Int[ndarray, "series"], weights: Float[ndarray, "series"]
) -> Float[ndarray, "predicted class"]:
    """The mean prediction among the series of each class, as columns."""
    of_class = np.eye(predictions.shape[1])[codes] * weights[:, None]
    return np.asarray(predictions.T @ (of_class / of_class.sum(0)))


def floored(fractions: Float[ndarray, "class"], n: int) -> Float[ndarray, "class"]:
    """Fractions of n series and one more of each class.

    Raises
    ------
    DataError, ParameterError
        For values that are not finite, or no number of series.
    """
    check_count(n, "n", least=0)
    found = real_numbers(fractions, "a vector of fractions", 1)
    return np.asarray((n * found + 1) / (n + len(found)))


def _choice(calibration: Calibration, codes: ndarray, least: float) -> tuple[PriorMethod | Literal["none"], str]:
    if least < LEAST_SINGULAR_VALUE:
        return "none", (
            f"the network tells some classes apart too badly: the smallest singular value of its confusion matrix is "
            f"{least:.2g}, at least {LEAST_SINGULAR_VALUE:g} is needed"
        )
    knows_nothing = float(entropy(np.bincount(codes)))
    if calibration.loss < knows_nothing:
        return "EM", "no labels were given"
    return "BBSE", (
        f"calibration failed: a log loss of {calibration.loss:.3g} nats where the fractions of the classes alone have "
        f"{knows_nothing:.3g}"
    )


def _hard(logits: ndarray) -> ndarray:
    """1 for the likeliest class of each series, 0 for the others."""
    likeliest: ndarray = np.eye(logits.shape[1])[logits.argmax(1)]
    return likeliest


def _drawn_weights(rng: np.random.Generator, n: int, groups: ndarray | None) -> ndarray:
    """One sample of the Bayesian bootstrap (Rubin 1981): how much each series counts, alike within a group.

    Unlike resampling it leaves no class without series.
    """
    if groups is None:
        return rng.exponential(size=n)
    unique, place = np.unique(groups, return_inverse=True)
    drawn: ndarray = rng.exponential(size=len(unique))[place]
    return drawn


def _interval(drawn: ndarray, level: float) -> tuple[ndarray, ndarray]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _check_each_class(codes: ndarray, n_classes: int) -> None:
    counts = np.bincount(codes, minlength=n_classes)
    if not counts.all():
        raise DataError(
            f"priors need a series of each class in the reference, got none of class number {int(counts.argmin())}"
        )
