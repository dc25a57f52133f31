"""How the networks learned: the loss by epoch, and the score of every fold."""

from collections.abc import Sequence

from throughtime.displays import TrainingCurvesDisplay
from throughtime.report.parts import Part
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of


def learning(subject: Subject) -> Sequence[Part]:
    """Learning curves of the folds' networks."""
    run = subject.run
    histories = [m.estimator.history_ for m in run.members if m.estimator is not None and m.fold is not None]
    loss = "cross-entropy (nats)" if run.config["task"] == "classification" else "squared error (standardized)"
    display = TrainingCurvesDisplay(histories or [run.estimator.history_], loss)
    title = "Loss by epoch"
    description = (
        f"{loss} on the training series and on the series held out, by epoch, of {len(display.train)} networks."
    )
    return [figure_of(display.plot, display.figsize, title, description, "Dotted where some networks have stopped.")]
