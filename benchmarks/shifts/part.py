"""A part of the benchmark: jobs, which are independent, and what their rows come to."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """``measure(*job)`` gives rows that begin with ``job``'s columns; ``summary`` takes the rows of all jobs.

    Attributes
    ----------
    columns
        Names of what a job is made of, all of them text or whole numbers.
    jobs
        Of seeds, and of how many rounds at most.
    """

    columns: tuple[str, ...]
    jobs: Callable[[str, int | None], Sequence[tuple[Hashable, ...]]]
    measure: Callable[..., list[dict[str, Any]]]
    summary: Callable[[Sequence[Row]], Iterable[dict[str, Any]]]


def fraction(count: int, of: int) -> dict[str, str]:
    """A fraction with Wilson's interval, 95 %."""
    if not of:
        return {"value": "", "low": "", "high": ""}
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return {"value": f"{count / of:.3f}", "low": f"{low:.3f}", "high": f"{high:.3f}"}


def below(rows: Sequence[Row], column: str, level: float) -> tuple[int, int]:
    """How many p-values are at most a level, of how many there are."""
    found = [float(row[column]) for row in rows if row[column] not in ("", None)]
    return sum(p <= level for p in found), len(found)
