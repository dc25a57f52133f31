"""What was found between folds, in a few words beside a score."""

from collections.abc import Sequence

from throughtime.findings import Finding


def leakage_in_words(findings: Sequence[Finding]) -> str:
    """``none found by 6 checks``, or what was found: ``overlapping targets (GEN002, error)``."""
    found = [finding for finding in findings if finding.verdict == "found"]
    if found:
        return ", ".join(f"{finding.title} ({finding.code}, {finding.severity})" for finding in found)
    made = sum(finding.verdict == "clear" for finding in findings)
    return f"none found by {made} check{'s' if made > 1 else ''}" if made else "not looked for"
