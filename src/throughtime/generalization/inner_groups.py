"""Groups on their way into a network's ``fit``, where the inner split of early stopping keeps them whole.

scikit-learn's functions give ``groups`` to the splitter alone.  Here they are a parameter of ``fit`` too, which those
functions divide with the folds, so that a member gets ``fit(X[train], y[train], groups=groups[train])``.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn import get_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from throughtime.data import Sequences
from throughtime.errors import DataWarning
from throughtime.estimators import SequenceEstimator


def with_groups(params: Mapping[str, Any] | None, estimator: Any, X: Any, groups: Any) -> dict[str, Any] | None:
    """The parameters of ``fit``, with groups for the network inside the estimator.

    Parameters
    ----------
    params
        As the caller gave them; they win.
    X, groups
        Groups that were given win over those that `Sequences` bring along.

    Warns
    -----
    DataWarning
        When groups were given, a network stops early, and no way leads into it.
    """
    given = None if params is None else dict(params)
    if get_config()["enable_metadata_routing"]:  # the caller says what goes where
        return given
    own = X.groups if isinstance(X, Sequences) else None
    by = own if groups is None else groups
    if by is None:
        return given
    found = groups_for_fit(estimator, by)
    if found is not None:
        return found | (given or {})
    if by is not own and any(_stops_early(part) for part in _parts(estimator)):
        warnings.warn(
            f"groups do not reach the inner split of early_stopping inside {type(estimator).__name__}, which may put "
            "one on both sides: X.replace(groups=groups), X being Sequences, brings them there",
            DataWarning,
            stacklevel=3,
        )
    return given


def groups_for_fit(estimator: Any, groups: Any) -> dict[str, Any] | None:
    """Groups as parameters of an estimator's ``fit`` that hands them to a network; ``None`` where none can be."""
    if isinstance(estimator, SequenceEstimator):
        return {"groups": groups}
    if hasattr(estimator, "groups_for_fit"):  # a search of ours
        found: dict[str, Any] | None = estimator.groups_for_fit(groups)
        return found
    if isinstance(estimator, Pipeline) and estimator.steps:
        name, last = estimator.steps[-1]
        inner = groups_for_fit(last, groups)
        return None if inner is None else {f"{name}__{key}": value for key, value in inner.items()}
    if isinstance(estimator, BaseSearchCV):
        inner = groups_for_fit(estimator.estimator, groups)
        # what a search of scikit-learn's is given by this name goes to its splitter
        return None if inner is None or "groups" in inner else inner
    if isinstance(estimator, TransformedTargetRegressor):
        return groups_for_fit(estimator.regressor, groups)
    if isinstance(estimator, CalibratedClassifierCV):
        return groups_for_fit(estimator.estimator, groups)
    return None


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    yield from estimator.get_params(deep=True).values()


def _stops_early(part: Any) -> bool:
    return isinstance(part, SequenceEstimator) and bool(part.early_stopping)
