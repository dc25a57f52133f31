"""``LockstepSearchCV``: a grid or a sample of settings, all folds of all settings of one shape trained together."""

import os
from collections.abc import Sequence
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval

from throughtime.errors import ParameterError
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization.arguments import arguments_for, has_network, refuse_observers, takes_groups
from throughtime.generalization.call_batcher import batch_calls
from throughtime.generalization.inner_groups import parameter_for_groups, with_groups
from throughtime.training import Checkpoints, CheckpointsOrPath, Observer

#: Before the name of a parameter of ``fit`` that is the estimator's alone.
_TO_ESTIMATOR = "estimator__"


class LockstepSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search for the best setting, as ``GridSearchCV`` and ``RandomizedSearchCV`` do.

    Parameters
    ----------
    estimator
        A ``SequenceClassifier`` or ``SequenceRegressor`` or a pipeline that ends in one; any other is fitted as
        scikit-learn would.
    param_grid
        Values to try by parameter, as ``GridSearchCV`` takes them: every combination is tried.
    param_distributions, n_iter, random_state
        As ``RandomizedSearchCV`` takes them, instead of ``param_grid``: ``n_iter`` settings are drawn.
    refit
        ``True``, ``False``, a scorer's name, or a callable that chooses the index, such as ``one_standard_error``.
    verbose
        1 or more shows the progress of training, and what scikit-learn prints.
    memory_budget
        Bytes that members may take at a time; ``None`` trains all of one shape at once.
    checkpoints
        As `fit_members` takes it.
    scoring, n_jobs, cv, pre_dispatch, error_score, return_train_score
        As scikit-learn has them; ``n_jobs`` and ``pre_dispatch`` are for its own estimators.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        Those of ``GridSearchCV``.

    Examples
    --------
    >>> from throughtime import LockstepSearchCV, SequenceClassifier, load
    >>> X, y = load("japanese-vowels", split="train")
    >>> net = SequenceClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> search = LockstepSearchCV(net, {"lr": [0.01, 0.03], "weight_decay": [0.0, 1.0]}, cv=3).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """

    cv: Any
    scoring: Any

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "memory_budget": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoints": [str, os.PathLike, Checkpoints, None],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        memory_budget: float | None = DEFAULT_BUDGET,
        checkpoints: CheckpointsOrPath | None = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.memory_budget = memory_budget
        self.checkpoints = checkpoints

    def fit(self, X: Any, y: Any = None, *, observers: Sequence[Observer] = (), **params: Any) -> Self:
        """Train and score every setting on every fold, choose, and train the chosen one on all series.

        Parameters
        ----------
        X, y
            As the estimator takes them; the groups that `Sequences` bring along are used by splitters by groups.
        params
            ``groups`` for the splitter and for the inner split of early stopping, where they win over those of X; the
            others go to ``fit``, those with a value per series divided with the folds.
        observers
            Called after each step and each epoch, as in `fit_members`. They know members by numbers: setting by
            setting its folds in order, and after those the network that is trained on all series.
        """
        if (self.param_grid is None) == (self.param_distributions is None):
            both = "neither" if self.param_grid is None else "both"
            raise ParameterError(f"LockstepSearchCV needs one of param_grid and param_distributions, got {both}")
        if not has_network(self.estimator):
            refuse_observers(self.estimator, observers)
            return self._searched(X, y, params)
        tried = self.param_distributions if self.param_grid is None else self.param_grid
        to_fit = with_groups(None, self.estimator, X, params.get("groups"), tried) or {}
        params = {f"{_TO_ESTIMATOR}{name}": value for name, value in to_fit.items()} | params
        given = arguments_for(self.estimator, X, y, params.get("groups"), self.cv, self.scoring)
        if given.groups is not None:
            params["groups"] = given.groups
        with batch_calls(
            verbose=self.verbose > 0,
            memory_budget=self.memory_budget,
            checkpoints=self.checkpoints,
            observers=observers,
        ):
            if not given.by_step:
                return self._searched(given.X, given.y, params)
            # scikit-learn reads folds and scores from the parameters: of a copy, since the search's are the caller's.
            runner = copy(self)
            runner.cv, runner.scoring = given.cv, given.scoring
            runner._searched(given.X, given.y, params)
        parameters = self.get_params(deep=False)
        self.__dict__.update({name: value for name, value in vars(runner).items() if name not in parameters})
        return self

    def _searched(self, X: Any, y: Any, params: dict[str, Any]) -> Self:
        super().fit(X, y, **params)
        return self

    def parameter_for_groups(self, *, early: bool, brought: bool) -> str | None:
        """The parameter of `fit` that brings groups to a splitter by groups, and to a network that may stop early."""
        if takes_groups(self.cv):
            return "groups"
        inner = parameter_for_groups(self.estimator, early=early, brought=brought)
        return None if inner is None else f"{_TO_ESTIMATOR}{inner}"

    def _get_routed_params_for_fit(self, params: dict[str, Any]) -> Any:
        to_fit = {name: value for name, value in params.items() if name.startswith(_TO_ESTIMATOR)}
        routed = super()._get_routed_params_for_fit({k: value for k, value in params.items() if k not in to_fit})
        named = {name.removeprefix(_TO_ESTIMATOR): value for name, value in to_fit.items()}
        routed.estimator["fit"] = named | routed.estimator["fit"]
        return routed

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        if self.param_grid is not None:
            candidates = ParameterGrid(self.param_grid)
        else:
            candidates = ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)
        if callback_ctx is None:  # scikit-learn before 1.9
            evaluate_candidates(candidates)
            return
        search_ctx = callback_ctx.subcontext(
            task_name="search", max_subtasks=len(candidates) * self.n_splits_, sequential_subtasks=False
        ).call_on_fit_task_begin(estimator=self)
        evaluate_candidates(candidates, callback_ctx=search_ctx)
        search_ctx.call_on_fit_task_end(estimator=self)
