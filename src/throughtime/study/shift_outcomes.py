"""What a diagnosis of shift came to, without the series that were compared, as runs and directories keep it."""

from dataclasses import fields
from typing import Any

from throughtime.shift import NamedShift, ShiftDiagnosis
from throughtime.storage import typed
from throughtime.study.record_forms import record_form


def outcome_of(found: ShiftDiagnosis) -> NamedShift:
    """What is kept of a diagnosis."""
    return NamedShift(**{field.name: getattr(found, field.name) for field in fields(NamedShift)})


def outcome_from(value: Any, source: str) -> NamedShift:
    """The same, of the JSON it was written as; a number that is infinite is read as NaN.

    Raises
    ------
    StorageError
        When it is none.
    """
    outcome: NamedShift = typed(value, record_form(NamedShift), source, "a diagnosis of shift")
    return outcome
