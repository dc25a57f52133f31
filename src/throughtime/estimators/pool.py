"""Series of many callers as one, so that their networks can share one copy of the inputs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from throughtime.data import Sequences, concatenate


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
    return X.n_channels, str(X.dtype), str(X.train_dtype), static, names, X.times is None, X.groups is None
