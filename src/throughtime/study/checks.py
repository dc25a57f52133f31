"""What data must be before a network is trained on them, and what a test may not share with training."""

import numpy as np
from sklearn.base import is_classifier

from throughtime.data import Clock, Dataset, check_even
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator
from throughtime.generalization import observed_targets


def refuse_other_task(model: SequenceEstimator, data: Dataset) -> None:
    """Refuse classes for a regressor, and numbers that are no classes for a classifier.

    Raises
    ------
    DataError
        With the first target that is none of the model's.
    """
    values = observed_targets(data.y)
    if not is_classifier(model) and values.dtype.kind not in "biuf":
        raise DataError(f"{type(model).__name__} needs a target of numbers, got {values[:1].tolist()[0]!r}")
    if is_classifier(model) and values.dtype.kind == "f":
        odd = values[values != np.round(values)]
        if len(odd):
            raise DataError(f"{type(model).__name__} needs classes, text or whole numbers, got {odd[0]:g}")


def refuse_missing(model: SequenceEstimator, data: Dataset) -> None:
    """Name the first missing value, for a model that takes none.

    Raises
    ------
    DataError
        "<source> needs every value, got none at series, step, channel".
    """
    if model.missing != "error":
        return
    need = f"{data.source} needs every value with missing='error', got none"
    X = data.X.stretches()
    gaps = np.isnan(X.values)
    if gaps.any():
        row, channel = map(int, np.argwhere(gaps)[0])
        at = int(np.searchsorted(X.offsets, row, "right")) - 1
        series, begin = (at, 0) if X.source is None else (int(X.source.series[at]), int(X.source.begins[at]))
        name = channel if X.channel_names is None else repr(X.channel_names[channel])
        which = series if data.whole_ids is None else repr(data.whole_ids[series])
        raise DataError(f"{need} at series {which}, step {begin + row - X.offsets[at]}, channel {name}")
    if data.X.static is not None and np.isnan(data.X.static).any():
        series = int(np.argwhere(np.isnan(data.X.static))[0][0])
        raise DataError(f"{need} in the static features of series {data.ids[series]!r}")


def refuse_uneven(model: SequenceEstimator, season: int | None, data: Dataset, clock: Clock | None) -> Clock | None:
    """Name the first gap in time, when a horizon or a season counts rows as steps.

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
        return check_even(data.X, counted, clock, data.whole_ids)
    except DataError as error:
        raise DataError(f"{data.source}: {error}") from error


def shared_with(train: Dataset, test: Dataset) -> str | None:
    """What the test has in common with the training series, in words; ``None`` when that is nothing."""
    if train.groups is not None and test.groups is not None and not _numbers_series(test):
        groups = np.intersect1d(train.groups, test.groups)
        if len(groups):
            return f"{len(groups)} of the test's groups are in the training series too"
    known = {series.tobytes() for series in train.X}
    n = sum(series.tobytes() in known for series in test.X)
    return f"{n} of the {len(test.X)} test series equal a training series" if n else None


def _numbers_series(data: Dataset) -> bool:
    """Whether the groups only say which series a window is of, where files or places alone name the series.

    In another source the series of that name is another one.
    """
    if data.series_ids is None or data.X.source is None or data.columns.id is not None:
        return False
    return np.array_equal(np.asarray(data.groups, object), np.array(data.series_ids, object)[data.X.source.series])
