"""Series of many callers as one, so that their networks share one copy of the inputs and what is worked out of them."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from throughtime.data import Sequences, concatenate, kind_of_groups, steps_within
from throughtime.estimators.features import Features, extremes_of, features_of, inputs_of, missing_in, numpy_dtype
from throughtime.estimators.forecast import ForecastKey, forecast_inputs
from throughtime.estimators.interface import Estimator
from throughtime.estimators.transformers import clock_of_steps, time_units, with_features
from throughtime.feature_specs import FeatureSpec, parse_features
from throughtime.training import Inputs


class ReadingKey(NamedTuple):
    """How series are read: how far ahead of that is predicted, and what is made of them."""

    forecast: ForecastKey
    features: tuple[FeatureSpec, ...]


def reading_key(estimator: Estimator, forecast: ForecastKey) -> ReadingKey:
    """How an estimator reads series."""
    return ReadingKey(forecast, parse_features(estimator.features))


class Pool:
    """Series as networks of one kind read them, and what all who read them need to know, worked out once.

    Parameters
    ----------
    X
        The series as they are given: ``given``.
    key
        How they are read.
    """

    def __init__(self, X: Sequences, key: ReadingKey) -> None:
        self.given, self._key = X, key
        self._features: dict[tuple[bool, torch.dtype], Features] = {}
        self._inputs: dict[tuple[bool, torch.dtype, str], Inputs] = {}

    @cached_property
    def X(self) -> Sequences:  # noqa: N802
        """The series as they are read: as far as a forecast goes, with their features."""
        (horizon, known), specs = self._key
        read = forecast_inputs(self.given, horizon, known)
        if not specs:
            return read
        # The season of a forecast is that of the step it is for.
        clock = clock_of_steps(self.given)[steps_within(self.given.lengths) >= horizon]
        return with_features(read, specs, clock)

    @cached_property
    def extremes(self) -> Float[ndarray, "2 1"]:
        """The lowest and highest value of all series."""
        return extremes_of(self.X)

    @cached_property
    def missing(self) -> Bool[ndarray, "series"]:
        """Which series miss a value."""
        return missing_in(self.X)

    def features(self, masked: bool, dtype: torch.dtype) -> Features:
        """The columns of all series, once for those who see what is missing and once for the others."""
        if (masked, dtype) not in self._features:
            self._features[masked, dtype] = features_of(self.X, masked, numpy_dtype(dtype))
        return self._features[masked, dtype]

    def inputs(self, masked: bool, dtype: torch.dtype, device: str) -> Inputs:
        """The same as tensors on a device."""
        key = masked, dtype, device
        if key not in self._inputs:
            self._inputs[key] = inputs_of(self.features(masked, dtype), device, masked)
        return self._inputs[key]


def pools_of(parts: Sequence[tuple[Sequences, ReadingKey]]) -> list[tuple[Pool, Int[ndarray, "series"]]]:
    """For each part a pool that holds its series, and where in it they are; parts of one kind have the same pool.

    Only series that are read alike are pooled: what is long enough for one horizon may be too short for another.
    """
    alike: dict[Any, list[int]] = defaultdict(list)
    for number, (X, key) in enumerate(parts):
        alike[kind(X), key].append(number)
    found: dict[int, tuple[Pool, ndarray]] = {}
    for (_, key), numbers in alike.items():
        distinct = {id(parts[number][0]): parts[number][0] for number in numbers}
        if len(distinct) == 1:
            (X,) = distinct.values()
            places = [np.arange(len(X))]
        else:
            X, places = pooled(list(distinct.values()))
        pool, place_of = Pool(X, key), dict(zip(distinct, places, strict=True))
        found |= {number: (pool, place_of[id(parts[number][0])]) for number in numbers}
    return [found[number] for number in range(len(parts))]


def pooled(parts: Sequence[Sequences]) -> tuple[Sequences, list[Int[ndarray, "_"]]]:
    """Series that are in any of the parts, and where in it each part's are.

    Parts that are views of one buffer, as the folds of one `Sequences` are, bring no copy of values, and what several
    of them hold is there once. All parts need the same kind: see `kind`.
    """
    joined = concatenate(parts)
    keys = np.column_stack([joined.starts, joined.lengths])
    if joined.static is not None:  # the same steps beside other static features are another series
        keys = np.column_stack([keys, np.ascontiguousarray(joined.static).view(f"i{joined.static.itemsize}")])
    _, first, places = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    edges = np.cumsum([len(part) for part in parts])[:-1]
    return joined[first], np.split(places.ravel(), edges)


def kind(X: Sequences) -> tuple[object, ...]:
    """What series need in common to be pooled."""
    static = None if X.static is None else (X.static.shape[1], str(X.static.dtype))
    names = X.channel_names, X.static_names, X.time_zone
    return X.n_channels, str(X.dtype), str(X.train_dtype), static, names, time_units(X), kind_of_groups(X)
