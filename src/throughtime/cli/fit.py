"""``throughtime fit``: read, describe, compare with baselines, train all folds in lockstep, report, write the run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from rich.markup import escape

from throughtime import storage
from throughtime.cli.model import estimator_for, first_seed
from throughtime.cli.options import Task, given, read_config
from throughtime.cli.run_files import run_facts, run_files
from throughtime.cli.screen import console, print_description, print_folds, print_meaning, print_scores
from throughtime.cli.sources import read_like, refuse_missing, set_aside, shared_with
from throughtime.data import Dataset, Sequences, describe, read
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier
from throughtime.estimators.preparation import check_device
from throughtime.generalization import (
    Assessment,
    ModelScores,
    Split,
    assess,
    assess_baselines,
    fold_indices,
    interval_of,
    observed_targets,
    parse_cv,
    scorers_for,
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
    """Do the main job.

    Parameters
    ----------
    data
        Columns of ``throughtime.data.read``, and ``test`` or ``split``; ``None`` where nothing was typed.
    validation
        ``cv``, ``scoring``, ``season``, ``seeds``, likewise.
    flags
        The estimator's parameters as they were typed.
    """
    tables = {"model": {}, "data": {}, "validation": {}} if config is None else read_config(config)
    columns = tables["data"] | {name: value for name, value in data.items() if value is not None}
    chosen = tables["validation"] | {name: value for name, value in validation.items() if value is not None}
    parameters = tables["model"] | given(flags)
    seeds = chosen.get("seeds", 1)
    parameters["random_state"] = first_seed(parameters, seeds)
    check_device(parameters.get("device", "cpu"))
    out = out or Path("runs") / f"{_file_name(source)}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.claim(out)

    test_source, share = columns.pop("test", None), columns.pop("split", None)
    if test_source is not None and share is not None:
        raise ParameterError("--test and --split both set test series aside; choose one")
    layout = parameters.get("layout", "ntc")
    if parameters.get("horizon"):
        columns["own_past"] = True
    train = read(source, **columns, layout=layout)
    model = estimator_for(train, task, parameters)
    refuse_missing(model, train)
    about, note = describe(train), None
    test = None if test_source is None else read_like(train, test_source, columns, layout)
    if share is not None:
        train, test = set_aside(train, share, model, parameters["random_state"])
        note = f"{_counted(test)} for the test, {_counted(train)} left to train on"
    print_description(about, note)
    console().print()
    if test is not None and share is None:
        refuse_missing(model, test)
        print_description(describe(test))
        console().print()
    if test is not None and (shared := shared_with(train, test)):
        console().print(f"[yellow]{shared}: the test score will be too good.[/yellow]\n")

    if model.horizon:
        known = f"; known till then: {', '.join(map(str, model.known))}" if model.known else ""
        steps = f"{model.horizon} step{'s' if model.horizon > 1 else ''}"
        console().print(escape(f"forecast {steps} ahead{known}") + "\n", soft_wrap=True)
    y, groups = train.y, train.groups
    assert y is not None
    cv = parse_cv(
        str(chosen.get("cv", _default_folds(train))),
        classifier=isinstance(model, SequenceClassifier) and not isinstance(y, Sequences),
        random_state=parameters["random_state"],
        grouped=groups is not None,
    )
    splits = fold_indices(cv, train.X, y, groups)
    scorers = scorers_for(model, y, chosen.get("scoring", ()))
    held_out = None if test is None else (test.X, test.y)

    with console().status("baselines") as status:
        baselines = assess_baselines(
            model,
            train.X,
            y,
            splits,
            scorers,
            test=held_out,
            groups=groups,
            season=chosen.get("season"),
            on_model=lambda name: status.update(f"baseline: {name}"),
        )
    begin = time.perf_counter()
    # The bar is the command's own: members that showed theirs too would draw over it.
    members = [with_seed(model, parameters["random_state"] + seed).set_params(verbose=0) for seed in range(seeds)]
    with shown("training", parameters.get("verbose", 1) > 0) as report:
        found = assess(members, train.X, y, splits, scorers, test=held_out, groups=groups, on_epoch=report)
    seconds = time.perf_counter() - begin
    for failed in [one for one in found.refits if isinstance(one, Exception)]:
        raise failed

    metrics = tuple(scorers)
    models = [*baselines, found.scores]
    n_members = (len(splits) + 1) * seeds
    console().print(f"{n_members} networks trained in lockstep in {seconds:.0f} s\n")
    print_scores(models, metrics, len(splits), None if test is None else test.source)
    print_folds(found.scores, metrics[0], [_held_out(train, fold, rows) for fold, (_, rows) in enumerate(splits)])
    for seed, folds in enumerate(found.folds):
        for fold, member in enumerate(folds):
            if isinstance(member, Exception):
                which = f"fold {fold + 1}" + (f", seed {seed + 1}" if seeds > 1 else "")
                console().print(f"[red]{which} failed: {escape(str(member))}[/red]", soft_wrap=True)
    print_meaning(models, {metric: interval_of(found.scores, metric, splits, groups) for metric in metrics})
    if {"AUROC", "AUPRC"} & set(metrics):
        _print_prevalence(train, test)

    settings = {
        "source": source,
        "test": test_source,
        "split": share,
        "task": "classification" if isinstance(model, SequenceClassifier) else "regression",
        "columns": asdict(train.columns),
        "channels": train.X.channel_names,
        "target": train.target,
        "cv": chosen.get("cv", _default_folds(train)),
        "scoring": metrics,
        "season": chosen.get("season"),
        "seeds": seeds,
        "parameters": model.get_params(deep=False),
        "seconds": seconds,
    }
    study = Study(train, test, splits, baselines, found, metrics, settings)
    storage.write_run(out, run_files(study), run_facts(model))
    console().print(f"\nwritten to {out}; next: throughtime predict {out} SOURCE -o predictions.csv", soft_wrap=True)
    return study


def _default_folds(data: Dataset) -> int:
    groups = data.groups
    return 5 if groups is None else min(5, len(np.unique(groups)))


def _held_out(data: Dataset, fold: int, rows: ndarray) -> str:
    if data.groups is not None:
        groups = np.unique(data.groups[rows])
        if len(groups) <= 3:
            return ", ".join(str(group) for group in groups) + " held out"
        return f"{len(groups)} groups held out"
    return f"{fold + 1}: {len(rows)} series held out"


def _counted(data: Dataset) -> str:
    groups = "" if data.groups is None else f" ({len(np.unique(data.groups))} groups)"
    return f"{len(data.X)} series{groups}"


def _print_prevalence(train: Dataset, test: Dataset | None) -> None:
    """Which class is the positive one, and how frequent it is."""
    truth = observed_targets(train.y)
    positive = np.unique(truth)[-1]
    told = f"Positive is {escape(str(positive))}: {np.mean(truth == positive):.3f} of the training targets"
    if test is not None:
        told += f", {np.mean(observed_targets(test.y) == positive):.3f} of the test's"
    console().print(f"{told} (the prevalence, which is the AUPRC of a guess).", soft_wrap=True)


def _file_name(source: str) -> str:
    stem = Path(source).stem[:60] or "data"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
