"""``throughtime compare``: two runs on the same folds, how much better one is, and what was set otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from throughtime.cli.runs import open_run
from throughtime.cli.screen import MOST_ROWS, console, print_leakage_line, print_text
from throughtime.generalization import Comparison
from throughtime.study import FoldScores, compare_runs, differing_settings, nan_mean, number, series_in


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
    _print_method(comparisons, one)
    main = next(iter(comparisons))
    _print_folds(main, comparisons[main], one)
    _print_settings(one, other)
    for run, settings in {scored.run: scored.settings for scored in (one, other)}.items():
        if chosen := settings.get("search"):
            console().print(
                f"\n[yellow]The setting of {_plain(run)} was chosen among {chosen['n_settings']} on these very folds: "
                "its scores are optimistic, and a difference in its favor with them.[/yellow]"
            )
    return comparisons


def _print_runs(one: FoldScores, other: FoldScores) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for place, scored in (("first", one), ("second", other)):
        table.add_row(place, _plain(scored.run), scored.name)
    console().print(table)
    n = len(series_in(one.folds))
    print_text(f"{len(one.folds)} folds of {n} series of {_plain(one.settings['source'])}\n")


def _print_difference(metric: str, comparison: Comparison) -> None:
    difference, p_value = comparison.difference, comparison.p_value
    means = [nan_mean(scores) for scores in (comparison.first, comparison.second)]
    line = f"{metric}: first {number(means[0])}, second {number(means[1])}, first less second "
    line += f"[bold]{number(difference.mean)}[/bold]"
    if difference.low is not None and difference.high is not None and p_value is not None:
        line += f" ({number(difference.low)} to {number(difference.high)}), p {_p(p_value)}: "
        if comparison.first == comparison.second:
            line += "no fold differs"
        elif p_value < 0.05:
            line += f"the {'first' if difference.mean > 0 else 'second'} does better"
        else:
            line += "these folds cannot tell them apart"
    console().print(f"{line}.")


def _print_method(comparisons: Mapping[str, Comparison], one: FoldScores) -> None:
    method = next(iter(comparisons.values())).difference.method
    if method.startswith("no interval"):
        print_text(f"{method}.\n", "dim")
        return
    units = "series" if all(fold.n_test == len(fold.test) for fold in one.folds) else "groups"
    line = f"in brackets: {method}; p: of the same test, two-sided. It takes the folds' differences for about normal, "
    line += f"and their correlation for the test's fraction of the {units}."
    if len(comparisons) > 1:
        line += f" p is not corrected for there being {len(comparisons)} scores."
    console().print(f"{line}\n", style="dim")


def _print_folds(metric: str, comparison: Comparison, one: FoldScores) -> None:
    pairs = list(zip(comparison.first, comparison.second, strict=True))
    if len(pairs) > MOST_ROWS:
        better = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs), sum(a == b for a, b in pairs)
        line = f"first better on {better[0]}, second on {better[1]}, equal on {better[2]}"
        console().print(f"{metric} on {len(pairs)} folds: {line}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(f"{metric} by fold", overflow="fold")
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right")
    for place, ((a, b), fold) in enumerate(zip(pairs, one.folds, strict=True)):
        table.add_row(f"{place + 1}: {len(fold.test)} series held out", number(a), number(b), number(a - b))
    console().print(table)
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
        table.add_row(name, *(_plain(_word(value)) for value in values))
    console().print(table)
    console().print("All other settings are the same.", style="dim")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _plain(value: object) -> str:
    return escape(str(value))
