"""Findings, and the checks that make them: the one form for whatever looks for a fault in data, folds or gradients.

A check is a value: what it is called, which inputs it needs, and a function that measures. A package declares its
checks next to what they judge, and whoever calls it adds one by handing it in.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from throughtime.errors import ParameterError
from throughtime.records import Record, Records

__all__ = ["Check", "Finding", "Measured", "NotApplicable", "Severity", "Verdict", "run_checks"]

Verdict = Literal["found", "clear", "not applicable"]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding(Record):
    """One check's verdict.

    Attributes
    ----------
    code
        Stable, such as ``GEN001``.
    title
        What was looked for, in two or three words.
    verdict
        ``found`` when ``measured`` is above ``threshold``, else ``clear``; ``not applicable`` where nothing could be
        measured.
    severity
        How bad it is if found: an ``error`` makes results too good to be believed, a ``warning`` may, a ``note``
        is worth knowing and often meant.
    measured
        ``None`` when the check is not applicable.
    threshold, source
        The most that is no finding, and what justifies it.
    detail
        Where the worst was seen; why the check is not applicable.
    remedy
        Empty where nothing was found.
    docs
        The page of the documentation that explains the check; empty where there is none.
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
    docs: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.code} {self.title}: {self.verdict}; {self.detail}{remedy}"


@dataclass(frozen=True)
class Measured:
    """What a check measured, and where."""

    value: float
    detail: str


@dataclass(frozen=True)
class NotApplicable:
    """Why a check has nothing to measure."""

    reason: str


@dataclass(frozen=True, repr=False)
class Check:
    """Something to look for.

    Parameters
    ----------
    code, title, severity, threshold, source, remedy, docs
        Those of its findings.
    needs
        Names of the inputs that it cannot do without.
    measure
        Is given the inputs it needs, by name, and gives `Measured` or `NotApplicable`.
    lacking
        Why it is not applicable when an input is missing; by default the input's name is said.
    work
        How many values it looks at, from the same inputs; a check without is always made.
    """

    code: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    measure: Callable[..., Measured | NotApplicable]
    source: str
    remedy: str
    threshold: float = 0.0
    docs: str = ""
    lacking: str = ""
    work: Callable[..., float] | None = None

    def run(self, *, most_work: float | None = None, **available: Any) -> Finding:
        """Look for it.

        Parameters
        ----------
        most_work
            A check that would look at more values than so many is not made, and its verdict says so.
        **available
            The inputs there are, by name; those that the check does not need are left aside, ``None`` is none.

        Raises
        ------
        TypeError
            When ``measure`` gives neither `Measured` nor `NotApplicable`.
        """
        missing = [name for name in self.needs if available.get(name) is None]
        if missing:
            return self._not_applicable(self.lacking or f"it needs {', '.join(missing)}")
        inputs = {name: available[name] for name in self.needs}
        if self.work is not None and most_work is not None and (work := self.work(**inputs)) > most_work:
            return self._not_applicable(f"not looked for: it takes looks at {work:.0e} values, above most_work")
        result = self.measure(**inputs)
        if isinstance(result, NotApplicable):
            return self._not_applicable(result.reason)
        if not isinstance(result, Measured):
            raise TypeError(
                f"the measure of check {self.code} needs to give Measured or NotApplicable, got {type(result).__name__}"
            )
        if math.isnan(result.value):  # is above no threshold, and yet not clear
            return self._not_applicable(f"it measured NaN: {result.detail}")
        found = result.value > self.threshold
        return self._finding("found" if found else "clear", result.value, result.detail, self.remedy if found else "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.title!r})"

    def _not_applicable(self, why: str) -> Finding:
        return self._finding("not applicable", None, why, "")

    def _finding(self, verdict: Verdict, measured: float | None, detail: str, remedy: str) -> Finding:
        return Finding(
            self.code,
            self.title,
            verdict,
            self.severity,
            measured,
            self.threshold,
            self.source,
            detail,
            remedy,
            self.docs,
        )


def run_checks(checks: Iterable[Check], *, most_work: float | None = None, **available: Any) -> Records[Finding]:
    """Make checks on the inputs there are.

    Parameters
    ----------
    checks
        In the order of their findings.
    most_work, **available
        As `Check.run` takes them.

    Returns
    -------
    One finding per check, whether it found something, nothing, or was not applicable.

    Raises
    ------
    ParameterError
        When two checks have one code.
    """
    checks = tuple(checks)
    code, count = Counter(check.code for check in checks).most_common(1)[0] if checks else ("", 0)
    if count > 1:
        raise ParameterError(f"checks needs a code of its own for each check, got {code} {count} times")
    return Records(check.run(most_work=most_work, **available) for check in checks)
