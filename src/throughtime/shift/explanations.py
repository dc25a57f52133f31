"""How well label, covariate or concept shift alone explains the sides: log likelihoods of logistic models."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from scipy.special import expit

from throughtime.shift.concept import errors_of, is_of_classes, target_functions, targets_of_both
from throughtime.shift.records import Embedding
from throughtime.shift.sides import LEAST_PERMUTATIONS, Sides, joined, sides_of
from throughtime.shift.statistics import mean_shifts, standardize

_ITERATIONS = 25
#: So that sides which a column tells apart without error leave coefficients finite.
_RIDGE = 1e-3
#: Nats, and the size of a step, that are nothing.
_TOLERANCE = 1e-6


class Explanations(NamedTuple):
    """Gains in log likelihood over knowing nothing, in nats, per unit that changes sides."""

    label: float
    covariate: float
    concept: float


def explanations(reference: Embedding, deployed: Embedding) -> Explanations:
    """How well each kind of shift explains the sides of series with targets.

    *Label*: ``side ~ y``; *covariate*: ``side ~ outputs``, or the best of ``side ~ summary``, less what there is to
    choose from: one half falls to the outputs, one half to all summaries alike; *concept*, of numbers: ``side ~
    error``, while for classes `concept_test` sees it and this is 0.
    """
    y = targets_of_both(reference, deployed)
    sides = sides_of(reference, deployed, LEAST_PERMUTATIONS, 0)
    of_classes = is_of_classes(reference)
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    targets = np.eye(int(y.max()) + 1)[y] if of_classes else target_functions(y)
    if not of_classes:
        outputs = target_functions(outputs)
    concept = 0.0 if of_classes else _gain(sides, target_functions(errors_of(reference, deployed, y)))
    covariate = max(_gain(sides, outputs), _best_summary(reference, deployed, sides)) - math.log(2)
    return Explanations(_gain(sides, targets), covariate, concept)


def _best_summary(reference: Embedding, deployed: Embedding, sides: Sides) -> float:
    summaries = standardize(joined(reference.summaries, deployed.summaries, "summaries"))
    best = np.abs(mean_shifts(sides.deployed[:1], summaries).t[0]).argmax()
    return _gain(sides, summaries[:, [best]]) - math.log(summaries.shape[1])


def _gain(sides: Sides, columns: Float[ndarray, "series column"]) -> float:
    """Of a logistic model of the side on columns, over its mean alone; per unit, as series of one say little more."""
    side, units = sides.deployed[0], sides.units
    z = standardize(columns)
    mean = np.ones((len(z), 1))
    of_columns = np.column_stack([mean, z[:, np.square(z).sum(0) > 0]])
    per_unit = (sides.n_reference + sides.n_deployed) / len(side)
    return per_unit * (_foreseen(side, of_columns, units) - _foreseen(side, mean, units))


def _foreseen(
    side: Bool[ndarray, "series"], x: Float[ndarray, "series column"], units: Shaped[ndarray, "series"]
) -> float:
    """The log likelihood of a logistic model for series that it was not fitted to.

    That of its own series, less the number of coefficients that chance had a say in (Takeuchi, 1976): the trace of
    ``inverse(H) J``, of the Hessian and the covariance of the score. A class that is on one side alone takes none.
    """
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[0] = 0

    def penalized(coefficients: Float[ndarray, "column"]) -> float:
        return _log_likelihood(side, x @ coefficients) - float(ridge @ np.square(coefficients)) / 2

    coefficients = np.zeros(x.shape[1])
    value = penalized(coefficients)
    for _ in range(_ITERATIONS):
        p = expit(x @ coefficients)
        hessian = (x * np.maximum(p * (1 - p), 1e-9)[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.lstsq(hessian, x.T @ (side - p) - ridge * coefficients, rcond=None)[0]
        # whole steps lead away from the maximum where a side has one class alone
        while (found := penalized(coefficients + step)) < value and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        if found < value + _TOLERANCE:
            break
        coefficients, value = coefficients + step, found
    scores = np.zeros((int(units.max()) + 1, x.shape[1]))
    np.add.at(scores, units, x * (side - p)[:, None])
    free = np.trace(np.linalg.lstsq(hessian, scores.T @ scores, rcond=None)[0])
    return _log_likelihood(side, x @ coefficients) - float(free)


def _log_likelihood(side: ndarray, scores: ndarray) -> float:
    return float(np.where(side, -np.logaddexp(0, -scores), -np.logaddexp(0, scores)).sum())
