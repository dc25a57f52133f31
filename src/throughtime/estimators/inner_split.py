"""The inner validation series of early stopping."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from throughtime.data import Sequences, shares_steps
from throughtime.errors import ParameterError
from throughtime.estimators.problem import Indices
from throughtime.training import Purpose, derived_seed


def inner_split(
    p: Mapping[str, Any], X: Sequences, groups: ndarray | None, strata: ndarray | None, seed: int
) -> tuple[Indices, Indices]:
    """Positions of the inner training and validation series, as the outer split would make them.

    Groups stay whole. Windows without groups are kept whole by the series they are of; of one series, the last are for
    validation. Training windows with a target step of the validation are in neither.

    Parameters
    ----------
    p
        An estimator's parameters.
    X
        The series that may be trained on.
    groups, strata
        One per series.

    Raises
    ------
    ParameterError
        Where the parameters ask for a split that there is not.
    """
    n = len(X)
    source = X.source
    groups = source.series if groups is None and source is not None else groups
    random = derived_seed(seed, Purpose.INNER_SPLIT)
    common = {"n_splits": 1, "test_size": p["validation_fraction"]}
    series = np.zeros(n)
    try:
        if groups is not None and source is not None and len(np.unique(groups)) == 1 == len(np.unique(source.series)):
            train, validation = _last_in_time(source.begins + source.history, p["validation_fraction"])
        elif groups is not None:
            train, validation = next(GroupShuffleSplit(**common, random_state=random).split(series, groups=groups))
        elif strata is not None:
            train, validation = next(StratifiedShuffleSplit(**common, random_state=random).split(series, strata))
        else:
            train, validation = next(ShuffleSplit(**common, random_state=random).split(series))
        train = train[~shares_steps(X, train, validation, history=False)]
        if not len(train):
            raise ValueError("every window left to train on has steps of the validation's")
        return train, validation
    except ValueError as error:
        raise ParameterError(
            f"early_stopping needs an inner validation split of the {n} training series "
            f"(validation_fraction={p['validation_fraction']:g}), which cannot be made: {error}"
        ) from error


def _last_in_time(begins: Int[ndarray, "window"], fraction: float) -> tuple[Indices, Indices]:
    """The windows up to the last of them, and these."""
    order = np.argsort(begins, kind="stable")
    n_train = len(order) - math.ceil(fraction * len(order))  # as scikit-learn rounds
    if not n_train:
        raise ValueError(f"{len(order)} windows leave none to train on")
    return order[:n_train], order[n_train:]
