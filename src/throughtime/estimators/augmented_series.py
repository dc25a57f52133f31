"""Series as an augmentation would have them in training: to look at, or to ask a trained network about."""

from typing import Any

import numpy as np
import torch
from numpy import ndarray

from throughtime.data import Layout, Sequences, as_sequences, as_targets, weighted_moments
from throughtime.estimators.augmentations import augmentations_of
from throughtime.estimators.targets import steps_like
from throughtime.parameters import ClassifierParameters, check_values
from throughtime.training import Purpose, Series, stream

#: Series that are padded to one length at a time; mixup finds its partners among them.
_AT_ONCE = 256


def augment_series(
    X: Any, augment: Any, y: Any = None, *, random_state: int = 0, layout: Layout = "ntc"
) -> tuple[Sequences, Any]:
    """Augment series once, standardized by their own mean and deviation and brought back to their own scale.

    Networks need it not: with ``augment=`` they draw anew at each step. Times stay where steps stay evenly apart.

    Parameters
    ----------
    X
        Series, in any form the estimators take.
    augment
        As the estimators take it.
    y
        One target per series or per step, which go where their steps go. With mixup a series, and all its steps, get
        the target of one of the two, with the probability of its part.
    random_state
        Seed.
    layout
        Of arrays.

    Returns
    -------
    The series, of which windows are windows no longer, and the targets, ``None`` without.

    Raises
    ------
    ParameterError
        For what is no augmentation.
    DataError
        For what are no series or not their targets.

    Examples
    --------
    >>> from throughtime import load
    >>> X, y = load("japanese-vowels", split="train")
    >>> shorter, y = augment_series(X, "window_slice:0.5", y)
    >>> X.lengths[:3], shorter.lengths[:3]
    (array([20, 26, 22]), array([10, 13, 11]))
    """
    check_values(ClassifierParameters, {"augment": augment})
    augmentations = augmentations_of(augment)
    series = as_sequences(X, layout=layout)
    targets = None if y is None else as_targets(y, series)
    moments = weighted_moments(series.values, np.ones(series.n_steps))
    static_moments = None if series.static is None else weighted_moments(series.static, np.ones(len(series)))
    parts: list[ndarray] = []
    static: list[ndarray] = []
    sources: list[ndarray] = []
    for number, first in enumerate(range(0, len(series), _AT_ONCE)):
        chunk = series[first : first + _AT_ONCE]
        own = _standardized(chunk, int(series.offsets[first]), moments, static_moments)
        for one in augmentations:
            own = one.transform(own, stream(random_state, Purpose.PERTURBATION, one.key, number)) or own
        values = own.x * torch.from_numpy(moments[1]) + torch.from_numpy(moments[0])
        if own.missing is not None:
            values = values.masked_fill(own.missing, torch.nan)
        for row, length in enumerate(own.lengths.tolist()):
            parts.append(values[:length, row].numpy().astype(series.dtype))
            sources.append(own.targets[:length, row].numpy())
        if static_moments is not None and own.static is not None and chunk.static is not None:
            mixed = own.static.numpy() * static_moments[1] + static_moments[0]
            static.append(np.where(np.isnan(chunk.static), np.nan, mixed).astype(chunk.static.dtype))
    times = None if any(one.changes_clock for one in augmentations) else series.times
    found = Sequences.from_arrays(
        parts,
        times=None if times is None else [times[steps] for steps in sources],
        groups=series.groups,
        static=np.concatenate(static) if static else None,
        channel_names=series.channel_names,
        static_names=series.static_names,
        time_zone=None if times is None else series.time_zone,
        train_dtype=series.train_dtype,
    )
    if isinstance(targets, Sequences):
        return found, steps_like(found, targets.values[np.concatenate(sources)])
    if targets is None:
        return found, None
    of_series = np.searchsorted(series.offsets, [steps[0] for steps in sources], "right") - 1
    return found, targets[of_series]


def _standardized(
    series: Sequences, first: int, moments: tuple[ndarray, ndarray], static_moments: tuple[ndarray, ndarray] | None
) -> Series:
    """The series as a perturbation sees them in training; targets are the numbers of their steps, from ``first``."""
    padded = series.padded().swapaxes(0, 1).astype(np.float64)
    x = torch.from_numpy((padded - moments[0]) / moments[1])
    lengths = torch.from_numpy(series.lengths.copy())
    inside = torch.arange(len(x))[:, None] < lengths
    missing = x.isnan() & inside[..., None]
    static = None
    if series.static is not None and static_moments is not None:
        static = torch.from_numpy(np.nan_to_num((series.static - static_moments[0]) / static_moments[1]))
    return Series(
        x.nan_to_num(),
        lengths,
        torch.from_numpy(first + series.offsets[:-1]) + torch.arange(len(x))[:, None],
        inside.double(),
        missing if missing.any() else None,
        static,
    )
