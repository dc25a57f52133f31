"""How the networks learned: the loss by epoch, and the score of every fold."""

from collections.abc import Sequence

from throughtime.displays import TrainingCurvesDisplay
from throughtime.report.parts import Part
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.study import Run


def learning(subject: Subject) -> Sequence[Part]:
    """Learning curves of the folds' networks."""
    display = curves_display(subject.run)
    title = "Loss by epoch"
    description = (
        f"{display.loss} on the training series and on the series held out, by epoch, of {len(display.train)} networks."
    )
    return [figure_of(display.plot, display.figsize, title, description, "Dotted where some networks have stopped.")]


def curves_display(run: Run) -> TrainingCurvesDisplay:
    """Learning curves of the folds' networks; of those of all series where every fold failed."""
    histories = [m.estimator.history_ for m in run.members if m.estimator is not None and m.fold is not None]
    loss = "cross-entropy (nats)" if run.config["task"] == "classification" else "squared error (standardized)"
    return TrainingCurvesDisplay(histories or [run.estimator.history_], loss)
