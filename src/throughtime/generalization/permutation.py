"""``permutation_test_score``: every shuffle of the labels is a member.

Reference: Ojala & Garriga (2010), Permutation tests for studying classifier performance, JMLR 11, 1833-1863, test 1.
"""

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import permutation_test_score as sklearn_permutation_test_score

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for, has_network
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.inner_groups import with_groups
from throughtime.training import CheckpointsOrPath


def permutation_test_score(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    cv: Any = None,
    n_permutations: int = 100,
    n_jobs: int | None = None,
    random_state: Any = 0,
    verbose: int = 0,
    scoring: Any = None,
    params: dict[str, Any] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> tuple[float, ndarray, float]:
    """Tell how often shuffled labels score as well, as ``sklearn.model_selection.permutation_test_score`` does.

    Labels are shuffled within groups when groups are used. The parameters are scikit-learn's and those of
    `cross_validate`.

    Returns
    -------
    The score, those of the shuffles, and the fraction of scores at least as good, the true one counted in.

    Raises
    ------
    ParameterError
        When no group has labels that differ, so that every shuffle is the original (scikit-learn's p is then 1); or
        when each step has a target and the series, whose targets change places, are not of one length.
    """
    rest = {"n_permutations": n_permutations, "n_jobs": n_jobs, "random_state": random_state, "params": params}
    if not has_network(estimator):
        _refuse_void(y, groups)
        result = sklearn_permutation_test_score(
            estimator, X, y, groups=groups, cv=cv, scoring=scoring, verbose=verbose, **rest
        )
    else:
        given = arguments_for(estimator, X, y, groups, cv, scoring)
        rest["params"] = with_groups(params, estimator, X, groups)
        _refuse_void(given.y, given.groups)
        with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
            result = sklearn_permutation_test_score(
                estimator, given.X, given.y, groups=given.groups, cv=given.cv, scoring=given.scoring, **rest
            )
    score, shuffled, p_value = result
    return score, shuffled, p_value


def _refuse_void(y: Any, groups: Any) -> None:
    """Refuse shuffles that cannot be, or that change nothing."""
    if isinstance(y, Sequences) and y.shape[1] is None:
        raise ParameterError(
            f"a permutation of targets at each step needs series of one length, got {y.lengths.min()} to "
            f"{y.lengths.max()} steps"
        )
    labels = [steps.tobytes() for steps in y] if isinstance(y, Sequences) else y
    if groups is None or np.ndim(labels) != 1 or np.shape(labels) != np.shape(groups):
        return  # all labels are shuffled; or scikit-learn says what is wrong
    pairs = zip(np.asarray(groups).tolist(), labels, strict=True)
    n_groups = len(set(np.asarray(groups).tolist()))
    if len(set(pairs)) == n_groups:
        raise ParameterError(
            f"a permutation within groups needs a group whose labels differ, got one label in each of {n_groups} "
            "groups: every shuffle would be the original, and p 1. Where it is groups that have labels, test with one "
            "series per group, without groups"
        )
