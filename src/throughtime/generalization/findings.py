"""What a check of an evaluation found, with what it measured and where its threshold comes from."""

from dataclasses import dataclass
from typing import Literal

from throughtime.records import Record

Verdict = Literal["found", "clear", "not applicable"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding(Record):
    """One check's verdict.

    ``code`` is stable. ``severity`` is how bad it is if found: an ``error`` makes scores too good to be believed, a
    ``warning`` may. ``measured`` is found to be too much when above ``threshold``, which ``source`` justifies;
    ``None`` when the check is not applicable, and ``detail`` then says why, else where the worst was seen. ``remedy``
    is empty where nothing was found.
    """

    code: str
    title: str
    verdict: Verdict
    severity: Severity
    measured: float | None
    threshold: float
    source: str
    detail: str
    remedy: str

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.code} {self.title}: {self.verdict}; {self.detail}{remedy}"
