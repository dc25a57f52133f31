"""``throughtime fit``: read, describe, compare with baselines, train all folds in lockstep, report, write the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from rich.markup import escape

from throughtime import study
from throughtime.cli.command_request import CommandRequest
from throughtime.cli.options import Task
from throughtime.cli.plan import place_of, plan_of, tables_of
from throughtime.cli.run_in_progress import METRICS, RunInProgress, begun, resumed
from throughtime.cli.screen import (
    as_typed,
    console,
    print_folds,
    print_leakage_line,
    print_meaning,
    print_scores,
    print_text,
)
from throughtime.data import Dataset
from throughtime.estimators import DEFAULT_BUDGET, SequenceEstimator
from throughtime.generalization import observed_targets
from throughtime.storage import UnfinishedRun


def fit(
    source: str,
    data: Mapping[str, Any],
    validation: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
    report: bool = True,
) -> study.Study:
    """Do the main job.

    Parameters
    ----------
    data, validation, flags, config
        As `tables_of` takes them.
    out
        New directory of the run.
    report
        Whether to write a page of the run.
    """
    asked = CommandRequest("fit", source, task, tables_of(data, validation, flags, config), {"report": report})
    place = place_of(source, out)
    plan = plan_of(asked)
    asked = asked.with_seed(plan.model.random_state)
    facts = study.run_facts(plan.model)
    with begun(place, asked, study.marks_of_plan(plan), facts, number_of_networks(plan)) as in_progress:
        return _made(plan, in_progress)


def go_on(run: UnfinishedRun, asked: CommandRequest) -> study.Study:
    """Do what is left of the main job in a run that was begun."""
    plan = plan_of(asked)
    with resumed(run, study.marks_of_plan(plan)) as in_progress:
        return _made(plan, in_progress)


def number_of_networks(plan: study.Plan) -> int:
    """Those of the folds, and one of all series, per seed."""
    return (len(plan.splits) + 1) * plan.seeds


def _made(plan: study.Plan, in_progress: RunInProgress) -> study.Study:
    finished = train(plan, in_progress)
    console().print(f"{number_of_networks(plan)} networks trained in lockstep in {finished.config['seconds']:.0f} s\n")
    try:
        in_progress.finish(finished)
    finally:  # scores are worth reading though their run could not be kept
        print_study(finished)
    print_written(in_progress.run.directory, in_progress.report)
    return finished


def train(
    plan: study.Plan,
    in_progress: RunInProgress,
    search: study.Ranking | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> study.Study:
    """Train a plan, its baselines named on the screen while they are trained."""
    with console().status("baselines") as status:
        baselines = study.score_baselines(
            plan, lambda name: status.update(f"baseline: {name}"), kept=in_progress.baselines
        )
    names = [{"seed": seed, "fold": fold} for seed, fold in study.members_of(len(plan.splits), plan.seeds)]
    return study.train(
        plan,
        baselines=baselines,
        search=search,
        memory_budget=memory_budget,
        checkpoints=in_progress.checkpoints,
        observers=[in_progress.metric_log(METRICS, names)],
    )


def print_study(finished: study.Study) -> None:
    """The scores of every fold, and what they mean."""
    data, test, splits, assessment = finished.train, finished.test, finished.splits, finished.assessment
    models, metrics = finished.metrics.models, finished.config["scoring"]
    network = models[-1]
    print_scores(models, metrics, len(splits), None if test is None else test.source)
    print_folds(network, metrics[0], [_held_out(finished, fold, rows) for fold, (_, rows) in enumerate(splits)])
    for seed, folds in enumerate(assessment.folds):
        for fold, member in enumerate(folds):
            if isinstance(member, Exception):
                which = study.name_of_member(fold, seed, len(assessment.folds))
                print_text(f"{which} failed: {escape(str(member))}", "red")
    print_meaning(models, finished.metrics.intervals[network.name], finished.folds)
    print_leakage_line(finished.findings)
    print_test_shift(finished)
    print_reach(finished.estimator)
    if {"AUROC", "AUPRC"} & set(metrics):
        _print_prevalence(data, test)


def print_reach(model: SequenceEstimator) -> None:
    """How far back the gradient of the trained network reaches, by the record that was made of it after training."""
    records = getattr(model, "flow_", ())
    if records:
        k2 = model.k2 if model.bptt == "truncated" else None
        reach = study.reach_in_words(records[-1].gradient_horizon, int(records[-1].lags[-1]), k2)
        print_text(f"Gradient of the last state: {reach}; throughtime flow says more.")


def print_test_shift(finished: study.Study) -> None:
    """Whether test and training differ, in a line."""
    found = finished.shift_to_test
    if isinstance(found, str):
        print_text(escape(f"test against training: not compared, {found}."), "dim")
    elif found is not None:
        shifted = found.verdict not in ("none detected", "insufficient")
        print_text(escape(f"test against training: {found.verdict}. {found.sentence}"), "yellow" if shifted else None)


def print_written(out: Path, report: bool = False) -> None:
    """Where the run and its page are, and what to do with it."""
    where = as_typed(out)
    console().print(
        f"\nwritten to {where}; next: throughtime predict {where} SOURCE -o predictions.csv", soft_wrap=True
    )
    if report:
        console().print(f"report: {as_typed(out / study.REPORT)}", soft_wrap=True)


def _held_out(finished: study.Study, fold: int, rows: ndarray) -> str:
    if finished.units is not None:
        units = np.unique(finished.units[rows])
        if len(units) <= 3:
            return ", ".join(str(unit) for unit in units) + " held out"
        return f"{len(units)} groups held out"
    return f"{fold + 1}: {len(rows)} series held out"


def _print_prevalence(train: Dataset, test: Dataset | None) -> None:
    """Which class is the positive one, and how frequent it is."""
    truth = observed_targets(train.y)
    positive = np.unique(truth)[-1]
    line = f"Positive is {escape(str(positive))}: {np.mean(truth == positive):.3f} of the training targets"
    if test is not None:
        line += f", {np.mean(observed_targets(test.y) == positive):.3f} of the test's"
    print_text(f"{line} (the prevalence, which is the AUPRC of a guess).")
