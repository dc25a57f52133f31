"""Series, their targets, and where both came from."""

from dataclasses import dataclass, field
from typing import Literal

from numpy import ndarray

from throughtime.data.sequences import Sequences

TargetKind = Literal["auto", "series", "step"]
Decimal = Literal[".", ","]
Untargeted = Literal["drop", "error"]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table were read as what, and how; the same choice reads the data that come later."""

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
    """

    X: Sequences
    y: ndarray | Sequences | None
    ids: tuple[str, ...]
    name: str
    source: str
    groups: ndarray | None = None
    target: str | None = None
    columns: Columns = field(default_factory=Columns)
