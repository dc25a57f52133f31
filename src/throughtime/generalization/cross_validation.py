"""``cross_validate`` and what scikit-learn has beside it, for recurrent networks: the folds train in lockstep.

The signatures, the keys and the errors are scikit-learn's: its functions run, and their fits are executed as one batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.model_selection import cross_val_score as sklearn_cross_val_score
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from throughtime.data import Sequences, concatenate
from throughtime.errors import ParameterError
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for, has_network, refuse_observers
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.inner_groups import with_groups
from throughtime.training import CheckpointsOrPath, Observer


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """Fit and score an estimator on every fold, as ``sklearn.model_selection.cross_validate`` does, in lockstep.

    Parameters
    ----------
    estimator
        A ``SequenceClassifier`` or ``SequenceRegressor``, a pipeline that ends in one, a search over one; any other is
        scikit-learn's alone.
    X
        The groups that `Sequences` bring along are used by splitters that divide by groups, and by the inner split of
        early stopping.
    y
        One target per series, or one per step: then scores are taken over the observed steps of the test series.
    groups
        One per series, for both; they win over those of X.
    params
        ``sample_weight``, one per series, goes to ``fit``.
    n_jobs, pre_dispatch
        For scikit-learn's estimators; members need no processes.
    verbose
        1 shows the progress of training.
    memory_budget
        Bytes that members may take at a time; ``None`` trains all at once. On the CPU no result depends on it.
    checkpoints
        As `fit_members` takes it.
    observers
        Called after each step and each epoch, as in `fit_members`; they know fold k's network as member k.

    Returns
    -------
    scikit-learn's dictionary. ``fit_time`` and ``score_time`` of a batch are divided equally among its members.

    Notes
    -----
    Results are batch-invariant: on the CPU every fold's network is bitwise the one that fitting the fold by itself
    gives; on other devices, and for a network of your own (``module=``), the two agree to rounding.
    """
    rest = {
        "n_jobs": n_jobs,
        "params": params,
        "pre_dispatch": pre_dispatch,
        "return_train_score": return_train_score,
        "return_estimator": return_estimator,
        "return_indices": return_indices,
        "error_score": error_score,
    }
    if not has_network(estimator):
        refuse_observers(estimator, observers)
        return dict(
            sklearn_cross_validate(estimator, X, y, groups=groups, scoring=scoring, cv=cv, verbose=verbose, **rest)
        )
    given = arguments_for(estimator, X, y, groups, cv, scoring)
    rest["params"] = with_groups(params, estimator, X, groups)
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints, observers=observers):
        return dict(
            sklearn_cross_validate(
                estimator, given.X, given.y, groups=given.groups, scoring=given.scoring, cv=given.cv, **rest
            )
        )


def cross_val_score(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    error_score: Any = np.nan,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> ndarray:
    """The score of every fold, as ``sklearn.model_selection.cross_val_score`` gives it; see `cross_validate`."""
    rest = {"n_jobs": n_jobs, "params": params, "pre_dispatch": pre_dispatch, "error_score": error_score}
    if not has_network(estimator):
        alone: ndarray = sklearn_cross_val_score(
            estimator, X, y, groups=groups, scoring=scoring, cv=cv, verbose=verbose, **rest
        )
        return alone
    given = arguments_for(estimator, X, y, groups, cv, scoring)
    rest["params"] = with_groups(params, estimator, X, groups)
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        scores: ndarray = sklearn_cross_val_score(
            estimator, given.X, given.y, groups=given.groups, scoring=given.scoring, cv=given.cv, **rest
        )
    return scores


def cross_val_predict(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    method: str = "predict",
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> ndarray | Sequences:
    """Predict each series by the member that did not see it, as ``sklearn.model_selection.cross_val_predict`` does.

    See `cross_validate`. When each step has a target the result is `Sequences`, in the order of X.

    Raises
    ------
    ValueError
        As scikit-learn does, when the test folds are no partition of the series.
    """
    rest = {"n_jobs": n_jobs, "params": params, "pre_dispatch": pre_dispatch}
    if not has_network(estimator):
        alone: ndarray = sklearn_cross_val_predict(
            estimator, X, y, groups=groups, cv=cv, verbose=verbose, method=method, **rest
        )
        return alone
    given = arguments_for(estimator, X, y, groups, cv)
    rest["params"] = with_groups(params, estimator, X, groups)
    with batch_calls(verbose=verbose > 0, memory_budget=memory_budget, checkpoints=checkpoints):
        if given.by_step:
            if params:
                raise ParameterError(
                    f"cross_val_predict needs no params when each step has a target, got {sorted(params)}"
                )
            return _predicted_steps(estimator, given.X, given.y, given.cv, method, rest["params"])
        predictions: ndarray = sklearn_cross_val_predict(
            estimator, given.X, given.y, groups=given.groups, cv=given.cv, method=method, **rest
        )
    return predictions


def _predicted_steps(
    estimator: Any, X: Sequences, y: Sequences, cv: Any, method: str, params: dict[str, Any] | None
) -> Sequences:
    splits = list(check_cv(cv).split(X))
    order = np.concatenate([test for _, test in splits])
    if not np.array_equal(np.sort(order), np.arange(len(X))):
        raise ValueError("cross_val_predict only works for partitions")
    parts = Parallel(n_jobs=2)(
        delayed(_fit_and_predict)(
            clone(estimator), X[train], y[train], X[test], method, _check_method_params(X, params or {}, train)
        )
        for train, test in splits
    )
    return concatenate(parts)[np.argsort(order)]


def _fit_and_predict(
    estimator: Any, X: Sequences, y: Sequences, unseen: Sequences, method: str, params: dict[str, Any]
) -> Sequences:
    predicted: Sequences = getattr(estimator.fit(X, y, **params), method)(unseen)
    return predicted
