"""Reference and deployed series as one, for a fit on both."""

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from throughtime.data import Sequences, concatenate, kind_of_groups, kind_of_times
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator


def join_sides(
    model: SequenceEstimator, reference: tuple[Sequences, Any], deployed: tuple[Sequences, Any]
) -> tuple[Sequences, Any]:
    """Series and targets of both sides, the reference's first.

    With the reference's names and time zone, to be trained on in its precision. A side without groups has each series
    as one of its own, of windows the series that they were cut from. Times that one side alone has, or of two kinds,
    are left out on both.

    Parameters
    ----------
    reference, deployed
        X and y.

    Raises
    ------
    DataError
        For times on one side alone, or of two kinds, of a model that reads them; other channels or static features.
    """
    one, other = reference[0], deployed[0].to_train_in(reference[0].train_dtype)
    other = other.replace(channel_names=one.channel_names or (), static_names=one.static_names or ())
    one, other = _with_times_alike(model, *_with_groups_alike(one, other))
    return concatenate([one, other]), _joined_targets(reference[1], deployed[1])


def _with_times_alike(model: SequenceEstimator, one: Sequences, other: Sequences) -> tuple[Sequences, Sequences]:
    kinds = kind_of_times(one), kind_of_times(other)
    if kinds[0] == kinds[1]:
        return one, other if one.time_zone is None else other.replace(time_zone=one.time_zone)
    if model.clock_ is None and model.time_units_ is None:
        return one.without_times(), other.without_times()
    raise DataError(
        f"deployed needs {kinds[0]}, as the reference has, for a refit on both, got {kinds[1]}: the model reads times; "
        "give both sides times of one kind, or none to a model that was fitted without"
    )


def _with_groups_alike(one: Sequences, other: Sequences) -> tuple[Sequences, Sequences]:
    """As they are, where groups are of one kind, or known alike; else by numbers, of which the sides share none."""
    kinds = kind_of_groups(one), kind_of_groups(other)
    if kinds[0] == kinds[1] and (one.groups is not None or (one.source is None) == (other.source is None)):
        return one, other
    numbers = [_numbered_groups(part) for part in (one, other)]
    below_zero = 0 if one.groups is None and other.groups is not None else 1
    numbers[below_zero] = -1 - numbers[below_zero]
    return one.replace(groups=numbers[0]), other.replace(groups=numbers[1])


def _numbered_groups(X: Sequences) -> Int[ndarray, "series"]:
    if X.groups is not None:
        return np.unique(X.groups, return_inverse=True)[1]
    return np.arange(len(X)) if X.source is None else X.source.series


def _joined_targets(one: Any, other: Any) -> Any:
    """Of steps the values alone: names, times and groups are those of the series."""
    if not isinstance(one, Sequences):
        return np.concatenate([one, other])
    offsets = np.append(0, np.cumsum(np.append(one.lengths, other.lengths)))
    # Labels that are all known may be held in another type than those of which some are missing.
    return Sequences(np.concatenate([one.values, other.values]), offsets, train_dtype=one.train_dtype)
