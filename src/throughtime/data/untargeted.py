"""Series without a target, which nothing can be learned from."""

from dataclasses import replace

import numpy as np
from numpy import ndarray

from throughtime.data.dataset import Dataset, Untargeted
from throughtime.data.reasons import shown
from throughtime.errors import DataError, DataWarning, warn


def leave_out(data: Dataset, empty: ndarray, targets: Untargeted) -> Dataset:
    """The data set without the series that have no target.

    Parameters
    ----------
    empty
        Which series have none, ``(series,)``; some have one.

    Warns
    -----
    DataWarning
        How many they are; one of them is named.

    Raises
    ------
    DataError
        With ``targets="error"``.
    """
    first, n = shown(data.ids[int(empty.argmax())]), int(empty.sum())
    what = "a target" if data.columns.target is None else f"target (--target {data.columns.target})"
    if targets == "error":
        raise DataError(f"{what} needs a value in every series, series {first} has none")
    warn(
        f"{n} of {len(empty)} series {'have' if n > 1 else 'has'} no target and {'are' if n > 1 else 'is'} left out, "
        f"such as {first}; targets='error' (--targets error) refuses them",
        DataWarning,
    )
    rows = np.flatnonzero(~empty)
    X = data.X[rows]
    y = None if data.y is None else data.y[rows]
    return replace(data, X=X, y=y, ids=tuple(data.ids[row] for row in rows), groups=X.groups)
