"""The scores of the network and of the baselines, with intervals."""

from collections.abc import Sequence
from functools import partial

from throughtime.generalization import Interval
from throughtime.report.parts import Part, Table
from throughtime.report.subject import Subject
from throughtime.study import ModelScores, mean_score, nan_mean, score_number


def scores(subject: Subject) -> Sequence[Part]:
    """A table per metric."""
    run = subject.run
    has_test = any(any(model.test.values()) for model in run.metrics.models)
    parts: list[Part] = []
    for metric in run.config["scoring"]:
        head = (metric, "training", "validation", "95 % interval", "folds pooled", *(["test"] if has_test else []))
        rows = tuple(
            _row(model, metric, run.metrics.intervals[model.name][metric], has_test) for model in run.metrics.models
        )
        parts.append(Table(f"{metric}: every model", head, rows, len(rows) - 1))
    return parts


def _row(model: ModelScores, metric: str, interval: Interval, has_test: bool) -> tuple[str, ...]:
    number, ends = partial(score_number, metric=metric), "-"
    if interval.low is not None and interval.high is not None:
        ends = f"{number(interval.low)} to {number(interval.high)}"
    training = model.training.get(metric)
    return (
        model.name,
        number(mean_score(training)) if training else "-",
        number(interval.mean),
        ends,
        number(nan_mean(model.pooled[metric])),
        *([number(nan_mean(model.test[metric]))] if has_test else []),
    )
