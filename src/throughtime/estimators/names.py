"""Names of channels and static features: ``fit`` keeps them, ``predict`` compares them by scikit-learn's rules."""

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.utils.validation import _check_feature_names

from throughtime.data import Sequences, column_names
from throughtime.errors import DataError, warn

#: What a fitted estimator has only if it was fitted on data with names.
NAMES = ("feature_names_in_", "static_names_in_")


def learned_names(X: Any, series: Sequences) -> dict[str, ndarray]:
    """The names that X brings, as the attributes of a fitted estimator.

    Parameters
    ----------
    X
        As the caller gave it: a two-dimensional frame names the steps of one channel.
    series
        X as series, which have names of their channels and static features.
    """
    features = column_names(X) if series.channel_names is None else series.channel_names
    found = zip(NAMES, (features, series.static_names), strict=True)
    return {attribute: np.array(names, dtype=object) for attribute, names in found if names is not None}


def check_names(estimator: Any, X: Any, series: Sequences) -> None:
    """Compare the names of X with those in ``fit``; a warning where only one of the two has names.

    Raises
    ------
    DataError
        For other names, or another order, with scikit-learn's message.
    """
    _check_static(estimator, series.static_names)
    named = X  # a frame, or without names
    if series.channel_names is not None:
        if list(series.channel_names) == list(getattr(estimator, "feature_names_in_", ())):
            return
        import pyarrow as pa

        # scikit-learn reads names from data frames alone
        named = pa.table([pa.array([])] * series.n_channels, names=list(series.channel_names))
    try:
        _check_feature_names(estimator, named, reset=False)
    except TypeError:
        column_names(X)  # raises ours
        raise
    except ValueError as error:
        raise DataError(str(error)) from error


def _check_static(estimator: Any, names: tuple[str, ...] | None) -> None:
    fitted = getattr(estimator, "static_names_in_", None)
    who = type(estimator).__name__
    if fitted is None and names is None:
        return
    if fitted is None or names is None:
        told = "has names of static features" if fitted is None else "does not have names of static features"
        without = "without" if fitted is None else "with"
        warn(f"X {told}, but {who} was fitted {without} them", UserWarning)
        return
    if list(names) != fitted.tolist():
        raise DataError(
            "The static features should have the names and the order that they had during fit: "
            f"{', '.join(fitted)}; got {', '.join(names)}"
        )
