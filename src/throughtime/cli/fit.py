"""``throughtime fit``: read, describe, compare with baselines, train all folds in lockstep, report, write the run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from rich.markup import escape

from throughtime import storage
from throughtime.cli.options import Task
from throughtime.cli.plan import Plan, plan_of
from throughtime.cli.run_files import run_facts, run_files
from throughtime.cli.screen import console, print_folds, print_meaning, print_scores
from throughtime.data import Dataset
from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.generalization import (
    Assessment,
    Finding,
    ModelScores,
    Split,
    assess,
    assess_baselines,
    interval_of,
    observed_targets,
    with_seed,
)
from throughtime.training.progress import shown


@dataclass(frozen=True)
class Study:
    """A finished run, before it is written."""

    train: Dataset
    test: Dataset | None
    splits: Sequence[Split]
    baselines: list[ModelScores]
    assessment: Assessment
    metrics: tuple[str, ...]
    settings: dict[str, Any]
    leakage: Sequence[Finding] = ()


def fit(
    source: str,
    data: Mapping[str, Any],
    validation: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
) -> Study:
    """Do the main job; the arguments are those of `plan_of`."""
    plan = plan_of(source, data, validation, flags, task=task, config=config, out=out)
    study = studied(plan)
    console().print(
        f"{(len(plan.splits) + 1) * plan.seeds} networks trained in lockstep in {study.settings['seconds']:.0f} s\n"
    )
    try:
        storage.write_run(plan.out, run_files(study), run_facts(plan.model))
    finally:  # scores are worth reading though their run could not be kept
        print_study(study)
    print_written(plan.out)
    return study


def studied(plan: Plan, memory_budget: float | None = DEFAULT_BUDGET) -> Study:
    """Train the baselines, and every fold and seed of a plan in lockstep.

    Raises
    ------
    ThroughtimeError
        What the networks trained on all series failed with.
    """
    train, test, model, splits = plan.train, plan.test, plan.model, plan.splits
    held_out = None if test is None else (test.X, test.y)
    with console().status("baselines") as status:
        baselines = assess_baselines(
            model,
            train.X,
            train.y,
            splits,
            plan.scorers,
            test=held_out,
            groups=train.groups,
            season=plan.settings["season"],
            on_model=lambda name: status.update(f"baseline: {name}"),
        )
    begin = time.perf_counter()
    # The bar is the command's own: members that showed theirs too would draw over it.
    members = [with_seed(model, model.random_state + seed).set_params(verbose=0) for seed in range(plan.seeds)]
    with shown("training", model.verbose > 0) as report:
        found = assess(
            members,
            train.X,
            train.y,
            splits,
            plan.scorers,
            test=held_out,
            groups=train.groups,
            on_epoch=report,
            memory_budget=memory_budget,
        )
    for failed in [one for one in found.refits if isinstance(one, Exception)]:
        raise failed
    parameters = model.get_params(deep=False)
    if isinstance(parameters.get("class_weight"), dict):  # JSON's keys are text, as is what was typed
        parameters["class_weight"] = {str(label): weight for label, weight in parameters["class_weight"].items()}
    settings = plan.settings | {"parameters": parameters, "seconds": time.perf_counter() - begin}
    return Study(train, test, splits, baselines, found, plan.metrics, settings, plan.leakage)


def print_study(study: Study) -> None:
    """The scores of every fold, and what they mean."""
    train, test, splits, metrics, found = study.train, study.test, study.splits, study.metrics, study.assessment
    models = [*study.baselines, found.scores]
    print_scores(models, metrics, len(splits), None if test is None else test.source)
    print_folds(found.scores, metrics[0], [_held_out(train, fold, rows) for fold, (_, rows) in enumerate(splits)])
    for seed, folds in enumerate(found.folds):
        for fold, member in enumerate(folds):
            if isinstance(member, Exception):
                which = f"fold {fold + 1}" + (f", seed {seed + 1}" if len(found.folds) > 1 else "")
                console().print(f"[red]{which} failed: {escape(str(member))}[/red]", soft_wrap=True)
    print_meaning(models, {metric: interval_of(found.scores, metric, splits, train.groups) for metric in metrics})
    if {"AUROC", "AUPRC"} & set(metrics):
        _print_prevalence(train, test)


def print_written(out: Path) -> None:
    """Where the run is, and what to do with it."""
    console().print(f"\nwritten to {out}; next: throughtime predict {out} SOURCE -o predictions.csv", soft_wrap=True)


def _held_out(data: Dataset, fold: int, rows: ndarray) -> str:
    if data.groups is not None:
        groups = np.unique(data.groups[rows])
        if len(groups) <= 3:
            return ", ".join(str(group) for group in groups) + " held out"
        return f"{len(groups)} groups held out"
    return f"{fold + 1}: {len(rows)} series held out"


def _print_prevalence(train: Dataset, test: Dataset | None) -> None:
    """Which class is the positive one, and how frequent it is."""
    truth = observed_targets(train.y)
    positive = np.unique(truth)[-1]
    told = f"Positive is {escape(str(positive))}: {np.mean(truth == positive):.3f} of the training targets"
    if test is not None:
        told += f", {np.mean(observed_targets(test.y) == positive):.3f} of the test's"
    console().print(f"{told} (the prevalence, which is the AUPRC of a guess).", soft_wrap=True)
