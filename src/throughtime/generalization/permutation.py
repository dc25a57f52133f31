"""``permutation_test_score``: each shuffle of the labels a member.

Reference: Ojala & Garriga (2010), Permutation tests for studying classifier performance, JMLR 11, 1833-1863, test 1.
"""

from typing import Any

from numpy import ndarray
from sklearn.model_selection import permutation_test_score as sklearn_permutation_test_score

from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for, has_network
from throughtime.generalization.rendezvous import lockstep


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
) -> tuple[float, ndarray, float]:
    """Tell how often shuffled labels score as well, as ``sklearn.model_selection.permutation_test_score`` does.

    Labels are shuffled within groups when groups are used. The parameters are scikit-learn's and those of
    `cross_validate`.

    Returns
    -------
    The score, those of the shuffles, and the share of scores at least as good, the true one counted in.
    """
    rest = {"n_permutations": n_permutations, "n_jobs": n_jobs, "random_state": random_state, "params": params}
    if not has_network(estimator):
        found = sklearn_permutation_test_score(
            estimator, X, y, groups=groups, cv=cv, scoring=scoring, verbose=verbose, **rest
        )
    else:
        given = arguments_for(estimator, X, y, groups, cv, scoring)
        with lockstep(verbose=verbose > 0, memory_budget=memory_budget):
            found = sklearn_permutation_test_score(
                estimator, given.X, given.y, groups=given.groups, cv=given.cv, scoring=given.scoring, **rest
            )
    score, shuffled, share = found
    return score, shuffled, share
