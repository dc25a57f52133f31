"""What a report is of: a run, and what was found of it afterwards."""

from dataclasses import dataclass

from throughtime.generalization import Diagnosis
from throughtime.records import Record
from throughtime.shift import NamedShift
from throughtime.study import Run


@dataclass(frozen=True, repr=False, eq=False)
class Subject(Record):
    """A run, its diagnosis and the shift to other series, where these were made; ``shifted`` names the series."""

    run: Run
    diagnosis: Diagnosis | None = None
    shift: NamedShift | None = None
    shifted: str = ""
