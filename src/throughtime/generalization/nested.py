"""Nested cross-validation: the whole search is repeated in every fold, so that its score is that of a tuned model.

Reference: Varma & Simon (2006), Bias in error estimation when using cross-validation for model selection, BMC
Bioinformatics 7, 91, https://doi.org/10.1186/1471-2105-7-91.
"""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import takes_groups
from throughtime.generalization.cross_validation import cross_validate
from throughtime.generalization.inner_groups import with_groups
from throughtime.generalization.search import LockstepSearchCV
from throughtime.training import CheckpointsOrPath


def nested_cross_validate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    param_grid: Any = None,
    param_distributions: Any = None,
    n_iter: int = 10,
    random_state: Any = None,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    inner_cv: Any = None,
    refit: Any = True,
    verbose: int = 0,
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> dict[str, Any]:
    """Score a search by folds that it has not seen; all folds of all settings of all searches train together.

    Parameters
    ----------
    estimator, param_grid, param_distributions, n_iter, random_state, refit
        As `LockstepSearchCV` takes them.
    X, y, scoring, verbose, return_train_score, return_estimator, return_indices, error_score
        As `cross_validate` takes them.
    groups
        One per series, those that X brings along by default. Both loops, and the inner split of early stopping, keep
        groups whole: a number of folds, or none, then means folds by group.
    cv, inner_cv
        Splitters of the outer folds, that score, and of the inner ones, that choose.
    memory_budget, checkpoints
        As `cross_validate` takes them.

    Returns
    -------
    The dictionary of `cross_validate`; besides, ``best_params``: the setting that each search chose, or ``None`` where
    it failed.
    """
    by = getattr(X, "groups", None) if groups is None else groups
    if by is not None:
        kind = StratifiedGroupKFold if is_classifier(estimator) else GroupKFold
        cv, inner_cv = (
            kind(5 if loop is None else loop) if loop is None or isinstance(loop, int) else loop
            for loop in (cv, inner_cv)
        )
    search = LockstepSearchCV(
        estimator,
        param_grid,
        param_distributions=param_distributions,
        n_iter=n_iter,
        random_state=random_state,
        scoring=scoring,
        cv=inner_cv,
        refit=refit,
        error_score=error_score,
        memory_budget=memory_budget,
        checkpoints=checkpoints,
    )
    results = cross_validate(
        search,
        X,
        y,
        groups=by if takes_groups(cv) else None,
        scoring=scoring,
        cv=cv,
        verbose=verbose,
        params=with_groups(None, search, X, by),
        return_train_score=return_train_score,
        return_estimator=True,
        return_indices=return_indices,
        error_score=error_score,
        memory_budget=memory_budget,
        checkpoints=checkpoints,
    )
    results["best_params"] = [getattr(search, "best_params_", None) for search in results["estimator"]]
    if not return_estimator:
        del results["estimator"]
    return results
