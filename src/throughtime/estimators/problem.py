"""The data of one ``fit``, checked: series, targets, weights and groups, before anything is learned of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences, as_labels, as_sequences
from throughtime.errors import DataError, ParameterError
from throughtime.estimators.forecast import ForecastKey, known_channels
from throughtime.estimators.interface import Estimator, Fitted, n_channels_of, parameters_of
from throughtime.estimators.names import check_names, learned_names
from throughtime.estimators.targets import checked_weights, targets_of
from throughtime.parameters import check_values

#: Numbers of series among all series; from a caller also a mask of them.
Indices = ndarray


class Problem:
    """What members of one data set have in common.

    Parameters
    ----------
    estimators
        One per member, unfitted.
    X, y, sample_weight, groups
        As ``fit`` takes them.

    Raises
    ------
    DataError, ParameterError
        For what cannot be used.
    """

    def __init__(
        self, estimators: Sequence[Estimator], X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> None:
        for estimator in estimators:
            check_values(estimator.schema, parameters_of(estimator))
        first = estimators[0]
        for name in ("layout", "burn_in", "horizon", "known"):
            if any(getattr(estimator, name) != getattr(first, name) for estimator in estimators):
                raise ParameterError(f"members that share one data set need the same {name}")
        self.X = as_sequences(X, layout=first.layout)
        self.n_steps = width_of(X)
        self.names = learned_names(X, self.X)
        if y is None:
            raise DataError(f"{type(first).__name__} requires y to be passed, but the target y is None")
        self.horizon = int(first.horizon)
        if first.known and not self.horizon:
            raise ParameterError(
                f"known needs a horizon of at least 1, got 0 and known={first.known!r}: without a horizon every "
                "channel is read up to the step that is predicted"
            )
        self.known = known_channels(first.known, self.X)
        self.targets = targets_of(y, self.X, first.burn_in, self.horizon)
        if self.horizon:
            self.targets = self.targets.after(self.horizon)
        self.weights = checked_weights(sample_weight, len(self.X))
        self.groups = self.X.groups if groups is None else as_labels(groups, "groups", len(self.X))

    @property
    def forecast_key(self) -> ForecastKey:
        """How the series are read."""
        return self.horizon, tuple(self.known)


def as_indices(indices: Indices | Sequence[int], n: int) -> Indices:
    """Integers, from those or a mask; refused when there are none, or some outside the ``n`` series."""
    found = np.asarray(indices)
    if found.dtype == bool:
        found = np.flatnonzero(found)
    if not len(found):
        raise DataError("a member needs at least one series, got none")
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n:
        raise DataError(f"a member's indices need to be among the {n} series, got {found.min()} to {found.max()}")
    return found.astype(np.int64)


def sequences_like(estimator: Fitted, X: Any) -> Sequences:
    """X as series, of the kind the estimator was fitted on.

    Raises
    ------
    DataError
        For names other than in ``fit``, or another width of two-dimensional X.
    """
    series = as_sequences(X, layout=estimator.layout)
    check_names(estimator, X, series)
    width = width_of(X)
    if width is not None and estimator.n_steps_ is not None and width != estimator.n_steps_:
        raise DataError(
            f"X has {width} features, but {type(estimator).__name__} is expecting {estimator.n_steps_} features "
            "as input: the steps of the series in fit"
        )
    return series


def check_channels(estimator: Fitted, X: Sequences) -> None:
    """Refuse series of another number of channels than those in ``fit``.

    Raises
    ------
    DataError
        "X needs the 3 channels that ... was fitted on, got 2".
    """
    channels = n_channels_of(estimator)
    if X.n_channels != channels:
        raise DataError(
            f"X needs the {channels} channels that {type(estimator).__name__} was fitted on, got {X.n_channels}"
        )


def width_of(X: Any) -> int | None:
    """The width of two-dimensional X, each row one series of one channel; ``None`` for the other kinds."""
    if isinstance(X, Sequences):
        return None
    if isinstance(X, list | tuple):  # of plain rows of numbers, what X.tolist() gives; arrays may be ragged series
        plain = all(isinstance(row, list | tuple) and not any(map(np.ndim, row)) for row in X)
        widths = {len(row) for row in X} if plain else set()
        return widths.pop() if len(widths) == 1 else None
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    return int(shape[1]) if len(shape) == 2 else None
