"""The verdict in plain words: what the network does on unseen series, and what speaks against believing it."""

import math
from collections.abc import Sequence
from functools import partial

from throughtime.generalization import leakage_in_words
from throughtime.report.parts import Absent, Line, Part
from throughtime.report.subject import Subject
from throughtime.study import Run, against_in_words, best_baseline, nan_mean, score_number, validation_score


def verdict(subject: Subject) -> Sequence[Part]:
    """The first section."""
    run = subject.run
    parts: list[Part] = [_of_scores(run)]
    return [*parts, _of_test(run), _of_leakage(run), _of_limits(subject)]


def _of_scores(run: Run) -> Line:
    models, metric = run.metrics.models, run.config["scoring"][0]
    network = models[-1]
    number = partial(score_number, metric=metric)
    mean = validation_score(network, metric)
    interval = run.metrics.intervals[network.name][metric]
    if math.isnan(mean):
        return Line(f"How {network.name} does on unseen series is not known: no fold has a score ({metric}).", "bad")
    score = f"{metric} {number(mean)}"
    if interval.low is not None and interval.high is not None:
        score += f" ({100 * interval.level:g} % interval {number(interval.low)} to {number(interval.high)})"
    text = f"On series it has not seen, {network.name} reaches {score}"
    best = best_baseline(models, metric)
    if best is None:
        return Line(f"{text}. No baseline was scored to compare it with.", "plain")
    rival = validation_score(best, metric)
    words, tone = against_in_words(network, best, metric, run.folds)
    return Line(f"{text}. The best baseline, {best.name}, reaches {number(rival)}: {words}.", tone)


def _of_test(run: Run) -> Part:
    models, metric = run.metrics.models, run.config["scoring"][0]
    test = nan_mean(models[-1].test.get(metric, []))
    if math.isnan(test):
        return Absent("No test series were set aside.", "throughtime fit SOURCE --split 0.2")
    number = partial(score_number, metric=metric)
    best = best_baseline(models, metric)
    rival = math.nan if best is None else nan_mean(best.test.get(metric, []))
    beside = "" if best is None or math.isnan(rival) else f", {best.name} {number(rival)}"
    return Line(f"On the test series, which no choice has looked at, it reaches {metric} {number(test)}{beside}.")


def _of_leakage(run: Run) -> Line:
    leaks = any(finding.verdict == "found" and finding.severity == "error" for finding in run.findings)
    end = ", so the scores are too good" if leaks else ""
    return Line(f"Leakage: {leakage_in_words(run.findings)}{end}.", "bad" if leaks else "plain")


def _of_limits(subject: Subject) -> Part:
    if subject.diagnosis is None:
        return Absent("Not diagnosed yet: what limits this network.", "throughtime diagnose RUN --out DIAGNOSIS")
    return Line(subject.diagnosis.sentence)
