"""Groups on their way into a network's ``fit``, where the inner split of early stopping keeps them whole.

scikit-learn's functions give ``groups`` to the splitter alone.  A network that stops early needs them too, as a
parameter of ``fit`` that those functions divide with the folds: a member gets
``fit(X[train], y[train], groups=groups[train])``.  Every other ``fit`` is called as scikit-learn calls it.
"""

from collections.abc import Iterable, Iterator, Mapping
from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from throughtime.data import Sequences, as_labels
from throughtime.errors import DataError, DataWarning, warn
from throughtime.estimators import SequenceEstimator

#: A search's grid, by the names that scikit-learn's searches and ours have for it.
_GRIDS = "param_grid", "param_distributions"


def with_groups(
    params: Mapping[str, Any] | None, estimator: Any, X: Any, groups: Any, tried: Any = None
) -> dict[str, Any] | None:
    """The parameters of ``fit``, with groups where a network inside the estimator needs them.

    Parameters
    ----------
    params
        As the caller gave them; they win.
    X, groups
        Groups that were given win over those that `Sequences` bring along, which every part of X has with it.
    tried
        Values of the estimator's parameters that will be tried, as a grid.

    Raises
    ------
    DataError
        When a network that may stop early is to be given groups that are not one label per series.

    Warns
    -----
    DataWarning
        When groups were given, a network may stop early, and no way leads into it.
    """
    given = None if params is None else dict(params)
    if get_config()["enable_metadata_routing"]:  # the caller says what goes where
        return given
    own_groups = X.groups if isinstance(X, Sequences) else None
    if groups is None and own_groups is None:
        return given
    brought = own_groups is not None and (groups is None or _same(groups, own_groups))
    early = _may_stop_early(estimator) or _tries_early_stopping(tried)
    name = parameter_for_groups(estimator, early=early, brought=brought)
    if name is None:
        if early and not brought:
            warn(
                f"groups do not reach the inner split of early_stopping inside {type(estimator).__name__}, which may "
                "put one on both sides: X.replace(groups=groups), X being Sequences, brings them there",
                DataWarning,
            )
        return given
    if given is not None and name in given:
        return given
    if groups is None:
        groups = own_groups
    elif early:  # checked here once, for all folds
        groups = as_labels(groups, "groups (for the inner split of early_stopping)", len(X))
    return {name: groups} | (given or {})


def parameter_for_groups(estimator: Any, *, early: bool, brought: bool) -> str | None:
    """The parameter of an estimator's ``fit`` by which groups reach those inside that need them, if there is one.

    Parameters
    ----------
    early
        Whether a network inside may stop early.
    brought
        Whether the X that the estimator is given has these groups with it.
    """
    name = _parameter(estimator, early, brought)
    return name if name is not None and _takes(estimator, name) else None


def _parameter(estimator: Any, early: bool, brought: bool) -> str | None:
    if isinstance(estimator, SequenceEstimator):
        return "groups" if early and not brought else None
    if hasattr(estimator, "parameter_for_groups"):  # a search of ours
        name: str | None = estimator.parameter_for_groups(early=early, brought=brought)
        return name
    if isinstance(estimator, Pipeline) and estimator.steps:
        step_name, last = estimator.steps[-1]
        # what transformers make of X may be without
        brought = brought and all(step is None or isinstance(step, str) for _, step in estimator.steps[:-1])
        inner = parameter_for_groups(last, early=early, brought=brought)
        return None if inner is None else f"{step_name}__{inner}"
    if isinstance(estimator, BaseSearchCV):
        inner = parameter_for_groups(estimator.estimator, early=early, brought=brought)
        # what a search of scikit-learn's is given by this name goes to its splitter
        return None if inner == "groups" else inner
    if isinstance(estimator, TransformedTargetRegressor):
        return parameter_for_groups(estimator.regressor, early=early, brought=brought)
    if isinstance(estimator, CalibratedClassifierCV):
        return parameter_for_groups(estimator.estimator, early=early, brought=brought)
    return None


def _takes(estimator: Any, name: str) -> bool:
    parameters = signature(estimator.fit).parameters
    return name in parameters or any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())


def _same(groups: Any, others: np.ndarray) -> bool:
    try:
        return np.array_equal(as_labels(groups, "groups", len(others)), others)
    except DataError:
        return False


def _may_stop_early(estimator: Any) -> bool:
    return any(
        (isinstance(part, SequenceEstimator) and bool(part.early_stopping))
        or any(_tries_early_stopping(getattr(part, grid, None)) for grid in _GRIDS)
        for part in _parts(estimator)
    )


def _parts(estimator: Any) -> Iterator[Any]:
    if hasattr(estimator, "get_params") and not isinstance(estimator, type):
        yield estimator
        yield from estimator.get_params(deep=True).values()


def _tries_early_stopping(grid: Any) -> bool:
    """Whether a grid, or one of a list of them, names early_stopping or has an estimator with it among its values."""
    if not isinstance(grid, Mapping):
        return isinstance(grid, list | tuple) and any(_tries_early_stopping(one) for one in grid)
    for name, values in grid.items():
        last = str(name).rpartition("__")[2]
        if last == "early_stopping":
            return True
        if isinstance(values, Iterable) and any(
            _tries_early_stopping(value) if last in _GRIDS else _may_stop_early(value) for value in values
        ):
            return True
    return False
