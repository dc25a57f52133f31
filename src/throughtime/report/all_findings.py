"""Every finding of the run and of what was found of it afterwards."""

from collections.abc import Sequence

from throughtime.report.parts import Findings, Line, Part
from throughtime.report.subject import Subject
from throughtime.study import ShiftOutcome

_ORDER = {"error": 0, "warning": 1, "note": 2}


def all_findings(subject: Subject) -> Sequence[Part]:
    """What was found, the gravest first; then what was looked for and not found."""
    found = [*subject.run.findings]
    found += [] if subject.diagnosis is None else subject.diagnosis.findings
    for shift in (subject.run.shift_to_test, subject.shift):
        found += shift.findings if isinstance(shift, ShiftOutcome) else []
    grave = sorted((one for one in found if one.verdict == "found"), key=lambda one: _ORDER[one.severity])
    clear = [f"{one.title} ({one.code})" for one in found if one.verdict == "clear"]
    open_ones = [f"{one.title} ({one.code}: {one.detail})" for one in found if one.verdict == "not applicable"]
    parts: list[Part] = [Findings(tuple(grave))] if grave else [Line("Nothing was found.", "good")]
    if clear:
        parts.append(Line(f"Looked for and not found: {', '.join(clear)}."))
    if open_ones:
        parts.append(Line(f"Could not be judged: {'; '.join(open_ones)}.", "quiet"))
    return parts
