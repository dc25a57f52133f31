"""A diagnosis of shift on the screen: verdict, sentence, tests, what moved, and what else was found."""

import math
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from throughtime.cli.diagnosis_screen import print_findings
from throughtime.cli.screen import console, print_table, print_text
from throughtime.shift import ShiftDiagnosis, plural_of

#: Of more rows of what moved the first are shown, which moved most; the file has all.
MOST_ROWS = 8


def print_shift_verdict(found: ShiftDiagnosis) -> None:
    """The first line, for programs too, and the sentence."""
    console().print(f"verdict: {found.verdict}", soft_wrap=True)
    print_text(escape(found.sentence))


def print_tests(found: ShiftDiagnosis) -> None:
    """What was tested, of how many, and the effect that would have been seen."""
    if not found.tests:
        return
    table = _table(("test", "p", "effect", "95 % interval", "in", "detectable"), numbers=(1, 2, 5))
    for test in found.tests:
        interval = "-" if math.isnan(test.low) else f"{_number(test.low)} to {_number(test.high)}"
        cells = (
            f"{test.p_value:.3f}",
            _number(test.effect),
            interval,
            test.effect_unit or "-",
            _number(test.detectable),
        )
        table.add_row(escape(test.name), *map(escape, cells), style="bold" if test.p_value <= found.level else None)
    _print_table(table)
    first = found.tests[0]
    print_text(
        escape(
            f"{first.n_reference} reference against {first.n_deployed} deployed {plural_of(first.unit)}, permuted as a "
            "whole; detectable: the effect found in 8 of 10 such samples."
        ),
        "dim",
    )


def print_moved(found: ShiftDiagnosis) -> None:
    """Which channels, which part of the series, which classes or targets."""
    for what, moved in (("channel", found.channels), ("target", found.targets)):
        if not moved:
            continue
        table = _table((what, "moved", "95 % interval", "p"), numbers=(1, 3))
        for one in moved[:MOST_ROWS]:
            interval = f"{one.low:+.2f} to {one.high:+.2f}"
            name = f"{one.channel} {one.summary}".strip()
            _add(table, found, one.p_value, name, f"{one.effect:+.2f} sd", interval, f"{one.p_value:.3f}")
        _print_table(table, moved)
    if found.stretches:
        table = _table(("part of the series", "moved most", "by", "p"), numbers=(2, 3))
        for stretch in found.stretches[:MOST_ROWS]:
            part = f"{100 * stretch.begin:.0f} to {100 * stretch.end:.0f} %"
            _add(
                table, found, stretch.p_value, part, stretch.channel, f"{stretch.effect:+.2f} sd",
                f"{stretch.p_value:.3f}",
            )  # fmt: skip
        _print_table(table, found.stretches)
    if found.classes:
        table = _table(("class", "reference", "deployed", "95 % interval", "from"), numbers=(1, 2))
        for prior in found.classes[:MOST_ROWS]:
            interval = f"{prior.low:.3f} to {prior.high:.3f}"
            numbers = f"{prior.reference:.3f}", f"{prior.deployed:.3f}"
            table.add_row(escape(str(prior.label)), *numbers, interval, prior.source)
        _print_table(table, found.classes)


def print_shift_findings(found: ShiftDiagnosis) -> None:
    """What was found and what to do about it, and what could not be judged."""
    console().print()
    print_findings(found.findings)
    unjudged: dict[str, list[str]] = {}
    for finding in found.findings:
        if finding.verdict == "not applicable":
            unjudged.setdefault(finding.detail, []).append(f"{finding.title} ({finding.code})")
    for reason, titles in unjudged.items():
        print_text(escape(f"not judged, {reason}: {', '.join(titles)}."), "dim")


def _table(headings: Sequence[str], numbers: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        right = place in numbers
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def _add(table: Table, found: ShiftDiagnosis, p_value: float, *cells: str) -> None:
    table.add_row(*map(escape, cells), style="bold" if p_value <= found.level else None)


def _print_table(table: Table, rows: Sequence[Any] = ()) -> None:
    console().print()
    print_table(table)
    if len(rows) > MOST_ROWS:
        console().print(f"and {len(rows) - MOST_ROWS} more that moved less", style="dim")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
