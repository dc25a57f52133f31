"""The verdict in plain words: what the network does on unseen series, and what speaks against believing it."""

import math
from collections.abc import Sequence

from throughtime.generalization import corrected_interval, leakage_in_words
from throughtime.report.parts import Absent, Line, Part, Tone
from throughtime.report.subject import Subject
from throughtime.study import ModelScores, Run, best_baseline, nan_mean, number, score_bounds, validation_score


def verdict(subject: Subject) -> Sequence[Part]:
    """The first section."""
    run = subject.run
    parts: list[Part] = [_of_scores(run)]
    return [*parts, _of_test(run), _of_leakage(run), _of_limits(subject)]


def _of_scores(run: Run) -> Line:
    models, metric = run.metrics.models, run.config["scoring"][0]
    network = models[-1]
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
    words, tone = _against(network, best, metric, run)
    return Line(f"{text}. The best baseline, {best.name}, reaches {number(rival)}: {words}.", tone)


def _against(network: ModelScores, best: ModelScores, metric: str, run: Run) -> tuple[str, Tone]:
    """How the network stands to a baseline, by the interval of their difference on the same folds."""
    of_network, of_best = (
        [nan_mean(fold) for fold in zip(*model.validation[metric], strict=True)] for model in (network, best)
    )
    differences = [a - b for a, b in zip(of_network, of_best, strict=True)]
    interval = corrected_interval(
        differences, [fold.n_train for fold in run.folds], [fold.n_test for fold in run.folds]
    )
    difference = validation_score(network, metric) - validation_score(best, metric)
    size = number(abs(difference))
    if interval.low is None or interval.high is None:
        if number(difference) == number(0.0):
            return "the network does no better", "bad"
        does = "the network does better" if difference > 0 else "the baseline does better"
        return f"{does} by {size}, without an interval", "plain" if difference > 0 else "bad"
    lowest, highest = score_bounds(metric)
    widest = highest - lowest  # of two scores within their bounds
    low, high = max(interval.low, -widest), min(interval.high, widest)
    level = f"{100 * interval.level:g} % interval"
    if interval.low > 0:
        return f"the network does better by {size} ({level} {number(low)} to {number(high)})", "good"
    if interval.high < 0:
        ends = f"{number(-high)} to {number(-low)}"
        return f"the baseline does better by {size} ({level} {ends}); prefer it, or say what the network adds", "bad"
    ends = f"network less baseline, {level} {number(low)} to {number(high)}"
    return f"the folds do not tell which does better ({ends})", "plain"


def _of_test(run: Run) -> Part:
    models, metric = run.metrics.models, run.config["scoring"][0]
    test = nan_mean(models[-1].test.get(metric, []))
    if math.isnan(test):
        return Absent("No test series were set aside.", "throughtime fit SOURCE --split 0.2")
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
