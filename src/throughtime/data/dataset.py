"""Series, their targets, and where both came from."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from throughtime.data.sequences import Sequences, as_text
from throughtime.data.windows import WindowPlaces, window_places
from throughtime.errors import DataError, DataWarning, warn

TargetKind = Literal["auto", "series", "step"]
Decimal = Literal[".", ","]
Untargeted = Literal["drop", "error"]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table were read as what, and how; the same choice reads the data that come later.

    ``window``, ``stride`` and ``history`` say into what windows the series of any source were cut, None for whole ones.
    """

    id: str | None = None
    time: str | None = None
    target: str | None = None
    group: str | None = None
    static: tuple[str, ...] = ()
    channels: tuple[str, ...] | None = None
    target_kind: TargetKind = "auto"
    own_past: bool = False
    decimal: Decimal = "."
    targets: Untargeted = "drop"
    window: int | None = None
    stride: int | None = None
    history: int = 0


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a source holds.

    Attributes
    ----------
    X
        The series.
    y
        One value per series, or `Sequences` of one channel with a value per step; None when there is no target.
    ids
        The name of each series.
    name
        Short name, such as ``japanese-vowels`` or a file's stem.
    source
        What was read, as it was given.
    groups
        The group of each series, the same as ``X.groups``.
    target
        What y is called.
    columns
        The columns of a table; `read` takes the same names.
    step_labels
        Of labels that change within series, which only windows can have: what the numbers of y, one per step, stand
        for, -1 for none; else None.
    series_ids
        Of windows the names of the series that they were cut from, which ``X.source.series`` numbers; else None.
    """

    X: Sequences
    y: ndarray | Sequences | None
    ids: tuple[str, ...]
    name: str
    source: str
    groups: ndarray | None = None
    target: str | None = None
    columns: Columns = field(default_factory=Columns)
    series_ids: tuple[str, ...] | None = None
    step_labels: ndarray | None = None

    @property
    def whole_ids(self) -> tuple[str, ...] | None:
        """The names of whole series: of windows, those that ``X.source.series`` numbers; None where they have none."""
        return self.ids if self.X.source is None else self.series_ids

    def windows(self, length: int, stride: int | None = None, *, history: int = 0) -> "Dataset":
        """Every window of ``length`` steps as a series of its own; no value of X is copied.

        A window has the label of its series, or the targets of its steps (where there are none, ``columns.target_kind``
        says which of both it would have). Where labels change within series (``step_labels``), it has the one that all
        of its steps have; windows across a change, or with a step that has none, are left out. Groups, static features
        and times come along. It is called ``id[begin:end]`` after its own steps. Where several series have no groups,
        each is the group of its windows, so that folds keep it whole. With a target at each step the steps that are
        left at a series' end are a shorter window; else they are left out.

        Parameters
        ----------
        length
            Own steps of a window.
        stride
            Steps from one window to the next; ``length`` when not given, so that none overlap.
        history
            Steps before its own that a window takes in as well, as far as its series reaches back, to be read from
            alone: their targets are NaN, and loss, scores and standardization leave them out. Needs a target at each
            step, and a stride of at least ``length``, so that no step is a target twice.

        Warns
        -----
        DataWarning
            How many series and steps fill no window and are left out, and how many windows have no label of their own.

        Raises
        ------
        ParameterError
            A length or stride below 1, a negative history, or one with a stride below the length.
        DataError
            No series is as long as a window, no window has one label; history without a target at each step; windows
            to be cut again.
        """
        if self.columns.window is not None:
            raise DataError(f"windows needs whole series, got windows of {self.columns.window} steps of {self.source}")
        labels, y = self.step_labels, self.y
        by_step = labels is None and (isinstance(y, Sequences) or (y is None and self.columns.target_kind == "step"))
        stride = length if stride is None else stride
        at = window_places(self.X.lengths, length, stride, history, keep_shorter=by_step)
        if history and not by_step:
            got = "none" if y is None else "one per series" if labels is None else "labels"
            raise DataError(f"history (--history {history}) needs a target at each step, got {got}")
        if not by_step:
            _say_what_is_left_out(self.X.lengths, at, length, stride)
        if labels is not None:
            assert isinstance(y, Sequences)
            at, codes = _of_one_label(y, at, self.target)
            y = labels[codes]
        X = self.X.cut(at.series, at.begins, at.ends, history=at.history)
        if X.groups is None and len(self.X) > 1:
            X = X.replace(groups=as_text(self.ids)[at.series])
        if isinstance(y, Sequences):
            y = y.cut(at.series, at.begins, at.ends, history=at.history).without_history()
            y = y if X.groups is None else y.replace(groups=X.groups)
        elif y is not None and labels is None:
            y = y[at.series]
        steps = zip(at.series.tolist(), (at.begins + at.history).tolist(), at.ends.tolist(), strict=True)
        return replace(
            self,
            X=X,
            y=y,
            ids=tuple(f"{self.ids[series]}[{begin}:{end}]" for series, begin, end in steps),
            groups=X.groups,
            columns=replace(self.columns, window=length, stride=stride, history=history),
            series_ids=self.ids,
            step_labels=None,
        )


def _of_one_label(y: Sequences, at: WindowPlaces, target: str | None) -> tuple[WindowPlaces, Int[ndarray, "window"]]:
    """The windows whose steps all have the same label, and its number; of the others it is said how many they are."""
    numbers = y.values[:, 0].astype(np.int64)
    changes = np.cumsum(numbers != np.concatenate([numbers[:1], numbers[:-1]]))  # up to each step
    first, last = y.offsets[at.series] + at.begins, y.offsets[at.series] + at.ends - 1
    labeled = (changes[first] == changes[last]) & (numbers[first] >= 0)
    n = int((~labeled).sum())
    if n == len(labeled):
        what = "a target" if target is None else f"target (--target {target})"
        raise DataError(
            f"{what} that changes within series needs a window whose steps all have the same label, got none of {n}; a "
            "shorter window (--window) may lie between two changes"
        )
    if n:
        have, are = ("have", "are") if n > 1 else ("has", "is")
        left_out = f"{n} of {len(labeled)} windows {have} steps of several labels, or without one, and {are} left out"
        warn(left_out, DataWarning)
    kept = WindowPlaces(at.series[labeled], at.begins[labeled], at.ends[labeled], at.history[labeled])
    return kept, numbers[first[labeled]]


def _say_what_is_left_out(lengths: ndarray, at: WindowPlaces, length: int, stride: int) -> None:
    """Warn of the series, and of the steps at the ends of others, that are too few for a window."""
    counts, ends = np.bincount(at.series, minlength=len(lengths)), np.zeros(len(lengths), np.int64)
    np.maximum.at(ends, at.series, at.ends)
    # A stride beyond the length leaves steps between windows out on purpose.
    steps = int(np.maximum(lengths - np.maximum(ends, counts * stride), 0).sum())
    short = int((counts == 0).sum())
    if short:
        which = f"{short} of {len(lengths)} series {'are' if short > 1 else 'is'} shorter than a window of {length}"
        warn(f"{which} steps and left out; with the ends of the others that is {steps} steps", DataWarning)
    elif steps:
        what = f"{steps} steps at the ends of series are" if steps > 1 else "1 step at the end of a series is"
        warn(f"{what} too few for a window of {length} and left out", DataWarning)
