"""Two runs on one page: what was set otherwise, their scores with the test of the difference, and how they learned."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from throughtime import storage
from throughtime.displays import TrainingCurvesDisplay
from throughtime.generalization import Comparison, leakage_in_words
from throughtime.records import Record
from throughtime.report.learning import curves_display
from throughtime.report.page import built, rendered
from throughtime.report.parts import Absent, Line, Part, SectionBuilder, Table
from throughtime.report.svg import figure_of
from throughtime.study import (
    IncomparableError,
    Run,
    RunComparison,
    compare_runs,
    differing_settings,
    folds_won_in_words,
    method_in_words,
    nan_mean,
    optimism_in_words,
    outcome_in_words,
    p_in_words,
    score_number,
    series_in,
    validation_score,
    value_in_words,
)

#: So many folds are listed.
_MOST_FOLDS = 20
_NAMES = "first", "second"
#: Hexadecimal digits of a hash that are shown.
_HASH = 12


@dataclass(frozen=True, repr=False, eq=False)
class Pair(Record):
    """Two runs, and their comparison or why there is none."""

    first: Run
    second: Run
    found: RunComparison | IncomparableError


def write_comparison(first: Run, second: Run, path: Path) -> None:
    """Write the page of two runs into a new file.

    Raises
    ------
    StorageError
        When the file exists or cannot be written, or a file of a run is damaged.
    """
    storage.claim_file(path)
    storage.write_file(path, comparison_page(first, second))


def comparison_page(first: Run, second: Run) -> bytes:
    """The page of two runs, UTF-8."""
    try:
        found: RunComparison | IncomparableError = compare_runs(first, second)
    except IncomparableError as error:
        found = error
    title = f"{first.directory_name} compared with {second.directory_name}"
    subtitle = " ".join(
        f"{name.capitalize()}: {_network(run)} on {run.config['source']}, written "
        f"{run.created[:16].replace('T', ' ')} UTC."
        for name, run in zip(_NAMES, (first, second), strict=True)
    )
    command = shlex.join(["throughtime", "compare", str(first.directory), str(second.directory)])
    footer = f"In a terminal: {command}"
    return rendered(title, subtitle, built(PAIR_SECTIONS, Pair(first, second, found)), footer)


def _verdict(pair: Pair) -> Iterator[Part]:
    """Which does better, or that this cannot be said; and what speaks against believing it."""
    found = pair.found
    if isinstance(found, IncomparableError):
        yield Line(f"The scores of these runs cannot be compared: {found.reason}.", "bad")
        if found.command:
            yield Absent(f"{found.cure[0].upper()}{found.cure[1:]}:", found.command)
    else:
        metric, comparison = next(iter(found.comparisons.items()))
        n = len(series_in(found.first.folds))
        yield Line(f"{_outcome(metric, comparison)} Both were validated on the same {len(found.first.folds)} folds of "
                   f"{n} series.", "plain")  # fmt: skip
        for optimism in dict.fromkeys(map(optimism_in_words, (found.first, found.second))):
            if optimism:
                yield Line(optimism, "bad")
    leakage = [leakage_in_words(run.findings) for run in (pair.first, pair.second)]
    leaks = any(
        one.verdict == "found" and one.severity == "error" for run in (pair.first, pair.second) for one in run.findings
    )
    words = leakage[0] if leakage[0] == leakage[1] else f"of the first {leakage[0]}, of the second {leakage[1]}"
    yield Line(f"Leakage: {words}{', so scores are too good' if leaks else ''}.", "bad" if leaks else "plain")


def _outcome(metric: str, comparison: Comparison) -> str:
    difference = comparison.difference
    first, second = (nan_mean(scores) for scores in (comparison.first, comparison.second))
    number = partial(score_number, metric=metric)
    outcome = outcome_in_words(comparison) or "with one fold there is no interval that says which does better"
    text = f"{outcome[0].upper()}{outcome[1:]}: {metric} {number(first)} of the first, {number(second)} of the second"
    if difference.low is None or difference.high is None or comparison.p_value is None:
        return f"{text}."
    ends = (
        f"{100 * difference.level:g} % interval of the difference {number(difference.low)} to {number(difference.high)}"
    )
    return f"{text} ({ends}, p {p_in_words(comparison.p_value)})."


def _scores(pair: Pair) -> Iterator[Part]:
    """Validation scores beside each other with the test of their difference, then those on test series."""
    found = pair.found
    if isinstance(found, IncomparableError):
        yield _beside(pair, "Validation scores", "validation")
        yield Line("Each is of its own folds: not to be compared.", "quiet")
    else:
        head = "score", *_NAMES, "difference", "95 % interval", "p"
        rows = tuple(_difference(metric, comparison) for metric, comparison in found.comparisons.items())
        yield Table("Validation scores, first less second", head, rows)
        yield Line(method_in_words(found, "Intervals"), "quiet")
    if any(any(run.metrics.models[-1].test.values()) for run in (pair.first, pair.second)):
        yield _beside(pair, "Scores on test series", "test")
        yield Line("Each is of its own test series: compared only if those are the same.", "quiet")


def _beside(pair: Pair, caption: str, of: str) -> Table:
    """The scores of both, by the names of all metrics that either has."""
    models = [run.metrics.models[-1] for run in (pair.first, pair.second)]
    rows = []
    for metric in dict.fromkeys(name for model in models for name in model.validation):
        scores = [
            math.nan if metric not in model.validation
            else validation_score(model, metric) if of == "validation" else nan_mean(model.test.get(metric, []))
            for model in models
        ]  # fmt: skip
        rows.append((metric, *(score_number(score, metric) for score in scores)))
    return Table(caption, ("score", *_NAMES), tuple(rows))


def _difference(metric: str, comparison: Comparison) -> tuple[str, ...]:
    difference = comparison.difference
    low, high = difference.low, difference.high
    number = partial(score_number, metric=metric)
    return (
        metric,
        *(number(nan_mean(scores)) for scores in (comparison.first, comparison.second)),
        number(difference.mean),
        "-" if low is None or high is None else f"{number(low)} to {number(high)}",
        "-" if comparison.p_value is None else p_in_words(comparison.p_value).removeprefix("= "),
    )


def _folds(pair: Pair) -> Iterator[Part]:
    """The scores of every fold, of the metric that decides."""
    found = pair.found
    if isinstance(found, IncomparableError):
        yield Absent("Only runs with the same folds have scores to set side by side.")
        return
    metric, comparison = next(iter(found.comparisons.items()))
    yield Line(f"{metric}: {folds_won_in_words(comparison)}.")
    if len(comparison.first) > _MOST_FOLDS:
        return
    number = partial(score_number, metric=metric)
    rows = tuple(
        (str(place), str(len(fold.test)), number(a), number(b), number(a - b))
        for place, (a, b, fold) in enumerate(
            zip(comparison.first, comparison.second, found.first.folds, strict=True), 1
        )
    )
    yield Table(f"{metric} of every fold", ("fold", "series", *_NAMES, "difference"), rows)


def _learning(pair: Pair) -> Iterator[Part]:
    """The learning curves of both, to one scale where their losses are of one kind."""
    displays = [curves_display(run) for run in (pair.first, pair.second)]
    alike = displays[0].loss == displays[1].loss
    if not alike:
        yield Line("The losses are not of one kind: one run classifies, the other predicts numbers.", "quiet")
    for name, run, display in zip(_NAMES, (pair.first, pair.second), displays, strict=True):
        text = f"{display.loss} by epoch on the training series and on those held out, of {len(display.train)} networks"
        draw = partial(_draw_to_scale, display, displays if alike else [display])
        caption = f"The {name}, {run.directory.name}: {_network(run)}."
        yield figure_of(draw, display.figsize, f"Loss by epoch, {name}", f"{text} of the {name} run.", caption)


def _draw_to_scale(display: TrainingCurvesDisplay, displays: Sequence[TrainingCurvesDisplay], ax: Axes) -> None:
    """Draw one, with axes that would hold all."""
    display.plot(ax)
    losses = np.concatenate([one.ravel() for shown in displays for one in (shown.train, shown.validation)])
    losses = losses[losses > 0]  # on a logarithmic axis
    ax.set_xlim(1, max(2, *(shown.train.shape[1] for shown in displays)))
    if len(losses):
        ax.set_ylim(losses.min() / 1.1, losses.max() * 1.1)


def _settings(pair: Pair) -> Iterator[Part]:
    """What was set otherwise: the data, how they were read and divided, the network and its training."""
    configs = pair.first.config, pair.second.config
    first, second = map(_read_and_divided, configs)
    rows = [(name, first[name], second[name]) for name in first if first[name] != second[name]]
    rows += [(name, *values) for name, values in differing_settings(*configs).items()]
    if rows:
        yield Table("Settings that differ", ("setting", *_NAMES), tuple(rows))
        yield Line("All other settings are the same.", "quiet")
    else:
        same = pair.first.directory.resolve() == pair.second.directory.resolve()
        yield Line("Both are the same run." if same else "No setting differs.")


def _read_and_divided(config: Mapping[str, Any]) -> dict[str, str]:
    """How a run's series were read, set aside and divided, in words."""
    said = {name: config[name] for name in ("source", "test", "split", "cv", "season")}
    said["scoring"] = ", ".join(config["scoring"])
    said |= {name: value for name, value in config["columns"].items() if name not in ("channels", "static")}
    return {name: value_in_words(value) for name, value in said.items()}


def _origins(pair: Pair) -> Iterator[Part]:
    """Where each came from."""
    origins = [_origin(run) for run in (pair.first, pair.second)]
    rows = tuple((name, *(origin[name] for origin in origins)) for name in origins[0])
    yield Table("Where each run is from", ("origin", *_NAMES), rows)


def _origin(run: Run) -> dict[str, str]:
    """What a run was made of and with, and when."""
    marks = run.data.fingerprint or {}
    return {
        "directory": str(run.directory),
        "network": _network(run),
        "data": run.config["source"],
        "folds": f"{len(run.folds)} (--cv {run.config['cv']})",
        "written": run.created,
        "hash of the targets": marks.get("targets", "-")[:_HASH],
        "hash of the inputs": marks.get("inputs", "-")[:_HASH],
        **{name: version or "-" for name, version in run.versions.items()},
        "instruction set": str(run.facts.get("instruction_set", "-")),
    }


def _network(run: Run) -> str:
    """What the network is called."""
    return run.metrics.models[-1].name


#: Whoever adds a section of two runs puts it here.
PAIR_SECTIONS: tuple[SectionBuilder[Pair], ...] = (
    SectionBuilder("verdict", "Verdict", _verdict),
    SectionBuilder("scores", "Scores", _scores),
    SectionBuilder("folds", "Folds", _folds),
    SectionBuilder("learning", "Learning", _learning),
    SectionBuilder("settings", "Settings", _settings),
    SectionBuilder("origins", "Origins", _origins),
)
