"""Every finding of the run and of what was found of it afterwards."""

from collections.abc import Sequence

from throughtime.report.parts import Findings, Line, Part
from throughtime.report.subject import Subject
from throughtime.shift import NamedShift

_ORDER = {"error": 0, "warning": 1, "note": 2}


def all_findings(subject: Subject) -> Sequence[Part]:
    """What was found, the gravest first; then what was looked for and not found."""
    looked = {"the folds": [*subject.run.findings]}
    if subject.diagnosis is not None:
        looked["the diagnosis"] = [*subject.diagnosis.findings]
    for where, shift in (("the test", subject.run.shift_to_test), (subject.shifted, subject.shift)):
        if isinstance(shift, NamedShift):
            looked[where] = [*shift.findings]
    found = [finding for findings in looked.values() for finding in findings if finding.verdict == "found"]
    grave = tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))
    parts: list[Part] = [Findings(grave)] if grave else [Line("Nothing was found.", "good")]
    for where, findings in looked.items():
        clear = [f"{one.title} ({one.code})" for one in findings if one.verdict == "clear"]
        open_ones = [f"{one.title} ({one.code}: {one.detail})" for one in findings if one.verdict == "not applicable"]
        if clear:
            parts.append(Line(f"Looked for in {where} and not found: {', '.join(clear)}."))
        if open_ones:
            parts.append(Line(f"Not judged in {where}: {'; '.join(open_ones)}.", "quiet"))
    return parts
