"""What a data set holds, in numbers that a person can check before training."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from throughtime.data.clock import Spacing, spacing_of
from throughtime.data.dataset import Dataset
from throughtime.data.sentinels import Sentinel, sentinels_in
from throughtime.data.sequences import Sequences
from throughtime.records import Record

_CLASSES = 50  # more different whole numbers than this, or than half the series, are taken for values


@dataclass(frozen=True)
class Spread(Record):
    """Five quantiles of a number."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


@dataclass(frozen=True)
class Target(Record):
    """What is to be predicted.

    Attributes
    ----------
    kind
        ``classes``: one label per series. ``values``: one number per series. ``steps``: one number per step.
    counts
        Series of each class, in the order of the labels.
    mean, sd, minimum, maximum
        Of the values that were observed; sd with the divisor n.
    observed
        Fraction of the steps, or of the series, that have a target; steps of a window's history are to have none.
    """

    kind: Literal["classes", "values", "steps"]
    name: str | None
    counts: dict[str, int] | None = None
    mean: float | None = None
    sd: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    observed: float = 1.0


@dataclass(frozen=True)
class Description(Record):
    """A data set in plain numbers; ``dataclasses.asdict`` makes it JSON.

    Attributes
    ----------
    n_steps
        Over all series, a step that several windows share counted in each.
    windows_of
        How many series the windows are of; ``None`` of series that are no windows.
    missing, missing_by_channel, missing_by_static
        Fractions of NaN: of the values of the channels, of each channel, of each static feature.
    range_by_channel
        The lowest and highest value of each channel; ``None`` of one without values.
    sentinels
        Values of channels, static features and the target that look like marks of missing ones.
    duplicates
        Series that equal an earlier one, value for value.
    first_time, last_time
        ISO 8601, with a Z where the times have a zone; or numbers as the times are.
    spacing
        How even the times are; ``None`` without two times in a series.
    """

    name: str
    source: str
    n_series: int
    windows_of: int | None
    n_steps: int
    n_channels: int
    channels: tuple[str, ...]
    lengths: Spread
    target: Target | None
    n_groups: int | None
    n_static: int
    missing: float
    missing_by_channel: dict[str, float]
    missing_by_static: dict[str, float]
    range_by_channel: dict[str, tuple[float, float] | None]
    sentinels: tuple[Sentinel, ...]
    duplicates: int
    first_time: str | float | None
    last_time: str | float | None
    spacing: Spacing | None
    dtype: str


def describe(dataset: Dataset) -> Description:
    """Count, measure and summarize a data set."""
    X = dataset.X
    names = X.channel_names or tuple(str(channel) for channel in range(X.n_channels))
    rows, counts = _rows(X)
    missing = np.array([counts[np.isnan(column)].sum() for column in rows.T]) / X.n_steps
    first, last = _range(X.stretches().times, X.time_zone is not None)
    return Description(
        name=dataset.name,
        source=dataset.source,
        n_series=len(X),
        windows_of=None if X.source is None else len(np.unique(X.source.series)),
        n_steps=X.n_steps,
        n_channels=X.n_channels,
        channels=names,
        lengths=Spread(*(float(q) for q in np.quantile(X.lengths, [0, 0.25, 0.5, 0.75, 1]))),
        target=_target(dataset.y, dataset.target),
        n_groups=None if X.groups is None else len(np.unique(X.groups)),
        n_static=0 if X.static is None else int(X.static.shape[1]),
        missing=float(missing.mean()),
        missing_by_channel={name: float(part) for name, part in zip(names, missing, strict=True)},
        missing_by_static=_missing_by_static(X),
        range_by_channel={name: _extremes(column) for name, column in zip(names, rows.T, strict=True)},
        sentinels=_sentinels(dataset, names, rows),
        duplicates=len(X) - len({(len(series), blake2b(series.data, digest_size=16).digest()) for series in X}),
        first_time=first,
        last_time=last,
        spacing=spacing_of(X, dataset.whole_ids),
        dtype=str(X.dtype),
    )


def _rows(X: Sequences) -> tuple[Float[ndarray, "row channel"], Int[ndarray, "row"]]:
    """The rows of the buffer that are in some series, and in how many each is: windows are not copied."""
    size = len(X.buffer)
    edges = np.bincount(X.starts, minlength=size + 1) - np.bincount(X.starts + X.lengths, minlength=size + 1)
    counts = np.cumsum(edges)[:size]
    used = counts > 0
    return (X.buffer if used.all() else X.buffer[used]), counts[used]


def _extremes(column: Float[ndarray, "row"]) -> tuple[float, float] | None:
    low, high = np.fmin.reduce(column), np.fmax.reduce(column)
    return None if np.isnan(low) else (float(low), float(high))


def _sentinels(dataset: Dataset, names: tuple[str, ...], rows: Float[ndarray, "row channel"]) -> tuple[Sentinel, ...]:
    X, y = dataset.X, dataset.y
    columns = [*zip(names, rows.T, strict=True)]
    if X.static is not None:
        columns += zip(_static_names(X), X.static.T, strict=True)
    if isinstance(y, Sequences):
        columns.append((dataset.target or "target", _rows(y)[0][:, 0]))
    elif y is not None and not is_labels(y):
        columns.append((dataset.target or "target", y))
    return tuple(sentinel for name, column in columns for sentinel in sentinels_in(name, column))


def _static_names(X: Sequences) -> tuple[str, ...]:
    assert X.static is not None
    return X.static_names or tuple(str(feature) for feature in range(X.static.shape[1]))


def _missing_by_static(X: Sequences) -> dict[str, float]:
    if X.static is None:
        return {}
    return {name: float(part) for name, part in zip(_static_names(X), np.isnan(X.static).mean(0), strict=True)}


def is_labels(y: ndarray) -> bool:
    """Whether one value per series reads as a label: text, booleans, or few different whole numbers."""
    if y.dtype.kind != "i" and y.dtype.kind != "u":
        return y.dtype.kind != "f"
    return len(np.unique(y)) <= most_classes(len(y))


def most_classes(n_series: int) -> int:
    """How many different numbers may be classes; more are taken for values."""
    return min(_CLASSES, max(2, n_series // 2))


def _target(y: ndarray | Sequences | None, name: str | None) -> Target | None:
    if y is None:
        return None
    if isinstance(y, ndarray) and is_labels(y):
        labels, counts = np.unique(y, return_counts=True)
        return Target("classes", name, {str(label): int(n) for label, n in zip(labels, counts, strict=True)})
    n_history = 0
    if isinstance(y, Sequences):
        y = y.without_history()
        n_history = 0 if y.source is None else int(y.source.history.sum())
    numbers = (y.values if isinstance(y, Sequences) else y).astype(np.float64)
    seen = numbers[~np.isnan(numbers)]
    kind: Literal["steps", "values"] = "steps" if isinstance(y, Sequences) else "values"
    if not len(seen):
        return Target(kind, name, observed=0.0)
    return Target(
        kind,
        name,
        mean=float(seen.mean()),
        sd=float(seen.std()),
        minimum=float(seen.min()),
        maximum=float(seen.max()),
        observed=len(seen) / (numbers.size - n_history),
    )


def _range(times: ndarray | None, utc: bool) -> tuple[str | float | None, str | float | None]:
    if times is None:
        return None, None
    low, high = times.min(), times.max()
    if times.dtype.kind != "M":
        return float(low), float(high)
    unit = "D" if not utc and not (times.astype("datetime64[D]") != times).any() else "s"
    first, last = (str(end.astype(f"datetime64[{unit}]")) + ("Z" if utc else "") for end in (low, high))
    return first, last
