"""``SHF006`` to ``SHF008`` and ``SHF011``: what the tests found, and what they could have found."""

from collections.abc import Mapping
from functools import partial
from math import nextafter

from throughtime.findings import Check, Measured, NotApplicable
from throughtime.shift.records import ShiftTest, ShiftVerdict

_DOCS = "docs/guide/shift.md"
#: Standard deviations that a shift of the series should be found from on.
LEAST_FOUND = 1.0


def checks_of_tests(third: str, level: float, verdict: ShiftVerdict) -> tuple[Check, ...]:
    """Checks of the family of tests, whose chance of any false alarm is the level.

    They need ``tests``, by name, and ``adjusted``, their p-values by Holm's procedure.

    Parameters
    ----------
    third
        The test of p(y given x) that is in the family: "concept" of classes, "Y given X" of numbers.
    verdict
        What remedies go by: that a test rejects need not be a shift of its own.
    """
    family = (
        ("SHF006", "inputs moved", "X", "see which channels moved; refit with series like the deployed ones"),
        ("SHF007", "targets moved", "Y", _remedy_of_targets(verdict, of_classes=third == "concept")),
        ("SHF008", "relation moved", third, _remedy_of_relation(verdict)),
    )
    moves = (
        Check(
            code,
            title,
            "warning",
            needs=("tests", "adjusted"),
            measure=partial(_moved, name, level),
            threshold=1 - level,
            source=f"1 - p, adjusted for all tests by Holm (1979), at {level:g}",
            remedy=remedy,
            docs=f"{_DOCS}#{code.lower()}",
            lacking="nothing was tested",
        )
        for code, title, name, remedy in family
    )
    weak = Check(
        "SHF011",
        "weak tests",
        "note",
        needs=("tests",),
        measure=_weak,
        threshold=LEAST_FOUND,
        source="a shift of one standard deviation that stays unseen is a large one",
        remedy="collect more deployed series before relying on silence",
        docs=f"{_DOCS}#shf011",
        lacking="nothing was tested",
    )
    return (*moves, weak)


def _remedy_of_targets(verdict: ShiftVerdict, *, of_classes: bool) -> str:
    if verdict == "label" and of_classes:
        return "correct the outputs for the new fractions"
    return "refit with series like the deployed ones"


def _remedy_of_relation(verdict: ShiftVerdict) -> str:
    if verdict in ("concept", "mixed"):
        return "refit with labels of deployed series; nothing else cures it"
    if verdict == "undetermined":
        return "collect more labels of deployed series: it may be a shift of its own"
    return f"the {verdict} shift that was named explains it, or it is too weak beside it to be named"


def _moved(
    name: str, level: float, tests: Mapping[str, ShiftTest | NotApplicable], adjusted: Mapping[str, float]
) -> Measured | NotApplicable:
    test = tests.get(name)
    if test is None:
        return NotApplicable("it needs labels of deployed series")
    if isinstance(test, NotApplicable):
        return test
    p = adjusted[name]
    most = f", most {test.most}" if test.most else ""
    detail = (
        f"p = {test.p_value:.2g}, adjusted {p:.2g}; {test.effect:+.2g} {test.effect_unit} ({test.low:.2g} to "
        f"{test.high:.2g}){most}"
    )
    # p of the level itself rejects, which rounding must not undo
    certainty = 1 - p if p > level else max(1 - p, nextafter(1 - level, 2))
    return Measured(certainty, detail)


def _weak(tests: Mapping[str, ShiftTest | NotApplicable]) -> Measured | NotApplicable:
    test = tests.get("X")
    if not isinstance(test, ShiftTest):
        return NotApplicable("the series were not tested")
    return Measured(test.detectable, f"a mean that moves by {test.detectable:.2g} sd is found with a chance of .8")
