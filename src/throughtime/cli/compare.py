"""``throughtime compare``: two runs on the same folds, how much better one is, and what was set otherwise."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from throughtime.cli.runs import open_run
from throughtime.cli.screen import MOST_ROWS, console, print_leakage_line, print_table, print_text
from throughtime.generalization import Comparison
from throughtime.study import (
    FoldScores,
    compare_runs,
    differing_settings,
    folds_won_in_words,
    method_in_words,
    nan_mean,
    number,
    optimism_in_words,
    outcome_in_words,
    p_in_words,
    series_in,
)


def compare(first: Path, second: Path) -> dict[str, Comparison]:
    """Print and return the comparison of two runs, by metric.

    Raises
    ------
    StorageError
        When a run is damaged, was not cross-validated, or the two are of other series, folds or scores.
    """
    found = compare_runs(open_run(first), open_run(second))
    one, other, comparisons = found.first, found.second, found.comparisons
    _print_runs(one, other)
    for metric, comparison in comparisons.items():
        _print_difference(metric, comparison)
    if one.findings == other.findings:
        print_leakage_line(one.findings)
    else:
        for place, scored in (("first", one), ("second", other)):
            print_leakage_line(scored.findings, f", {place}")
    print_text(f"{method_in_words(found, 'in brackets')}\n", "dim")
    main = next(iter(comparisons))
    _print_folds(main, comparisons[main], one)
    _print_settings(one, other)
    for optimism in dict.fromkeys(map(optimism_in_words, (one, other))):
        if optimism:
            console().print(f"\n[yellow]{_plain(optimism)}[/yellow]")
    return comparisons


def _print_runs(one: FoldScores, other: FoldScores) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for place, scored in (("first", one), ("second", other)):
        table.add_row(place, _plain(scored.run), scored.name)
    print_table(table)
    n = len(series_in(one.folds))
    print_text(f"{len(one.folds)} folds of {n} series of {_plain(one.settings['source'])}\n")


def _print_difference(metric: str, comparison: Comparison) -> None:
    difference, p_value = comparison.difference, comparison.p_value
    means = [nan_mean(scores) for scores in (comparison.first, comparison.second)]
    line = f"{metric}: first {number(means[0])}, second {number(means[1])}, first less second "
    line += f"[bold]{number(difference.mean)}[/bold]"
    if difference.low is not None and difference.high is not None and p_value is not None:
        line += f" ({number(difference.low)} to {number(difference.high)}), p {p_in_words(p_value)}: "
        line += outcome_in_words(comparison)
    console().print(f"{line}.")


def _print_folds(metric: str, comparison: Comparison, one: FoldScores) -> None:
    pairs = list(zip(comparison.first, comparison.second, strict=True))
    if len(pairs) > MOST_ROWS:
        console().print(f"{metric} on {len(pairs)} folds: {folds_won_in_words(comparison)}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(f"{metric} by fold", overflow="fold")
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right")
    for place, ((a, b), fold) in enumerate(zip(pairs, one.folds, strict=True)):
        table.add_row(f"{place + 1}: {len(fold.test)} series held out", number(a), number(b), number(a - b))
    print_table(table)
    console().print()


def _print_settings(one: FoldScores, other: FoldScores) -> None:
    differing = differing_settings(one.settings, other.settings)
    if not differing:
        same = one.run.resolve() == other.run.resolve()
        console().print("First and second are the same run." if same else "No setting differs.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("setting", no_wrap=True)
    for name in ("first", "second"):
        table.add_column(name, overflow="fold")
    for name, values in differing.items():
        table.add_row(name, *map(_plain, values))
    print_table(table)
    console().print("All other settings are the same.", style="dim")


def _plain(value: object) -> str:
    return escape(str(value))
