"""How the networks learned: the loss by epoch, and the scores of the folds."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from throughtime.displays import FoldScoresDisplay, TrainingCurvesDisplay
from throughtime.records import EpochRecord
from throughtime.report.parts import Line, Part, Table
from throughtime.report.splits import unit_of
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.study import Run, name_of_member, nan_mean, number, score_number

#: Of more folds the table has the worst and the best.
MOST_ROWS = 12
_OPTIONAL = ("validation_loss", "eval_loss")


def learning(subject: Subject) -> Sequence[Part]:
    """Learning curves of the folds' networks, and what each fold scored."""
    run = subject.run
    return [*_failures(run), _curves(run), *_folds(run)]


def _failures(run: Run) -> list[Part]:
    """Networks that could not be trained."""
    return [
        Line(f"{name_of_member(member.fold, member.seed, run.seeds)} failed: {member.failure}", "bad")
        for member in run.failures
    ]


def curves_display(run: Run) -> TrainingCurvesDisplay:
    """Learning curves of the folds' networks; of those of all series where every fold failed."""
    loss = "cross-entropy (nats)" if run.config["task"] == "classification" else "squared error (standardized)"
    return TrainingCurvesDisplay(_histories(run), loss)


def _curves(run: Run) -> Part:
    histories, display = _histories(run), curves_display(run)
    ends = [history[-1] for history in histories]
    description = f"At the end the mean on the training series is {number(nan_mean([e.train_loss for e in ends]))}"
    held = [end.eval_loss for end in ends if end.eval_loss is not None]
    if held:
        description += f", on the series held out {number(nan_mean(held))}"
    networks = f"{len(histories)} networks, {max(map(len, histories))} epochs at most. {description}."
    return figure_of(
        display.plot,
        display.figsize,
        f"Loss by epoch: {display.loss}",
        networks,
        f"{description}. A band holds the middle 80 % of the networks; dotted where some have stopped.",
    )


def _histories(run: Run) -> list[list[EpochRecord]]:
    """The epochs of every fold's network, of the network of all series where every fold failed."""
    table = run.curves
    of_folds = table["fold"] != "refit"
    own = of_folds if of_folds.any() else ~of_folds
    names = [name for name in EpochRecord.__dataclass_fields__ if name in table]
    histories: dict[tuple[int, str], list[EpochRecord]] = {}
    for place in np.flatnonzero(own):
        row = {name: table[name][place].item() for name in names}
        values = {name: None if name in _OPTIONAL and np.isnan(value) else value for name, value in row.items()}
        absent = dict.fromkeys(EpochRecord.__dataclass_fields__, None)
        histories.setdefault((int(table["seed"][place]), str(table["fold"][place])), []).append(
            EpochRecord(**(absent | values))  # type: ignore[arg-type]
        )
    return list(histories.values())


def _folds(run: Run) -> list[Part]:
    metric, models = run.config["scoring"][0], run.metrics.models
    by_fold = {model.name: _by_fold(model.validation[metric]) for model in models}
    intervals = {name: by_metric[metric] for name, by_metric in run.metrics.intervals.items()}
    network = models[-1]
    if not any(np.isfinite(values).any() for values in by_fold.values()):
        return [Line(f"No fold has a score of its own ({metric}): the folds are scored together.", "quiet")]
    display = FoldScoresDisplay(by_fold, intervals, metric)
    known = [value for value in by_fold[network.name] if np.isfinite(value)]
    scored = partial(score_number, metric=metric)
    spread = f"{network.name} on {len(known)} folds: {scored(min(known))} to {scored(max(known))}" if known else ""
    parts: list[Part] = [
        figure_of(
            display.plot,
            display.figsize,
            f"{metric} of every fold, by model",
            f"{spread}.",
            "Seeds are averaged within a fold." if run.seeds > 1 else "",
        )
    ]
    if len(run.folds) > MOST_ROWS and all(fold.n_test == 1 for fold in run.folds):
        return parts  # a series is a fold: the worst of them have a section of their own
    unit = unit_of(run)
    head = ("fold", f"{unit} trained on", f"{unit} held out", f"{metric} in training", f"{metric} held out")
    trained = _by_fold(network.training[metric])
    rows = [
        (str(k + 1), str(fold.n_train), str(fold.n_test), scored(training), scored(held))
        for k, (fold, training, held) in enumerate(zip(run.folds, trained, by_fold[network.name], strict=True))
    ]
    caption = f"{network.name} by fold"
    if len(rows) > MOST_ROWS:
        order = np.argsort(by_fold[network.name], kind="stable")[:MOST_ROWS]
        rows, caption = [rows[k] for k in order], f"{caption}, the {MOST_ROWS} worst of {len(rows)}"
    return [*parts, Table(caption, head, tuple(rows))]


def _by_fold(scores: Sequence[Sequence[float]]) -> list[float]:
    """The score of each fold, seeds averaged."""
    return [nan_mean(fold) for fold in zip(*scores, strict=True)]
