"""Two runs on the same folds: how much better one is, by `paired_comparison`, and what was set otherwise."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.errors import StorageError
from throughtime.generalization import Comparison, Finding, paired_comparison
from throughtime.records import Record, Records
from throughtime.study.commands import command_of
from throughtime.study.results import Fold
from throughtime.study.run import Run
from throughtime.study.score_text import nan_mean

#: Neither what was learned nor how it was scored depends on these.
_NO_MATTER = ("verbose",)


class IncomparableError(StorageError):
    """Two runs whose scores are not of the same series, folds and metrics.

    Attributes
    ----------
    reason
        What they would need, and what they are.
    cure, command
        What would help, and the command for it; empty where nothing would.
    """

    def __init__(self, reason: str, cure: str = "", command: str = "") -> None:
        super().__init__(f"{reason}; {cure}: {command}" if command else reason)
        self.reason, self.cure, self.command = reason, cure, command


@dataclass(frozen=True, repr=False, eq=False)
class FoldScores(Record):
    """What a run keeps of its cross-validation: ``scores`` by metric, one per fold, seeds averaged."""

    run: Path
    name: str
    settings: dict[str, Any]
    fingerprint: dict[str, str]
    folds: list[Fold]
    findings: Records[Finding]
    scores: dict[str, list[float]]


@dataclass(frozen=True, repr=False, eq=False)
class RunComparison(Record):
    """Two runs on the same folds, and by metric the first's scores less the second's."""

    first: FoldScores
    second: FoldScores
    comparisons: dict[str, Comparison]


def compare_runs(first: Run, second: Run) -> RunComparison:
    """Compare two runs, by every metric that they have in common.

    Raises
    ------
    IncomparableError
        When a run was not cross-validated, or the two are of other series, folds or scores.
    StorageError
        When a run is damaged.
    """
    one, other = _fold_scores_of(first), _fold_scores_of(second)
    _refuse_strangers(one, other)
    metrics = [metric for metric in one.scores if metric in other.scores]
    n_train, n_test = ([getattr(fold, name) for fold in one.folds] for name in ("n_train", "n_test"))
    comparisons = {
        metric: paired_comparison(one.scores[metric], other.scores[metric], n_train, n_test) for metric in metrics
    }
    if all(math.isnan(comparison.difference.mean) for comparison in comparisons.values()):
        raise IncomparableError(
            f"{one.run} and {other.run} need a fold in which both have {' or '.join(metrics)}, got none",
            "fewer folds have more series each",
            command_of(one.settings, cv=5),
        )
    return RunComparison(one, other, comparisons)


def differing_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What was asked of two runs, by their ``config``, where it differs: in words, a dash where one has none."""
    mine, its = _what_was_set(first), _what_was_set(second)
    return {
        name: (mine.get(name, "-"), its.get(name, "-")) for name in {**mine, **its} if mine.get(name) != its.get(name)
    }


def _fold_scores_of(run: Run) -> FoldScores:
    directory = run.directory
    if "folds.json" not in run.names:
        raise IncomparableError(
            f"{directory} needs the scores of folds to be compared, got a network without any",
            "this makes a run that has them",
            "throughtime fit SOURCE --cv 5",
        )
    settings, fingerprint = run.config, run.data.fingerprint
    if fingerprint is None:
        raise IncomparableError(
            f"{directory} needs the fingerprint of its series to be compared, got a run of an earlier version",
            "make it again",
            f"throughtime fit {shlex.quote(settings['source'])} --cv {settings['cv']}",
        )
    network = run.metrics.models[-1]
    scores = {
        metric: [nan_mean(fold) for fold in zip(*network.validation[metric], strict=True)]
        for metric in settings["scoring"]
    }
    return FoldScores(directory, network.name, settings, fingerprint, run.folds, run.findings, scores)


def _refuse_strangers(one: FoldScores, other: FoldScores) -> None:
    """Refuse runs whose scores are not of the same series, folds and metric; the command would make one that fits."""
    both = f"{one.run} and {other.run}"
    tasks = [scored.settings["task"] for scored in (one, other)]
    if tasks[0] != tasks[1]:
        raise IncomparableError(f"{both} need the same task to be compared, got {' and '.join(tasks)}")
    wanted: dict[str, Any] = {"cv": one.settings["cv"]}
    wanted["random_state"] = one.settings["parameters"]["random_state"]
    wanted["scoring"] = one.settings["scorers"]
    for name in ("test", "split"):
        wanted[name] = one.settings[name]
    again = command_of(other.settings, **wanted)
    if one.fingerprint["targets"] != other.fingerprint["targets"]:
        of = (f"{s.settings['source']} ({len(series_in(s.folds))} series)" for s in (one, other))
        alike = command_of(other.settings | {name: one.settings[name] for name in ("source", "columns")}, **wanted)
        raise IncomparableError(
            f"{both} need the same series, targets and groups to be compared, got {' and '.join(of)}, which differ",
            "train the second on the first's",
            alike,
        )
    if one.fingerprint["inputs"] != other.fingerprint["inputs"] and _inputs(one.settings) == _inputs(other.settings):
        raise IncomparableError(
            f"{both} need the same values in the channels to be compared, got {one.settings['source']} changed between "
            "them",
            "train the older again",
            command_of(one.settings),
        )
    if [_sides(fold) for fold in one.folds] != [_sides(fold) for fold in other.folds]:
        of = (
            f"{len(s.folds)} folds of --cv {s.settings['cv']} --random-state {s.settings['parameters']['random_state']}"
            for s in (one, other)
        )
        raise IncomparableError(
            f"{both} need the same folds to be compared, got {' and '.join(of)}",
            "train the second on the first's",
            again,
        )
    if not set(one.scores) & set(other.scores):
        of = (", ".join(s.scores) for s in (one, other))
        raise IncomparableError(
            f"{both} need a score in common to be compared, got {' and '.join(of)}",
            "train the second with the first's",
            again,
        )


def series_in(folds: list[Fold]) -> set[int]:
    """The series that are in any fold."""
    return {row for fold in folds for side in _sides(fold) for row in side}


def _sides(fold: Fold) -> tuple[list[int], list[int]]:
    return fold.train.tolist(), fold.test.tolist()


def _what_was_set(settings: Mapping[str, Any]) -> dict[str, str]:
    chosen = {name: value for name, value in settings["parameters"].items() if name not in _NO_MATTER}
    channels, static = _inputs(settings)
    chosen |= {"task": settings["task"], "seeds": settings["seeds"], "channels": channels, "static": static}
    return {name: _in_words(value) for name, value in chosen.items()}


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _inputs(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    return settings["channels"], settings["columns"]["static"]
