"""What limits the network, where it was diagnosed: the verdict, the probes' forest plot, the curves."""

from collections.abc import Sequence

from throughtime.displays import (
    EffectsDisplay,
    FittedLearningCurveDisplay,
    HistoryCurveDisplay,
    by_gain,
    curve_loss,
    doubling_in_words,
    effect_in_words,
    gain_number,
    history_in_words,
)
from throughtime.generalization import Diagnosis
from throughtime.report.parts import Absent, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.study import number


def diagnosis(subject: Subject) -> Sequence[Part]:
    """What ``throughtime diagnose`` found."""
    found = subject.diagnosis
    if found is None:
        return [
            Absent("Not diagnosed yet: what limits this network.", "throughtime diagnose RUN --out DIAGNOSIS"),
            Absent("Then this page shows it.", "throughtime report RUN --diagnosis DIAGNOSIS"),
        ]
    parts: list[Part] = [
        Line(f"Verdict: {found.verdict}. {found.sentence}", "good" if found.verdict == "healthy" else "bad"),
        Line(
            f"{found.loss_name} held out {number(found.loss)}, on training series {number(found.train_loss)}, of a "
            f"dummy {number(found.chance)}; {found.n_units} {found.units}."
        ),
    ]
    return [*parts, *_effects(found), *_curves(found), *_open(found)]


def _effects(found: Diagnosis) -> list[Part]:
    if not found.effects:
        return []
    display = EffectsDisplay(found.effects, found.margin, found.level)
    first = by_gain(found.effects)[0]
    words = f"The largest gain is that of {first.probe}, {gain_number(first.gain, found.margin)}"
    rows = []
    for effect in by_gain(found.effects):
        gain, low, high = (gain_number(value, found.margin) for value in (effect.gain, effect.low, effect.high))
        rows.append((effect.probe, effect.change, gain, f"{low} to {high}", effect_in_words(effect, found.margin)))
    head = ("probe", "change", "gain", f"{100 * found.level:g} % interval", "says")
    caption = f"What each probe gains in {found.loss_name}, the intervals of all probes at once"
    return [
        figure_of(display.plot, display.figsize, "Gain of every probe, a forest plot", f"{words}."),
        Table(caption, head, tuple(rows)),
    ]


def _curves(found: Diagnosis) -> list[Part]:
    parts: list[Part] = []
    if found.learning_curve is not None:
        learning = FittedLearningCurveDisplay(found.learning_curve, curve_loss(found, "data"), found.units)
        words = f"More data: {doubling_in_words(found.learning_curve)}."
        parts.append(figure_of(learning.plot, learning.figsize, f"Loss by the number of {found.units}", words, words))
    if found.history is not None:
        history = HistoryCurveDisplay(found.history, curve_loss(found, "history"))
        words = f"History: {history_in_words(found.history)}."
        parts.append(figure_of(history.plot, history.figsize, "Loss by the steps that are read", words, words))
    return parts


def _open(found: Diagnosis) -> list[Part]:
    parts: list[Part] = []
    if found.open_question:
        parts.append(Line(f"Open: {found.open_question}"))
    if found.not_measured:
        reasons = "; ".join(f"{probe}: {reason}" for probe, reason in found.not_measured.items())
        parts.append(Line(f"Not measured: {reasons}.", "quiet"))
    return parts
