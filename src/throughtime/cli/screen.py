"""What the commands print: descriptions, tables of scores, and what they mean."""

import math
import sys
from collections.abc import Sequence
from functools import cache

from rich.console import Console
from rich.table import Table

from throughtime.data import Description
from throughtime.generalization import Interval, ModelScores

#: Beyond so many, folds are summarized.
MOST_ROWS = 12


@cache
def console() -> Console:
    """Standard output; as wide as a page where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 100, soft_wrap=False)


def print_description(data: Description) -> None:
    """What a data set holds, in a few lines."""
    lengths = data.lengths
    steps = (
        f"{lengths.minimum:.0f} steps each"
        if lengths.minimum == lengths.maximum
        else f"{lengths.minimum:.0f} to {lengths.maximum:.0f} steps "
        f"(quartiles {lengths.lower_quartile:.0f}, {lengths.median:.0f}, {lengths.upper_quartile:.0f})"
    )
    rows = [("series", f"{data.n_series}, {steps}"), ("channels", _channels(data))]
    if data.n_static:
        rows.append(("static", f"{data.n_static} features"))
    if data.target is not None:
        rows.append(("target", _target(data)))
    if data.n_groups is not None:
        rows.append(("groups", f"{data.n_groups}"))
    if data.first_time is not None:
        rows.append(("times", f"{data.first_time} to {data.last_time}"))
    missing = {name: share for name, share in data.missing_by_channel.items() if share}
    worst = ", ".join(f"{name} {share:.1%}" for name, share in sorted(missing.items(), key=lambda item: -item[1])[:4])
    rows.append(("missing", f"{data.missing:.1%} of the values ({worst})" if missing else "no value"))
    if data.duplicates:
        rows.append(("duplicates", f"{data.duplicates} series equal an earlier one: folds may share them"))
    console().print(f"[bold]{_plain(data.source)}[/bold]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, what in rows:
        table.add_row(name, _plain(what))
    console().print(table)


def print_scores(models: Sequence[ModelScores], metrics: Sequence[str], n_folds: int, test: str | None) -> None:
    """One table a metric: every model on the validation folds and on the test series; seeds as mean and range."""
    for metric in metrics:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), title_justify="left")
        table.add_column(metric, no_wrap=True)
        headings = ["training", f"validation ({n_folds} folds)", "folds pooled", *([] if test is None else ["test"])]
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        for model in models:
            cells = [model.name, mean_of(model.training.get(metric)), mean_of(model.validation[metric])]
            cells.append(mean_of([[score] for score in model.pooled[metric]]))
            if test is not None:
                cells.append(mean_of([[score] for score in model.test[metric]]))
            table.add_row(*map(_plain, cells), style="bold" if model is models[-1] else None)
        console().print(table)
        console().print()


def print_folds(net: ModelScores, metric: str, held_out: Sequence[str]) -> None:
    """The network's score on each fold, seeds averaged; only the spread when there are many."""
    by_fold = [nan_mean(seeds) for seeds in zip(*net.validation[metric], strict=True)]
    trained = [nan_mean(seeds) for seeds in zip(*net.training[metric], strict=True)]
    if len(by_fold) > MOST_ROWS:
        known = sorted(score for score in by_fold if not math.isnan(score))
        if known:
            middle = known[len(known) // 2]
            console().print(
                f"{len(by_fold)} folds, {metric}: lowest {number(known[0])}, median {number(middle)}, "
                f"highest {number(known[-1])}"
            )
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(f"{net.name} by fold", no_wrap=True)
    table.add_column("training", justify="right")
    table.add_column("validation", justify="right")
    for name, train, validation in zip(held_out, trained, by_fold, strict=True):
        table.add_row(_plain(name), number(train), number(validation))
    console().print(table)
    console().print()


def print_meaning(models: Sequence[ModelScores], metric: str, interval: Interval) -> None:
    """What the scores say of unseen series."""
    *others, net = models
    if interval.low is None or interval.high is None:
        console().print(f"{metric} on unseen series: {number(interval.mean)}; {interval.method}.", soft_wrap=True)
    else:
        console().print(
            f"{metric} on unseen series: [bold]{number(interval.mean)}[/bold], "
            f"{number(interval.low)} to {number(interval.high)} ({_plain(interval.method)}).",
            soft_wrap=True,
        )
    training = nan_mean([score for seed in net.training[metric] for score in seed])
    console().print(
        f"Training {number(training)} against validation {number(interval.mean)}: "
        f"a gap of {number(abs(training - interval.mean))}.",
        soft_wrap=True,
    )
    best = max(others, key=lambda model: _ranked(model.validation[metric]))
    rival = _ranked(best.validation[metric])
    if rival >= interval.mean:
        console().print(
            f"[yellow]The {_plain(best.name)} baseline does as well ({number(rival)}): "
            "prefer it, or say what the net adds.[/yellow]",
            soft_wrap=True,
        )


def mean_of(table: Sequence[Sequence[float]] | None) -> str:
    """The mean of a table of scores, and the spread of its rows (seeds) when there are several."""
    if not table:
        return ""
    means = [nan_mean(row) for row in table]
    text = number(nan_mean(means))
    return text if len(means) == 1 else f"{text} ({number(min(means))}-{number(max(means))})"


def nan_mean(scores: Sequence[float]) -> float:
    """The mean of the scores there are."""
    known = [score for score in scores if not math.isnan(score)]
    return sum(known) / len(known) if known else math.nan


def number(score: float) -> str:
    """Three decimals, or a dash for a score that cannot be had."""
    return "-" if math.isnan(score) else f"{score:.3f}"


def _ranked(table: Sequence[Sequence[float]]) -> float:
    mean = nan_mean([score for row in table for score in row])
    return -math.inf if math.isnan(mean) else mean


def _channels(data: Description) -> str:
    if data.channels == tuple(map(str, range(data.n_channels))):  # without names
        return f"{data.n_channels}"
    names = ", ".join(data.channels[:6]) + (", ..." if data.n_channels > 6 else "")
    return f"{data.n_channels} ({names})"


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
    each = f"a number each step, {target.observed:.0%} observed, " if target.kind == "steps" else "a number a series, "
    spread = f"mean {target.mean:.4g}, sd {target.sd:.4g}, {target.minimum:.4g} to {target.maximum:.4g}"
    return name + each + spread


def _plain(text: str) -> str:
    """Text of the user's own, that must not be read as markup."""
    from rich.markup import escape

    return escape(text)
