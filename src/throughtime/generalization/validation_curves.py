"""``learning_curve`` and ``validation_curve``: every size or setting of every fold is a member of one run.

The signatures, what is returned and the errors are scikit-learn's.
"""

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import learning_curve as sklearn_learning_curve
from sklearn.model_selection import validation_curve as sklearn_validation_curve

from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for, has_network
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.inner_groups import with_groups
from throughtime.training import CheckpointsOrPath

#: scikit-learn's default
_TENTHS = np.linspace(0.1, 1.0, 5)


def learning_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    train_sizes: Any = _TENTHS,
    cv: Any = None,
    scoring: Any = None,
    exploit_incremental_learning: bool = False,
    n_jobs: int | None = None,
    pre_dispatch: Any = "all",
    verbose: int = 0,
    shuffle: bool = False,
    random_state: Any = None,
    error_score: Any = np.nan,
    return_times: bool = False,
    params: dict[str, Any] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> tuple[ndarray, ...]:
    """Scores by the number of training series, as ``sklearn.model_selection.learning_curve`` gives them.

    Parameters
    ----------
    train_sizes
        Numbers of series, or fractions of the largest number there is.
    exploit_incremental_learning
        Refused, as scikit-learn does: a network has no ``partial_fit``.
    memory_budget, checkpoints
        As in `cross_validate`, and so are the others.

    Returns
    -------
    Sizes, training scores and test scores ``(size, fold)``; with ``return_times``, times to fit and to score.
    """
    rest = {
        "train_sizes": train_sizes,
        "exploit_incremental_learning": exploit_incremental_learning,
        "n_jobs": n_jobs,
        "pre_dispatch": pre_dispatch,
        "shuffle": shuffle,
        "random_state": random_state,
        "error_score": error_score,
        "return_times": return_times,
        "params": params,
    }
    if not has_network(estimator):
        return tuple(
            sklearn_learning_curve(estimator, X, y, groups=groups, cv=cv, scoring=scoring, verbose=verbose, **rest)
        )
    given = arguments_for(estimator, X, y, groups, cv, scoring)
    rest["params"] = with_groups(params, estimator, X, groups)
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        return tuple(
            sklearn_learning_curve(
                estimator, given.X, given.y, groups=given.groups, cv=given.cv, scoring=given.scoring, **rest
            )
        )


def validation_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    param_name: str,
    param_range: Any,
    groups: Any = None,
    cv: Any = None,
    scoring: Any = None,
    n_jobs: int | None = None,
    pre_dispatch: Any = "all",
    verbose: int = 0,
    error_score: Any = np.nan,
    params: dict[str, Any] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> tuple[ndarray, ndarray]:
    """Scores by the value of one parameter, as ``sklearn.model_selection.validation_curve`` gives them.

    The parameters are scikit-learn's and those of `cross_validate`.

    Returns
    -------
    Training scores and test scores ``(value, fold)``.
    """
    rest = {
        "param_name": param_name,
        "param_range": param_range,
        "n_jobs": n_jobs,
        "pre_dispatch": pre_dispatch,
        "error_score": error_score,
        "params": params,
    }
    if not has_network(estimator):
        train, test = sklearn_validation_curve(
            estimator, X, y, groups=groups, cv=cv, scoring=scoring, verbose=verbose, **rest
        )
        return train, test
    given = arguments_for(estimator, X, y, groups, cv, scoring)
    rest["params"] = with_groups(params, estimator, X, groups, {param_name: param_range})
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        train, test = sklearn_validation_curve(
            estimator, given.X, given.y, groups=given.groups, cv=given.cv, scoring=given.scoring, **rest
        )
    return train, test
