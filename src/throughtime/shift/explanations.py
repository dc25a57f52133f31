"""How well label, covariate or concept shift alone explains the sides: log likelihoods of logistic models."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

from throughtime.shift.concept import errors_of, is_of_classes, target_functions, targets_of_both
from throughtime.shift.records import Embedding
from throughtime.shift.sides import LEAST_PERMUTATIONS, Sides, joined, sides_of
from throughtime.shift.statistics import mean_shifts, standardize

#: Nats that the best of many explanations gains for being chosen.
_CHOSEN = 1.0
_ITERATIONS = 25
#: So that sides which a column tells apart without error leave coefficients finite.
_RIDGE = 1e-3


class Explanations(NamedTuple):
    """Gains in log likelihood over knowing nothing, in nats, per unit that changes sides."""

    label: float
    covariate: float
    concept: float


def explanations(reference: Embedding, deployed: Embedding) -> Explanations:
    """How well each kind of shift explains the sides of series with targets.

    *Label*: ``side ~ y``; *covariate*: ``side ~ outputs``, or the summary that tells most, less a nat; less a nat again
    for the better of the two; *concept*, of numbers: ``side ~ error``, while for classes `concept_test` sees it and
    this is 0.
    """
    y = targets_of_both(reference, deployed)
    sides = sides_of(reference, deployed, LEAST_PERMUTATIONS, 0)
    of_classes = is_of_classes(reference)
    outputs = joined(reference.outputs, deployed.outputs, "outputs")
    targets = np.eye(int(y.max()) + 1)[y] if of_classes else target_functions(y)
    if not of_classes:
        outputs = target_functions(outputs)
    concept = 0.0 if of_classes else _gain(sides, target_functions(errors_of(reference, deployed, y)))
    covariate = max(_gain(sides, outputs), _best_summary(reference, deployed, sides)) - _CHOSEN
    return Explanations(_gain(sides, targets), covariate, concept)


def _best_summary(reference: Embedding, deployed: Embedding, sides: Sides) -> float:
    summaries = standardize(joined(reference.summaries, deployed.summaries, "summaries"))
    best = np.abs(mean_shifts(sides.deployed[:1], summaries).t[0]).argmax()
    return _gain(sides, summaries[:, [best]]) - _CHOSEN


def _gain(sides: Sides, columns: Float[ndarray, "series column"]) -> float:
    """Of a logistic model of the side on columns, over its mean alone; per unit, as series of one say little more."""
    side = sides.deployed[0]
    per_unit = (sides.n_reference + sides.n_deployed) / len(side)
    return per_unit * _log_likelihood_gain(side, columns)


def _log_likelihood_gain(side: ndarray, columns: Float[ndarray, "series column"]) -> float:
    z = standardize(columns)
    x = np.column_stack([np.ones(len(z)), z[:, np.square(z).sum(0) > 0]])
    ridge = _RIDGE * np.eye(x.shape[1])
    ridge[0, 0] = 0
    coefficients = np.zeros(x.shape[1])
    coefficients[0] = np.log(side.mean() / (1 - side.mean()))
    first = _log_likelihood(side, x @ coefficients)
    for _ in range(_ITERATIONS):
        p = expit(x @ coefficients)
        hessian = (x * np.maximum(p * (1 - p), 1e-9)[:, None]).T @ x + ridge
        step = np.linalg.lstsq(hessian, x.T @ (side - p) - ridge @ coefficients, rcond=None)[0]
        coefficients += step
        if np.abs(step).max() < 1e-6:
            break
    return _log_likelihood(side, x @ coefficients) - first


def _log_likelihood(side: ndarray, scores: ndarray) -> float:
    return float(np.where(side, -np.logaddexp(0, -scores), -np.logaddexp(0, scores)).sum())
