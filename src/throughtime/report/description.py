"""What a run says of its data, each value of its type."""

from dataclasses import dataclass
from typing import Literal

from throughtime.records import Record
from throughtime.storage import typed
from throughtime.study import Run


@dataclass(frozen=True)
class Lengths(Record):
    """Steps of the series."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class Target(Record):
    """What is predicted: classes with their counts, or numbers."""

    name: str | None = None
    counts: dict[str, int] | None = None
    mean: float | None = None
    sd: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Described(Record):
    """The part of a description of data that the page shows."""

    n_series: int
    channels: list[str]
    lengths: Lengths
    range_by_channel: dict[str, tuple[float, float] | None]
    n_static: int = 0
    n_groups: int | None = None
    first_time: float | str | None = None
    last_time: float | str | None = None
    missing: float | None = None
    target: Target | None = None


def described(run: Run, which: Literal["train", "test"] = "train") -> Described | None:
    """What the training series are, or those of the test; ``None`` without any, and in runs of early versions.

    Raises
    ------
    StorageError
        When the run says something else there.
    """
    said = run.data.train if which == "train" else run.data.test
    if not said:
        return None
    found: Described = typed(said, Described, str(run.directory / "data.json"), "the description of data")
    return found
