"""An estimator before its first step of training: its network as it starts, on the series as it would read them."""

from typing import Any, TypeVar

from throughtime.estimators.interface import Estimator
from throughtime.estimators.members import fitted_as, learned_by
from throughtime.estimators.pool import pools_of, reading_key
from throughtime.estimators.preparation import prepare
from throughtime.estimators.problem import Problem
from throughtime.estimators.requests import Fit
from throughtime.training import Trained, starting_weights

E = TypeVar("E", bound=Estimator)


def at_initialization(estimator: E, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> E:
    """Give an estimator as ``fit`` would begin: scaled, its targets coded, its weights the first ones of its seed.

    Parameters
    ----------
    estimator
        Left as it is.
    X, y, sample_weight, groups
        As ``fit`` takes them.

    Returns
    -------
    A fitted copy without a step of training, whose ``history_`` is empty.

    Raises
    ------
    DataError, ParameterError
        As ``fit`` raises them.
    """
    problem = Problem([estimator], X, y, sample_weight, groups)
    ((pool, places),) = pools_of([(problem.X, reading_key(estimator, problem.forecast_key))])
    prepared = prepare(Fit(estimator, problem), pool, places)
    weights = starting_weights(prepared.net, prepared.recipe, prepared.member)
    return fitted_as(estimator, learned_by(prepared, Trained(weights, (), None)))
