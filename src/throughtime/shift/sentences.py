"""A diagnosis of shift as one plain sentence: what moved, most, and what it means for the model."""

from collections.abc import Mapping, Sequence

from throughtime.findings import Finding, NotApplicable
from throughtime.shift.records import ChannelShift, ClassShift, ShiftTest, ShiftVerdict

Tests = Mapping[str, ShiftTest | NotApplicable]


def sentence_of(
    verdict: ShiftVerdict,
    tests: Tests,
    channels: Sequence[ChannelShift],
    classes: Sequence[ClassShift],
    *,
    level: float,
    labeled: bool,
) -> str:
    """The verdict in words."""
    third = "Y given X" if "outputs" in tests else "concept"  # of numbers, of classes
    untested = "" if labeled else "; without labels a concept shift is neither tested nor seen"
    series = f"the series moved{_most(channels, level)}"
    fractions = _classes(classes) if classes else f"the targets moved{_targets(tests, level)}"
    concept = f"what the series say of their targets changed{_concept(tests, third)}"
    if verdict == "none detected":
        return f"No shift was found{_seen(tests)}{untested}."
    if verdict == "concept":
        return f"{_capital(concept)}: the model is wrong there, and only labels of such series cure it."
    if verdict == "label":
        cure = "the outputs can be corrected" if classes else "refit with series like them"
        return f"{_capital(fractions)}, and series of a target are what they were: {cure}."
    if verdict == "mixed":
        parts = [text for name, text in (("X", series), (third, concept)) if _rejects(tests, name, level)]
        parts = parts or [series]
        if _rejects(tests, "Y", level):
            parts.append(fractions)
        return f"More than one thing moved: {'; '.join(parts)}: refit with labels of such series."
    if verdict == "covariate" and labeled:
        return (
            f"{_capital(series)}, and what they say of their targets is what it was: the model holds only where the "
            "reference has series like them."
        )
    if verdict == "covariate":
        return f"{_capital(series)}, more than other targets alone explain (covariate-compatible){untested}."
    if not labeled:
        return (
            f"{_capital(series)}; other targets alone would explain it (label-compatible), and so would a "
            f"covariate shift{untested}."
        )
    what = series if _rejects(tests, "X", level) or not _rejects(tests, "Y", level) else fractions
    return f"{_capital(what)}, but the tests allow more than one name for it; more labels may tell."


def insufficient_sentence(findings: Sequence[Finding]) -> str:
    """Why nothing can be told."""
    why = "; ".join(f"{finding.title}: {finding.detail}" for finding in findings if finding.verdict == "found")
    return f"The series are not such that a shift could be told from chance ({why})."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _most(channels: Sequence[ChannelShift], level: float) -> str:
    if not channels or channels[0].p_value > level:
        return ""
    one = channels[0]
    summary = "fraction missing" if one.summary == "missing" else one.summary
    what = f"the {summary} of {one.channel}" if one.channel else f"the {summary}"
    return f", most {what} ({one.effect:+.2g} sd)"


def _classes(classes: Sequence[ClassShift]) -> str:
    one = classes[0]
    direction = "more" if one.deployed > one.reference else "less"
    return (
        f"class {one.label} is {direction} frequent, {100 * one.deployed:.0f} % ({100 * one.low:.0f} to "
        f"{100 * one.high:.0f} %) against {100 * one.reference:.0f} %"
    )


def _targets(tests: Tests, level: float) -> str:
    """Of numbers and of targets per step: what of them moved most, and how far."""
    test = tests.get("Y")
    if not isinstance(test, ShiftTest) or test.p_value > level or test.effect_unit != "sd":
        return ""
    most = f", most {test.most}" if test.most not in ("", "the target") else ""
    return f"{most} ({test.effect:+.2g} sd)"


def _concept(tests: Tests, third: str) -> str:
    test = tests.get(third)
    return f", most for {test.most}" if isinstance(test, ShiftTest) and test.most else ""


def _rejects(tests: Tests, name: str, level: float) -> bool:
    test = tests.get(name)
    return isinstance(test, ShiftTest) and test.p_value <= level


def _seen(tests: Tests) -> str:
    test = tests.get("X")
    if not isinstance(test, ShiftTest):
        return ""
    return f"; a mean that moved by {test.detectable:.2g} sd would have been, with a chance of .8"
