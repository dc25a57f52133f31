"""What was predicted for which truth: confusion and calibration, or predicted against observed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray

from throughtime.displays import CalibrationDisplay, ConfusionMatrixDisplay, PredictionsDisplay
from throughtime.report.parts import Absent, Figure, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.report.target_losses import first_seed
from throughtime.study import Run, number
from throughtime.study import Table as Columns

#: Of more points in a plane so many are drawn, evenly from all.
MOST_POINTS = 4000
#: Of more classes the matrix has no figure, since its cells could not be told apart.
MOST_CLASSES = 40
#: The matrix of more classes has the page's width, so that its numbers can be read.
MOST_BESIDE = 14
#: Mistakes that are listed.
MOST_MISTAKES = 8


def predictions(subject: Subject) -> Sequence[Part]:
    """Of the folds, and of the test."""
    run = subject.run
    which = " (first seed)" if run.seeds > 1 else ""
    parts: list[Part] = []
    for table, where in ((run.out_of_fold, f"Series held out{which}"), (run.test_predictions, f"Test series{which}")):
        if table is not None:
            first = first_seed(table)
            make = _of_classes if run.config["task"] == "classification" else _of_values
            parts += make(run, first, where)
    if run.out_of_fold is None:
        parts.insert(0, Line("No fold has predictions: every network of the folds failed.", "bad"))
    if run.test_predictions is None:
        parts.append(Absent("No test series were set aside.", "throughtime fit SOURCE --split 0.2"))
    return parts


def _of_classes(run: Run, table: Columns, where: str) -> list[Part]:
    truth, predicted = table["truth"], table["prediction"]
    classes = run.estimator.classes_
    labels = np.union1d(classes, truth)
    right = float(np.mean(truth == predicted))
    mistakes = Counter((str(t), str(p)) for t, p in zip(truth.tolist(), predicted.tolist(), strict=True) if t != p)
    summary = f"{right:.1%} of {len(truth)} predictions are right"
    if mistakes:
        (true, other), times = min(mistakes.items(), key=lambda item: (-item[1], item[0]))
        summary += f"; most often {true} was taken for {other}, {times} time{'s' * (times > 1)}"
    parts: list[Part] = []
    if len(labels) <= MOST_CLASSES:
        draw = partial(ConfusionMatrixDisplay.from_predictions, truth, predicted, labels=labels)
        size = ConfusionMatrixDisplay.size_of(len(labels), letters=max(len(str(label)) for label in labels.tolist()))
        matrix = figure_of(
            lambda ax: draw(ax=ax),
            size,
            f"Confusion matrix, {where.lower()}",
            f"{summary}.",
            f"{where}: {summary}.",
        )
        parts.append(replace(matrix, wide=len(labels) > MOST_BESIDE))
    calibration = _calibration(table, classes, where)
    parts += [] if calibration is None else [calibration]
    if len(labels) > 2 and mistakes:
        common = sorted(mistakes.items(), key=lambda item: (-item[1], item[0]))[:MOST_MISTAKES]
        rows = tuple((true, other, str(times)) for (true, other), times in common)
        parts.append(
            Table(f"Most frequent mistakes, {where.lower()}", ("true class", "predicted class", "times"), rows)
        )
    return parts


def _calibration(table: Columns, classes: ndarray, where: str) -> Figure | None:
    names = [f"probability_{label}" for label in classes.tolist()]
    known = np.array([name in table for name in names])
    if not known.any():
        return None
    probabilities = np.nan_to_num(np.column_stack([table[name] for name in names if name in table]))
    draw = partial(
        CalibrationDisplay.from_predictions, table["truth"], probabilities, labels=classes[known], name="network"
    )
    highest = probabilities.max(1)
    right = float(np.mean(table["truth"] == table["prediction"]))
    words = (
        f"The predicted class has a mean probability of {number(float(highest.mean()))} and is right in {right:.1%} of "
        f"{len(highest)} cases"
    )
    return figure_of(
        lambda ax: draw(ax=ax),
        CalibrationDisplay.figsize,
        f"Calibration, {where.lower()}",
        f"{words}.",
        f"{where}: on the diagonal, a class predicted with 80 % comes true in 80 % of cases.",
    )


def _of_values(run: Run, table: Columns, where: str) -> list[Part]:
    truth, predicted = table["truth"].astype(float), table["prediction"].astype(float)
    error = predicted - truth
    summary = f"root mean square error {number(float(np.sqrt((error**2).mean())))}, mean error {number(error.mean())}"
    times = table.get("time")
    shown = np.arange(len(truth))
    if len(truth) > MOST_POINTS:
        shown = np.linspace(0, len(truth) - 1, MOST_POINTS).round().astype(int)
    display = PredictionsDisplay(
        truth[shown],
        predicted[shown],
        None if times is None else times[shown],
        run.config["target"] or "target",
        run.config["columns"]["time"] or "time",
    )
    some = f" {len(shown):,} of them are drawn, evenly from all." if len(shown) < len(truth) else ""

    def draw(ax: Axes) -> None:
        display.plot(ax)
        if some:
            ax.set_title(f"{len(shown):,} of {len(truth):,} predictions", fontsize=10, loc="left")

    caption = f"{where}: {len(truth):,} predictions, {summary}.{some}"
    return [figure_of(draw, display.figsize, f"Predicted against observed, {where.lower()}", f"{summary}.", caption)]
