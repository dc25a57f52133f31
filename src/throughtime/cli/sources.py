"""The series of a run: those to train on and those to test on, read and checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from rich.markup import escape

from throughtime.cli.screen import console
from throughtime.data import Clock, Dataset, Sequences, check_even, read, reads_columns
from throughtime.errors import DataError
from throughtime.estimators import SequenceClassifier, SequenceEstimator
from throughtime.generalization import holdout, observed_targets


def read_like(train: Dataset, source: str, columns: Mapping[str, Any], layout: Any) -> Dataset:
    """Read test series, with the very columns of the training series where they are a table too.

    Raises
    ------
    DataError
        When they are not of the training series' kind.
    """
    if not reads_columns(source):
        own_past, targets = columns.get("own_past", False), columns.get("targets", "drop")
        test = read(source, layout=layout, own_past=own_past, targets=targets)
    else:
        named = {} if train.X.channel_names is None else {"channels": train.X.channel_names}
        test = read(source, **{**columns, **named}, layout=layout)
    test = match_names(test, train.X.channel_names, train.X.static_names, train.target)
    if train.X.n_channels != test.X.n_channels:
        raise DataError(
            f"{test.source} needs the {train.X.n_channels} channels of {train.source}, got {test.X.n_channels}"
        )
    if n_static(train) != n_static(test):
        raise DataError(
            f"{test.source} needs the {n_static(train)} static features of {train.source}, got {n_static(test)}"
        )
    if isinstance(train.y, Sequences) != isinstance(test.y, Sequences):
        raise DataError(
            f"{test.source} and {train.source} need the same kind of target, one per series or one per step"
        )
    if (observed_targets(train.y).dtype.kind in "OU") != (observed_targets(test.y).dtype.kind in "OU"):
        raise DataError(f"{test.source} and {train.source} need the same kind of target, got text in one of them only")
    return test


def match_names(
    data: Dataset, channels: Sequence[str] | None, static: Sequence[str] | None, target: str | None = None
) -> Dataset:
    """Put channels and static features in the order of the names that a network was trained on.

    Those that it does not know are left out. Where only one side has names, columns are taken in their order, which a
    line on the screen says.

    Parameters
    ----------
    channels, static
        The names, ``None`` where there are none.
    target
        What the network's target is called, for the channel that holds the target's own past.

    Raises
    ------
    DataError
        For a name that the source lacks, or has twice.
    """
    X = data.X
    if data.columns.own_past and X.channel_names is not None and target is not None:
        X = X.replace(channel_names=[target if name == data.target else name for name in X.channel_names])
    places = _places(data.source, "channels", X.channel_names, channels, X.n_channels)
    if places is not None:
        X = X.take_channels(places)
    places = _places(data.source, "static features", X.static_names, static, n_static(data))
    if places is not None:
        X = X.take_static(places)
    # another number of them is refused where it is told what was needed
    if channels is None or len(channels) == X.n_channels:
        X = X.replace(channel_names=channels or ())
    if static is None or len(static) == (0 if X.static is None else X.static.shape[1]):
        X = X.replace(static_names=static or ())
    return replace(data, X=X)


def _places(
    source: str, what: str, names: Sequence[str] | None, wanted: Sequence[str] | None, count: int
) -> list[int] | None:
    """Where the wanted names are among ``count`` columns; ``None`` for all, in their order."""
    if names is not None and wanted is not None:
        if list(names) == list(wanted):
            return None
        for name in wanted:
            if (found := list(names).count(name)) != 1:
                number = "none" if not found else f"{found} of it"
                raise DataError(
                    f"{source} needs one of each of the {what} {', '.join(wanted)}, got {number} called {name!r} "
                    f"among {', '.join(names)}"
                )
        return [list(names).index(name) for name in wanted]
    if names is not None or (wanted is not None and len(wanted) == count):
        whose = f"the {what} of {source}" if names is None else f"the {what} that the network was trained on"
        order = ", ".join(wanted or names or ())
        told = escape(f"{whose} have no names: they are taken in the order {order}.")
        console().print(f"[yellow]{told}[/yellow]\n", soft_wrap=True)
    return None


def set_aside(whole: Dataset, share: float, model: SequenceEstimator, seed: int) -> tuple[Dataset, Dataset]:
    """Divide what was read into series to train on and series to test on."""
    assert whole.y is not None
    classifier = isinstance(model, SequenceClassifier) and not isinstance(whole.y, Sequences)
    parts = holdout(len(whole.X), whole.y, whole.groups, share, classifier=classifier, random_state=seed)
    train, test = (_rows(whole, rows) for rows in parts)
    return train, replace(test, source=f"{whole.source}, set aside")


def refuse_missing(model: SequenceEstimator, data: Dataset) -> None:
    """Say where the first missing value is, for a model that takes none.

    Raises
    ------
    DataError
        "<source> needs every value, got none at series, step, channel".
    """
    if model.missing != "error":
        return
    need = f"{data.source} needs every value with --missing error, got none"
    gaps = np.isnan(data.X.values)
    if gaps.any():
        row, channel = map(int, np.argwhere(gaps)[0])
        series = int(np.searchsorted(data.X.offsets, row, "right")) - 1
        name = channel if data.X.channel_names is None else repr(data.X.channel_names[channel])
        step = row - data.X.offsets[series]
        raise DataError(f"{need} at series {data.ids[series]!r}, step {step}, channel {name}")
    if data.X.static is not None and np.isnan(data.X.static).any():
        series = int(np.argwhere(np.isnan(data.X.static))[0][0])
        raise DataError(f"{need} in the static features of series {data.ids[series]!r}")


def refuse_uneven(model: SequenceEstimator, season: int | None, data: Dataset, clock: Clock | None) -> Clock | None:
    """Say where the first gap in time is, when a horizon or a season counts rows as steps.

    Parameters
    ----------
    clock
        The step that the times must have; their own when ``None``.

    Raises
    ------
    DataError
        "<source>: horizon counts steps and needs times without gaps, got two times".
    """
    if not model.horizon and not season:
        return None
    counted = f"--horizon {model.horizon}" if model.horizon else f"--season {season}"
    try:
        return check_even(data.X, counted, clock, data.ids)
    except DataError as error:
        raise DataError(f"{data.source}: {error}") from error


def shared_with(train: Dataset, test: Dataset) -> str | None:
    """What the test has in common with the training series, in words; ``None`` when that is nothing."""
    if train.groups is not None and test.groups is not None:
        groups = np.intersect1d(train.groups, test.groups)
        if len(groups):
            return f"{len(groups)} of the test's groups are in the training series too"
    known = {series.tobytes() for series in train.X}
    n = sum(series.tobytes() in known for series in test.X)
    return f"{n} of the {len(test.X)} test series equal a training series" if n else None


def n_static(data: Dataset) -> int:
    """Static features a series."""
    return 0 if data.X.static is None else int(data.X.static.shape[1])


def _rows(data: Dataset, rows: ndarray) -> Dataset:
    return replace(
        data,
        X=data.X[rows],
        y=None if data.y is None else data.y[rows],
        ids=tuple(data.ids[row] for row in rows),
        groups=None if data.groups is None else data.groups[rows],
    )
