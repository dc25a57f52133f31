"""What all transformers of series have in common: series in, series out, names remembered and compared."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Layout, Sequences, as_sequences
from throughtime.errors import DataError
from throughtime.estimators.interface import n_channels_of
from throughtime.estimators.names import NAMES, learned_names
from throughtime.estimators.problem import check_channels, sequences_like, width_of
from throughtime.estimators.transformers.step_clock import clock_of_steps


class SequenceTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Makes more of series, without a look at targets; nothing but names is learned.

    Attributes
    ----------
    n_features_in_
        Channels of the series in ``fit``; or time steps, when X was two-dimensional and so one channel.
    feature_names_in_, static_names_in_
        Names of channels and static features, when X had any.
    """

    layout: Layout
    #: the width that two-dimensional X must have; ``None`` when X was ragged or had three dimensions
    n_steps_: int | None

    def __init_subclass__(cls, **options: Any) -> None:
        # Series are what comes out, so there is no set_output: a data frame holds no ragged series.
        super().__init_subclass__(**options | {"auto_wrap_output_keys": None})

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and remember what the series are called.

        Parameters
        ----------
        X
            Series in any form that the estimators take.
        y
            Not used.

        Raises
        ------
        DataError, ParameterError
            For what cannot be used.
        """
        self.check_parameters()
        series = as_sequences(X, layout=self.layout)
        for name in NAMES:  # those of an earlier fit
            self.__dict__.pop(name, None)
        self.__dict__.update(learned_names(X, series))
        self.n_steps_ = width_of(X)
        self.n_features_in_ = series.n_channels if self.n_steps_ is None else self.n_steps_
        self._learn(series, y)
        return self

    def transform(self, X: Any) -> Sequences:
        """Give the series with what is new.

        Parameters
        ----------
        X
            Series of the channels in ``fit``, in any form; windows and selections come out as copies.

        Raises
        ------
        DataError
            For other channels or names than in ``fit``, or values too large for what is made of them.
        """
        check_is_fitted(self, "n_features_in_")
        series = sequences_like(self, X)
        check_channels(self, series)
        self._check(series)
        return self._added_to(series)

    @abstractmethod
    def check_parameters(self) -> None:
        """Refuse parameters that cannot be used."""

    def _learn(self, X: Sequences, y: Any) -> None:
        """Whatever else there is to remember."""

    def _check(self, X: Sequences) -> None:
        """Refuse series that differ from those in ``fit`` in some other way."""

    @abstractmethod
    def _added_to(self, X: Sequences) -> Sequences:
        """The series with what is new."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


class ChannelTransformer(SequenceTransformer):
    """One that adds channels, each step of which is made of that step and earlier ones of its series."""

    @abstractmethod
    def new_channels(self, X: Sequences, clock: Float[ndarray, "step"]) -> Float[ndarray, "step new"]:
        """What is added at each step of ``X.values``.

        Parameters
        ----------
        clock
            When each step was: see `throughtime.estimators.transformers.step_clock`.
        """

    @abstractmethod
    def new_names(self, names: list[str]) -> list[str]:
        """What these channels are called, from the names of X's."""

    def get_feature_names_out(self, input_features: Any = None) -> ndarray:
        """Names of the channels that ``transform`` gives; ``x0``, ``x1``, ... where X had no names.

        Parameters
        ----------
        input_features
            As in scikit-learn: the names in ``fit``, or other ones where it saw none.
        """
        check_is_fitted(self, "n_features_in_")
        names = names_in(self, input_features)
        return np.array([*names, *self.new_names(names)], dtype=object)

    def _added_to(self, X: Sequences) -> Sequences:
        return with_channels(X, [self], clock_of_steps(X))


def with_channels(X: Sequences, transformers: Sequence[ChannelTransformer], clock: Float[ndarray, "step"]) -> Sequences:
    """Give the series with the channels that each transformer adds to their own.

    Raises
    ------
    DataError
        For a channel that is there already, and for values that went beyond what floats hold.
    """
    if not transformers:
        return X
    own = channel_names(X)
    names = own + [name for transformer in transformers for name in transformer.new_names(own)]
    refuse_twice(names, "channels")
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite is refused as such
        new = [transformer.new_channels(X, clock).astype(X.dtype, copy=False) for transformer in transformers]
    return X.with_channels(np.concatenate([X.values, *new], axis=1), names)


def refuse_twice(names: Sequence[str], of: str) -> None:
    """Refuse names that a feature has already."""
    counts = Counter(names)
    if len(counts) < len(names):
        name = max(counts, key=counts.__getitem__)
        raise DataError(f"X needs {of} without the name of a feature, got {name!r}; rename it or leave the feature out")


def channel_names(X: Sequences) -> list[str]:
    """Names of the channels: ``x0``, ``x1``, ... where there are none."""
    return [f"x{number}" for number in range(X.n_channels)] if X.channel_names is None else list(X.channel_names)


def names_in(transformer: Any, input_features: Any) -> list[str]:
    """Names of the channels in ``fit``, by scikit-learn's rules.

    Raises
    ------
    ValueError
        For other ones than in ``fit``, or another number.
    """
    # names of two-dimensional X are of steps
    known = getattr(transformer, "feature_names_in_", None) if transformer.n_steps_ is None else None
    count = n_channels_of(transformer)
    if input_features is None:
        return [f"x{number}" for number in range(count)] if known is None else [str(name) for name in known]
    names = [str(name) for name in input_features]
    if known is not None and names != [str(name) for name in known]:
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(names) != count:
        raise ValueError(f"input_features should have length equal to number of features ({count}), got {len(names)}")
    return names
