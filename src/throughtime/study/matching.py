"""Columns of one data set in the order of another's, by their names."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from throughtime.data import Dataset, Sequences
from throughtime.errors import DataError, DataWarning, warn
from throughtime.generalization import observed_targets

Note = Callable[[str], object]


def warn_of_data(note: str) -> None:
    """Warn of data that are used, but perhaps not as was meant."""
    warn(note, DataWarning)


def match_test(train: Dataset, test: Dataset, note: Note = warn_of_data) -> Dataset:
    """Test series with the channels and static features of the training series, in their order.

    Parameters
    ----------
    note
        Called with a line on columns that are taken by their place, not by name.

    Raises
    ------
    DataError
        When they are not of the training series' kind.
    """
    test = match_names(test, train.X.channel_names, train.X.static_names, train.target, note)
    if train.X.n_channels != test.X.n_channels:
        raise DataError(
            f"{test.source} needs the {train.X.n_channels} channels of {train.source}, got {test.X.n_channels}"
        )
    if _n_static(train) != _n_static(test):
        raise DataError(
            f"{test.source} needs the {_n_static(train)} static features of {train.source}, got {_n_static(test)}"
        )
    if isinstance(train.y, Sequences) != isinstance(test.y, Sequences):
        raise DataError(
            f"{test.source} and {train.source} need the same kind of target, one per series or one per step"
        )
    if (observed_targets(train.y).dtype.kind in "OU") != (observed_targets(test.y).dtype.kind in "OU"):
        raise DataError(f"{test.source} and {train.source} need the same kind of target, got text in one of them only")
    return test


def match_names(
    data: Dataset,
    channels: Sequence[str] | None,
    static: Sequence[str] | None,
    target: str | None = None,
    note: Note = warn_of_data,
) -> Dataset:
    """Put channels and static features in the order of the names that a network was trained on.

    Those that it does not know are left out. Where only one side has names, columns are taken in their order, which
    ``note`` is called with.

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
    places = _places(data.source, "channels", X.channel_names, channels, X.n_channels, note)
    if places is not None:
        X = X.take_channels(places)
    places = _places(data.source, "static features", X.static_names, static, _n_static(data), note)
    if places is not None:
        X = X.take_static(places)
    # another number of them is refused where what was needed is known
    if channels is None or len(channels) == X.n_channels:
        X = X.replace(channel_names=channels or ())
    if static is None or len(static) == (0 if X.static is None else X.static.shape[1]):
        X = X.replace(static_names=static or ())
    return replace(data, X=X)


def _places(
    source: str, what: str, names: Sequence[str] | None, wanted: Sequence[str] | None, count: int, note: Note
) -> list[int] | None:
    """Where the wanted names are among ``count`` columns; ``None`` for all, in their order."""
    if names is not None and wanted is not None:
        if list(names) == list(wanted):
            return None
        for name in wanted:
            if (times := list(names).count(name)) != 1:
                number = "none" if not times else f"{times} of it"
                raise DataError(
                    f"{source} needs one of each of the {what} {', '.join(wanted)}, got {number} called {name!r} "
                    f"among {', '.join(names)}"
                )
        return [list(names).index(name) for name in wanted]
    if names is not None or (wanted is not None and len(wanted) == count):
        whose = f"the {what} of {source}" if names is None else f"the {what} that the network was trained on"
        note(f"{whose} have no names: they are taken in the order {', '.join(wanted or names or ())}.")
    return None


def _n_static(data: Dataset) -> int:
    return 0 if data.X.static is None else int(data.X.static.shape[1])
