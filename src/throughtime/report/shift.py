"""Whether other series differ from those trained on: the test's, and those that were compared afterwards."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from throughtime.displays import ClassPriorsDisplay, ShiftInTimeDisplay
from throughtime.report.parts import Absent, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.shift import NamedShift

#: Of more rows of what moved those that moved most.
MOST_ROWS = 10


def shift(subject: Subject) -> Sequence[Part]:
    """Test against training, and what ``throughtime shift`` found."""
    parts = [*_to_test(subject)]
    if subject.shift is None:
        command = "throughtime shift RUN NEW --out SHIFT"
        return [*parts, Absent("New series were not compared with those of this run.", command)]
    return [*parts, *_outcome(subject.shift, f"Other series ({subject.shifted}) against those of training")]


def _to_test(subject: Subject) -> list[Part]:
    run = subject.run
    found = run.shift_to_test
    if isinstance(found, str):
        return [Line(f"Test against training: not compared, {found}.")]
    if found is not None:
        return _outcome(found, "Test against training")
    if run.test_predictions is None:
        return [Absent("No test series were set aside to be compared.", "throughtime fit SOURCE --split 0.2")]
    return [Absent("This run, of an early version, did not compare its test.", "throughtime shift RUN TEST")]


def _outcome(found: NamedShift, what: str) -> list[Part]:
    moved = found.verdict not in ("none detected", "insufficient")
    parts: list[Part] = [Line(f"{what}: {found.verdict}. {found.sentence}", "bad" if moved else "plain")]
    if found.tests:
        head = ("test", "p", "effect", "95 % interval", "in", "detectable")
        rows = []
        for test in found.tests:
            interval = "-" if math.isnan(test.low) else f"{test.low:.2f} to {test.high:.2f}"
            numbers = (f"{test.p_value:.3f}", _number(test.effect), interval)
            rows.append((test.name, *numbers, test.effect_unit or "-", _number(test.detectable)))
        one = found.tests[0]
        sides = f"{one.n_reference} against {one.n_deployed} {one.unit if one.unit == 'series' else one.unit + 's'}"
        parts.append(Table(f"{what}: tests, {sides}", head, tuple(rows)))
    for moved_of, shifts in (("", found.channels), (" of the targets", found.targets)):
        if not shifts:
            continue
        moves = [
            (
                f"{one.channel} {one.summary}".strip(),
                f"{one.effect:+.2f}",
                f"{one.low:+.2f} to {one.high:+.2f}",
                f"{one.p_value:.3f}",
            )
            for one in shifts[:MOST_ROWS]
        ]
        parts.append(
            Table(
                f"{what}: what moved most{moved_of}, in standard deviations",
                ("what", "moved", "95 % interval", "p"),
                tuple(moves),
            )
        )
    if found.classes:
        priors = ClassPriorsDisplay(found.classes)
        first = found.classes[0]
        words = f"Class {first.label}: {first.reference:.3f} in training, {first.deployed:.3f} here."
        parts.append(
            figure_of(
                partial(_draw_priors, priors), priors.figsize, f"{what}: how frequent each class is", words, words
            )
        )
    if found.stretches:
        stretches = ShiftInTimeDisplay(found.stretches, found.level)
        words = "The part of the series that moved most, and the channel."
        parts.append(figure_of(stretches.plot, stretches.figsize, f"{what}: where in time", words, words))
    return parts


def _draw_priors(display: ClassPriorsDisplay, ax: Axes) -> None:
    display.plot(ax)
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0, "ncols": 2}
    ax.legend(frameon=False, fontsize=8, **place)  # in so small a figure it would lie on the bars


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
