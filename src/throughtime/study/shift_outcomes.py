"""What a diagnosis of shift came to, without the series that were compared, as runs and directories keep it."""

from dataclasses import dataclass, fields
from typing import Any

from throughtime.findings import Finding
from throughtime.records import Record, Records
from throughtime.shift import ChannelShift, ClassShift, ShiftDiagnosis, ShiftTest, ShiftVerdict, StretchShift
from throughtime.storage import typed
from throughtime.study.record_forms import record_form


@dataclass(frozen=True, repr=False)
class ShiftOutcome(Record):
    """A `ShiftDiagnosis` without ``reference`` and ``deployed``."""

    verdict: ShiftVerdict
    sentence: str
    findings: Records[Finding]
    tests: Records[ShiftTest]
    channels: Records[ChannelShift]
    stretches: Records[StretchShift]
    classes: Records[ClassShift]
    labeled: bool
    level: float


def outcome_of(found: ShiftDiagnosis) -> ShiftOutcome:
    """What is kept of a diagnosis."""
    return ShiftOutcome(**{field.name: getattr(found, field.name) for field in fields(ShiftOutcome)})


def outcome_from(value: Any, source: str) -> ShiftOutcome:
    """The same, of the JSON it was written as; a number that is infinite is read as NaN.

    Raises
    ------
    StorageError
        When it is none.
    """
    outcome: ShiftOutcome = typed(value, record_form(ShiftOutcome), source, "a diagnosis of shift")
    return outcome
