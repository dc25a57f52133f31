"""The inner validation series of early stopping."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from throughtime.errors import ParameterError
from throughtime.estimators.problem import Indices
from throughtime.training import Purpose, derived_seed


def inner_split(
    p: Mapping[str, Any], n: int, groups: ndarray | None, strata: ndarray | None, seed: int
) -> tuple[Indices, Indices]:
    """Positions of the inner training and validation series among ``n``, as the outer split would make them.

    Raises
    ------
    ParameterError
        Where the parameters ``p`` of an estimator ask for a split that there is not.
    """
    common = {"n_splits": 1, "test_size": p["validation_fraction"]}
    random = derived_seed(seed, Purpose.INNER_SPLIT)
    series = np.zeros(n)
    try:
        if groups is not None:
            parts = GroupShuffleSplit(**common, random_state=random).split(series, groups=groups)
        elif strata is not None:
            parts = StratifiedShuffleSplit(**common, random_state=random).split(series, strata)
        else:
            parts = ShuffleSplit(**common, random_state=random).split(series)
        train, validation = next(parts)
        return train, validation
    except ValueError as error:
        raise ParameterError(
            f"early_stopping needs an inner validation split of the {n} training series "
            f"(validation_fraction={p['validation_fraction']:g}), which cannot be made: {error}"
        ) from error
