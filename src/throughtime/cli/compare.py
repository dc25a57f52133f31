"""``throughtime compare``: two runs on the same folds, how much better one is, and what was set otherwise."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from throughtime.cli.options import OWN_DEFAULTS
from throughtime.cli.runs import open_run
from throughtime.cli.screen import MOST_ROWS, console, nan_mean, number, print_leakage_line, print_table, print_text
from throughtime.errors import StorageError
from throughtime.generalization import Comparison, Finding, paired_comparison
from throughtime.parameters import SCHEMAS, declared
from throughtime.records import Records
from throughtime.study import Fold

#: Neither what was learned nor how it was scored depends on these.
_NO_MATTER = ("verbose",)


@dataclass(frozen=True)
class Scored:
    """What a run keeps of its cross-validation: ``scores`` by metric, one per fold, seeds averaged."""

    run: Path
    name: str
    settings: dict[str, Any]
    fingerprint: dict[str, str]
    folds: list[Fold]
    findings: Records[Finding]
    scores: dict[str, list[float]]


def compare(first: Path, second: Path) -> dict[str, Comparison]:
    """Print and return the comparison of two runs, by metric.

    Raises
    ------
    StorageError
        When a run is damaged, was not cross-validated, or the two are of other series, folds or scores.
    """
    one, other = _scored(first), _scored(second)
    _refuse_strangers(one, other)
    metrics = [metric for metric in one.scores if metric in other.scores]
    n_train, n_test = ([getattr(fold, name) for fold in one.folds] for name in ("n_train", "n_test"))
    comparisons = {
        metric: paired_comparison(one.scores[metric], other.scores[metric], n_train, n_test) for metric in metrics
    }
    if all(math.isnan(comparison.difference.mean) for comparison in comparisons.values()):
        raise StorageError(
            f"{first} and {second} need a fold in which both have {' or '.join(metrics)}, got none; fewer folds have "
            f"more series each: {command_of(one.settings, cv=5)}"
        )
    _print_runs(one, other)
    for metric, comparison in comparisons.items():
        _print_difference(metric, comparison)
    if one.findings == other.findings:
        print_leakage_line(one.findings)
    else:
        for place, scored in (("first", one), ("second", other)):
            print_leakage_line(scored.findings, f", {place}")
    _print_method(comparisons, one)
    _print_folds(metrics[0], comparisons[metrics[0]], one)
    _print_settings(one, other)
    for run, settings in {scored.run: scored.settings for scored in (one, other)}.items():
        if chosen := settings.get("search"):
            console().print(
                f"\n[yellow]The setting of {_plain(run)} was chosen among {chosen['n_settings']} on these very folds: "
                "its scores are optimistic, and a difference in its favor with them.[/yellow]"
            )
    return comparisons


def command_of(settings: Mapping[str, Any], **otherwise: Any) -> str:
    """The command that gives a run of these settings, some of them otherwise, as it would be typed."""
    flags: dict[str, Any] = {name: settings[name] for name in ("test", "split", "cv", "seeds")}
    flags["task"] = settings["task"]
    columns = settings["columns"]
    flags |= {name: columns[name] for name in ("id", "time", "target", "group")}
    flags |= {name: ",".join(columns[name]) for name in ("static", "channels") if columns[name]}
    unusual = (("target_kind", "auto"), ("decimal", "."), ("targets", "drop"), ("history", 0))
    for name, usual in (*unusual, ("window", None), ("stride", columns.get("window"))):
        if columns.get(name, usual) != usual:
            flags[name] = columns[name]
    if flags["seeds"] == 1:
        del flags["seeds"]
    known = declared(SCHEMAS[settings["task"]])
    for name, value in settings["parameters"].items():
        if name in known and value != OWN_DEFAULTS.get(name, known[name].option.default):
            flags[name] = "none" if value is None else value
    flags |= {name: value for name, value in otherwise.items() if name != "scoring"}
    words = ["throughtime", "fit", str(settings["source"])]
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, Mapping):
            words += [flag, ",".join(f"{label}={weight}" for label, weight in value.items())]
        elif value is not None:
            words += [flag, str(value)]
    for name in otherwise.get("scoring", settings["scorers"]) or ():
        words += ["--scoring", name]
    return shlex.join(words)


def _scored(directory: Path) -> Scored:
    run = open_run(directory)
    if "folds.json" not in run.names:
        raise StorageError(
            f"{directory} needs the scores of folds to be compared, got a network without any; this makes a run that "
            "has them: throughtime fit SOURCE --cv 5"
        )
    settings, folds, fingerprint = run.config, run.folds, run.data.fingerprint
    if fingerprint is None:
        raise StorageError(
            f"{directory} needs the fingerprint of its series to be compared, got a run of an earlier version; make it "
            f"again: throughtime fit {shlex.quote(settings['source'])} --cv {settings['cv']}"
        )
    network = run.metrics.models[-1]
    scores = {
        metric: [nan_mean(fold) for fold in zip(*network.validation[metric], strict=True)]
        for metric in settings["scoring"]
    }
    return Scored(directory, network.name, settings, fingerprint, folds, run.findings, scores)


def _refuse_strangers(one: Scored, other: Scored) -> None:
    """Refuse runs whose scores are not of the same series, folds and metric; the command would make one that fits."""
    both = f"{one.run} and {other.run}"
    wanted: dict[str, Any] = {"cv": one.settings["cv"]}
    wanted["random_state"] = one.settings["parameters"]["random_state"]
    wanted["scoring"] = one.settings["scorers"]
    for name in ("test", "split"):
        wanted[name] = one.settings[name]
    again = command_of(other.settings, **wanted)
    if one.fingerprint["targets"] != other.fingerprint["targets"]:
        of = (f"{s.settings['source']} ({len(_rows(s))} series)" for s in (one, other))
        alike = command_of(other.settings | {name: one.settings[name] for name in ("source", "columns")}, **wanted)
        raise StorageError(
            f"{both} need the same series, targets and groups to be compared, got {' and '.join(of)}, which differ; "
            f"train the second on the first's: {alike}"
        )
    if one.fingerprint["inputs"] != other.fingerprint["inputs"] and _inputs(one) == _inputs(other):
        raise StorageError(
            f"{both} need the same values in the channels to be compared, got {one.settings['source']} changed between "
            f"them; train the older again: {command_of(one.settings)}"
        )
    if [_sides(fold) for fold in one.folds] != [_sides(fold) for fold in other.folds]:
        of = (
            f"{len(s.folds)} folds of --cv {s.settings['cv']} --random-state {s.settings['parameters']['random_state']}"
            for s in (one, other)
        )
        raise StorageError(
            f"{both} need the same folds to be compared, got {' and '.join(of)}; train the second on the first's: "
            f"{again}"
        )
    if not set(one.scores) & set(other.scores):
        of = (", ".join(s.scores) for s in (one, other))
        raise StorageError(
            f"{both} need a score in common to be compared, got {' and '.join(of)}; train the second with the first's: "
            f"{again}"
        )


def _print_runs(one: Scored, other: Scored) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for place, scored in (("first", one), ("second", other)):
        table.add_row(place, _plain(scored.run), scored.name)
    print_table(table)
    n = len(_rows(one))
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


def _print_method(comparisons: Mapping[str, Comparison], one: Scored) -> None:
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


def _print_folds(metric: str, comparison: Comparison, one: Scored) -> None:
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
    print_table(table)
    console().print()


def _print_settings(one: Scored, other: Scored) -> None:
    mine, its = _what_was_set(one), _what_was_set(other)
    differing = [name for name in {**mine, **its} if mine.get(name) != its.get(name)]
    if not differing:
        same = one.run.resolve() == other.run.resolve()
        console().print("First and second are the same run." if same else "No setting differs.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("setting", no_wrap=True)
    for name in ("first", "second"):
        table.add_column(name, overflow="fold")
    for name in differing:
        table.add_row(name, *(_plain(_word(settings.get(name))) for settings in (mine, its)))
    print_table(table)
    console().print("All other settings are the same.", style="dim")


def _what_was_set(scored: Scored) -> dict[str, Any]:
    settings = scored.settings
    chosen = {name: value for name, value in settings["parameters"].items() if name not in _NO_MATTER}
    channels, static = _inputs(scored)
    return chosen | {"task": settings["task"], "seeds": settings["seeds"], "channels": channels, "static": static}


def _inputs(scored: Scored) -> tuple[Any, Any]:
    return scored.settings["channels"], scored.settings["columns"]["static"]


def _sides(fold: Fold) -> tuple[list[int], list[int]]:
    return fold.train.tolist(), fold.test.tolist()


def _rows(scored: Scored) -> set[int]:
    """The series that are in any fold."""
    return {row for fold in scored.folds for side in _sides(fold) for row in side}


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _plain(value: object) -> str:
    return escape(str(value))
