"""What the commands print: descriptions, tables of scores, and what they mean."""

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from throughtime.data import Description, in_words, lacking_in_words
from throughtime.generalization import Finding, Interval, leakage_in_words
from throughtime.study import (
    Fold,
    ModelScores,
    against_in_words,
    best_baseline,
    mean_score,
    nan_mean,
    number,
    validation_score,
)
from throughtime.terminal import escape_controls

#: Beyond so many, folds are summarized.
MOST_ROWS = 12
#: Letters of a name that a narrow table does not break.
_FOLDED = 12
#: Of more channels the ranges of the first are listed.
_MOST_RANGES = 24


class Screen(Console):
    """A console that shows control characters instead of obeying them."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A string with its markup, as every string that is printed or put into a table."""
        return super().render_str(escape_controls(text), **options)


@cache
def console() -> Console:
    """Standard output; as wide as a page where it is no terminal."""
    return Screen(highlight=False, width=None if sys.stdout.isatty() else 100, soft_wrap=False)


def print_text(text: str, style: str | None = None) -> None:
    """A sentence or more: broken between words on a terminal, in one line where a program reads it."""
    console().print(text, style=style, soft_wrap=not console().is_terminal)


def print_table(table: Table) -> None:
    """A table, on a narrow screen broken between words; its lines are longer than the screen before a number is cut."""
    for column in table.columns:
        measured = [console().measure(cell) for cell in (column.header, *column.cells)]
        least = max(part.maximum if column.no_wrap else part.minimum for part in measured)
        column.min_width = min(least, _FOLDED) if column.overflow == "fold" else least
        column.no_wrap = False  # or rich takes all room from the others
    console().print(table, crop=False)


def print_note(text: str) -> None:
    """What a person may want to know, and need not act on."""
    print_text(_plain(text), "yellow")


def print_description(data: Description, set_aside: str | None = None) -> None:
    """What a data set holds, in a few lines, and what of it is kept for the test."""
    lengths = data.lengths
    steps = (
        f"{lengths.minimum:.0f} steps each"
        if lengths.minimum == lengths.maximum
        else f"{lengths.minimum:.0f} to {lengths.maximum:.0f} steps "
        f"(quartiles {lengths.lower_quartile:.0f}, {lengths.median:.0f}, {lengths.upper_quartile:.0f})"
    )
    of = "" if data.windows_of is None else f" windows of {data.windows_of} series"
    rows = [("series", f"{data.n_series}{of}, {steps}"), ("channels", _channels(data))]
    if data.n_static:
        rows.append(("static", f"{data.n_static} feature{'s' if data.n_static > 1 else ''} per series"))
    if data.target is not None:
        rows.append(("target", _target(data)))
    if data.n_groups is not None:
        rows.append(("groups", f"{data.n_groups}"))
    if data.first_time is not None:
        rows.append(("times", f"{data.first_time} to {data.last_time}"))
    if data.spacing is not None:
        rows.append(("time step", _time_step(data)))
    rows.append(("range", _ranges(data)))
    rows.append(("missing", _missing(data)))
    if data.sentinels:
        rows.append(("suspect", _sentinels(data)))
    if data.duplicates:
        rows.append(("duplicates", f"{data.duplicates} series equal an earlier one: folds may share them"))
    if set_aside is not None:
        rows.append(("set aside", set_aside))
    console().print(f"[bold]{_plain(data.source)}[/bold]", soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, what in rows:
        table.add_row(name, _plain(what))
    print_table(table)


def print_leakage(findings: Sequence[Finding]) -> None:
    """What folds have in common that they should not, one per line, and what was not looked for."""
    leaks = [finding for finding in findings if finding.verdict == "found"]
    for finding in leaks:
        line = f"{finding.detail} ({finding.code}); {finding.remedy}."
        if finding.severity == "error":
            line = f"leakage, the scores will be too good: {line}"
            print_text(_plain(line), "yellow")
        else:
            print_text(_plain(f"{'note' if finding.severity == 'note' else 'leakage perhaps'}: {line}"))
    skipped = [
        f"{finding.title} ({finding.code})" for finding in findings if finding.detail.startswith("not looked for")
    ]
    if skipped:
        line = f"leakage not looked for in data of this size: {', '.join(skipped)}; throughtime.leakage_report does."
        print_text(line, "dim")
    if leaks or skipped:
        console().print()


def print_leakage_line(findings: Sequence[Finding], of: str = "") -> None:
    """In a line beside the scores, what was found between the folds, of a run where there are several."""
    leaks = any(finding.verdict == "found" and finding.severity == "error" for finding in findings)
    line = f"leakage{of}: {leakage_in_words(findings)}{', so the scores are too good' if leaks else ''}."
    print_text(_plain(line), "yellow" if leaks else None)


def print_scores(models: Sequence[ModelScores], metrics: Sequence[str], n_folds: int, test: str | None) -> None:
    """One table per metric: every model on the validation folds and on the test series; seeds as mean and range."""
    for metric in metrics:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column(metric, overflow="fold")
        headings = ["training", f"validation ({n_folds} folds)", "folds pooled", *([] if test is None else ["test"])]
        for heading in headings:
            table.add_column(heading, justify="right")
        for model in models:
            columns = [model.training.get(metric), model.validation[metric], _row_per_seed(model.pooled[metric])]
            if test is not None:
                columns.append(_row_per_seed(model.test[metric]))
            style = "bold" if model is models[-1] else None
            table.add_row(
                _plain(model.name), *(number(mean_score(column)) if column else "" for column in columns), style=style
            )
            n_seeds = len(model.validation[metric])
            if n_seeds > 1:
                table.add_row(f"  over {n_seeds} seeds", *(_range(column) for column in columns if column), style="dim")
        print_table(table)
        console().print()
    console().print(
        "validation: mean over the folds, each scored by models that did not see it; folds pooled: all those "
        "predictions scored together"
        + ("." if test is None else f"; test: {_plain(test)}, by models trained on all folds."),
        style="dim",
    )
    console().print()


def print_folds(net: ModelScores, metric: str, held_out: Sequence[str]) -> None:
    """The network's score on each fold, seeds averaged; only the spread when there are many."""
    by_fold = [nan_mean(seeds) for seeds in zip(*net.validation[metric], strict=True)]
    trained = [nan_mean(seeds) for seeds in zip(*net.training[metric], strict=True)]
    if len(by_fold) > MOST_ROWS:
        known = [score for score in by_fold if not math.isnan(score)]
        if known:
            spread = f"lowest {number(min(known))}, median {number(median(known))}, highest {number(max(known))}"
            console().print(f"{net.name} on {len(by_fold)} folds, {metric}: {spread}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(f"{net.name} by fold, {metric}", overflow="fold")
    table.add_column("training", justify="right")
    table.add_column("validation", justify="right")
    for name, train, validation in zip(held_out, trained, by_fold, strict=True):
        table.add_row(_plain(name), number(train), number(validation))
    print_table(table)
    console().print()


def print_meaning(models: Sequence[ModelScores], intervals: Mapping[str, Interval], folds: Sequence[Fold]) -> None:
    """What the scores say of unseen series; the first metric decides whether a baseline is recommended."""
    *_, net = models
    for metric, interval in intervals.items():
        mean = validation_score(net, metric)
        training = mean_score(net.training[metric])
        if interval.low is None or interval.high is None:
            score = f"[bold]{number(mean)}[/bold]"
        else:
            score = f"[bold]{number(mean)}[/bold] ({number(interval.low)} to {number(interval.high)})"
        print_text(
            f"{metric} on unseen series: {score}; on its training series {number(training)}, "
            f"a gap of {number(training - mean)}."
        )
    methods = {metric: interval.method for metric, interval in intervals.items()}
    if len(set(methods.values())) == 1:
        methods = {"": next(iter(methods.values()))}
    for metric, method in methods.items():
        line = "" if method.startswith("no interval") else "in brackets: "
        pooled = "; the folds pooled instead" if math.isnan(intervals[metric or next(iter(intervals))].mean) else ""
        print_text(f"{metric and metric + ', '}{line}{_plain(method)}{pooled}.", "dim")
    _print_rival(models, next(iter(intervals)), folds)


def _print_rival(models: Sequence[ModelScores], metric: str, folds: Sequence[Fold]) -> None:
    """The best baseline, where it does as well or better."""
    best = best_baseline(models, metric)
    if best is None:
        return
    rival = validation_score(best, metric)
    if rival >= validation_score(models[-1], metric):
        words, tone = against_in_words(models[-1], best, metric, folds)
        line = f"The best baseline, {best.name}, reaches {metric} {number(rival)}: {words}."
        print_text(_plain(line), "yellow" if tone == "bad" else None)


def mean_of(scores: Sequence[float]) -> str:
    """The mean of one score per seed, and their range when there are several."""
    text = number(nan_mean(scores))
    return text if len(scores) == 1 else f"{text} ({number(min(scores))} to {number(max(scores))})"


def _range(table: Sequence[Sequence[float]]) -> str:
    means = [nan_mean(row) for row in table]
    return f"{number(min(means))} to {number(max(means))}"


def _row_per_seed(scores: Sequence[float]) -> list[list[float]]:
    return [[score] for score in scores]


def _channels(data: Description) -> str:
    if data.channels == tuple(map(str, range(data.n_channels))):  # without names
        return f"{data.n_channels}"
    names = ", ".join(data.channels[:6]) + (", ..." if data.n_channels > 6 else "")
    return f"{data.n_channels} ({names})"


def _ranges(data: Description) -> str:
    """The lowest and highest value of every channel; once, where all have the same."""
    ranges = {
        name: "no values" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
        for name, ends in data.range_by_channel.items()
    }
    if len(set(ranges.values())) == 1:
        return next(iter(ranges.values())) + (" in all channels" if len(ranges) > 1 else "")
    listed = [f"{name}: {ends}" for name, ends in list(ranges.items())[:_MOST_RANGES]]
    return ", ".join(listed) + (f", ... ({len(ranges)} channels)" if len(ranges) > _MOST_RANGES else "")


def _sentinels(data: Description) -> str:
    """Values that look like marks of missing ones, the first four."""
    listed = [
        f"{one.name}: {one.value:.6g}, {one.times} times, others {one.minimum:.4g} to {one.maximum:.4g}"
        for one in data.sentinels[:4]
    ]
    more = f" and {len(data.sentinels) - 4} more" if len(data.sentinels) > 4 else ""
    return f"{'; '.join(listed)}{more}; leave such cells empty if they stand for missing values"


def _missing(data: Description) -> str:
    """Where values are missing, the four worst named: of the channels, and of the static features."""
    parts = []
    for of, by_name in (
        (f"{data.missing:.1%} of the values", data.missing_by_channel),
        ("of the static features", data.missing_by_static),
    ):
        missing = sorted((item for item in by_name.items() if item[1]), key=lambda item: -item[1])
        if missing:
            parts.append(f"{of} ({', '.join(f'{name} {fraction:.1%}' for name, fraction in missing[:4])})")
    return "; ".join(parts) or "none"


def _time_step(data: Description) -> str:
    spacing = data.spacing
    assert spacing is not None
    dated = isinstance(data.first_time, str)
    shortest, median, longest = (in_words(span, dated) for span in (spacing.shortest, spacing.median, spacing.longest))
    if spacing.first is None:
        return spacing.step
    name, before, _ = spacing.first
    where = f"in {spacing.n_uneven} of {spacing.n_series} series, the first after {before} in series {name}"
    if spacing.irregular:
        return f"irregular, {shortest} to {longest}, median {median}"
    if not spacing.n_lacking:
        return f"{spacing.step}, but {shortest} to {longest} {where}"
    return f"{spacing.step}; {lacking_in_words(spacing)} {where}"


def _target(data: Description) -> str:
    target = data.target
    assert target is not None
    name = f"{target.name}: " if target.name else ""
    if target.counts is not None:
        counts = list(target.counts.items())
        listed = ", ".join(f"{label} {count}" for label, count in counts[:10]) + (", ..." if len(counts) > 10 else "")
        return f"{name}{len(counts)} classes ({listed})"
    if target.mean is None:
        return f"{name}nothing observed"
    kind = f"a number per step, {target.observed:.0%} observed, " if target.kind == "steps" else "a number per series, "
    spread = f"mean {target.mean:.4g}, sd {target.sd:.4g}, {target.minimum:.4g} to {target.maximum:.4g}"
    return name + kind + spread


def as_typed(path: str | Path) -> str:
    """A path as a shell takes it, which must not be read as markup."""
    return _plain(shlex.quote(str(path)))


def _plain(text: str) -> str:
    """The user's text, which must not be read as markup."""
    from rich.markup import escape

    return escape(text)
