"""A diagnosis on the screen: verdict, sentence, effects as a table and as a forest plot, and what else was found."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from throughtime.cli.forest import LABELS, forest_lines
from throughtime.cli.screen import console, print_table, print_text
from throughtime.displays import (
    OPEN,
    by_gain,
    doubling_in_words,
    effect_in_words,
    gain_number,
    history_in_words,
    losses_of,
)
from throughtime.generalization import Diagnosis, Finding
from throughtime.study import number

#: Columns of a screen from which on there is room for each probe's change in words.
WIDE = 100


def print_verdict(found: Diagnosis) -> None:
    """The first line, for programs too, and the sentence."""
    console().print(f"verdict: {found.verdict}", soft_wrap=True)
    print_text(escape(found.sentence))


def print_effects(found: Diagnosis) -> None:
    """What each probe gained: a table, a plot, and how to read them."""
    fraction = f" ({100 * found.margin / found.chance:.3g} % of the dummy's)" if found.chance > 0 else ""
    print_text(
        f"{found.loss_name} held out {number(found.loss)}, on training series {number(found.train_loss)}, of a dummy "
        f"{number(found.chance)}; margin {gain_number(found.margin, found.margin)}{fraction}; "
        f"{found.n_units} {found.units}."
    )
    if not found.effects:
        return
    console().print()
    print_table(_table(found))
    console().print()
    for line in forest_lines(found.effects, found.margin, console().width):
        console().print(line, markup=False, no_wrap=True, overflow="crop")
    console().print()
    usual, *others = losses_of(found.effects)
    print_text(
        f"gain: {usual} of the network as it is less that of the probe, on the same {found.units} held out; in "
        f"brackets the {100 * found.level:g} % interval, of all probes at once.",
        "dim",
    )
    for loss in others:
        names = ", ".join(effect.probe for effect in found.effects if effect.loss == loss)
        print_text(escape(f"in {loss}: {names}."), "dim")
    fewer = max(effect.repeats for effect in found.effects)
    dropped = [effect.probe for effect in found.effects if effect.repeats < fewer]
    if dropped:
        print_text(escape(f"dropped early: {', '.join(dropped)}."), "dim")


def print_answers(found: Diagnosis) -> None:
    """How much more data would help, how far back the task looks, what is open, what could not be measured."""
    console().print()
    if found.learning_curve is not None:
        print_text(f"More data: {doubling_in_words(found.learning_curve)}.")
    if found.history is not None:
        print_text(f"History: {history_in_words(found.history)}.")
    print_findings(found.findings)
    if found.open_question:
        print_text(escape(f"Open: {found.open_question}"), "yellow")
    if found.not_measured:
        reasons = "; ".join(f"{probe}: {reason}" for probe, reason in found.not_measured.items())
        print_text(escape(f"not measured: {reasons}."), "dim")
    saved = f", {found.members_saved} spared by racing" if found.members_saved else ""
    late = "; the budget ended it before all was tried" if found.out_of_time else ""
    print_text(f"{found.members} networks trained in lockstep in {found.seconds:.0f} s{saved}{late}.", "dim")


def _table(found: Diagnosis) -> Table:
    wide = console().width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    # names that fit beside the plot below fit here too: the last column, of words, is the one that wraps
    longest = max(len(effect.probe) for effect in found.effects)
    table.add_column("probe", overflow="fold", min_width=min(longest, LABELS))
    if wide:
        table.add_column("change", overflow="fold")
    table.add_column("gain", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("says", overflow="fold")
    for effect in by_gain(found.effects):
        gain, low, high = (gain_number(value, found.margin) for value in (effect.gain, effect.low, effect.high))
        says = effect_in_words(effect, found.margin)
        best = found.remedy is not None and effect.probe == found.remedy.probe
        table.add_row(
            escape(effect.probe),
            *([escape(effect.change)] if wide else []),
            gain,
            f"({low} to {high})",
            says,
            style="bold" if best else "dim" if says not in (effect.cause, OPEN) else None,
        )
    return table


def print_findings(findings: Sequence[Finding]) -> None:
    """What was found and what to try; the rest in a line."""
    for finding in findings:
        if finding.verdict == "found":
            words = f"{finding.title} ({finding.code}): {finding.detail}"
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            print_text(escape(f"{words}{remedy}."), None if finding.severity == "note" else "yellow")
    clear = [f"{finding.title} ({finding.code})" for finding in findings if finding.verdict == "clear"]
    if clear:
        print_text(escape(f"not found: {', '.join(clear)}."), "dim")
