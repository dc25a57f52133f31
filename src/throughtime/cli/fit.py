"""``throughtime fit``: read, describe, compare with baselines, train all folds in lockstep, report, write the run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime import storage
from throughtime.cli.options import SCHEMAS, Task, given, read_config
from throughtime.cli.run_files import run_facts, run_files
from throughtime.cli.screen import console, print_description, print_folds, print_meaning, print_scores
from throughtime.data import Dataset, Sequences, describe, is_labels, read, reads_columns
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator, SequenceRegressor
from throughtime.generalization import (
    Assessment,
    ModelScores,
    Split,
    assess,
    assess_baselines,
    fold_indices,
    holdout,
    interval_of,
    parse_cv,
    scorers_for,
    with_seed,
)
from throughtime.parameters import check_values, declared
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
        ``cv``, ``scoring``, ``seeds``, likewise.
    flags
        The estimator's parameters as they were typed.
    """
    tables = {"model": {}, "data": {}, "validation": {}} if config is None else read_config(config)
    data = tables["data"] | {name: value for name, value in data.items() if value is not None}
    validation = tables["validation"] | {name: value for name, value in validation.items() if value is not None}
    parameters = tables["model"] | given(flags)
    if parameters.get("random_state") is None:
        parameters["random_state"] = 0
    out = out or Path("runs") / f"{_file_name(source)}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.claim(out)

    test_source, share = data.pop("test", None), data.pop("split", None)
    if test_source is not None and share is not None:
        raise ParameterError("--test and --split both set test series aside; choose one")
    whole = read(source, **data)
    model = estimator_for(whole, task, parameters)
    print_description(describe(whole))
    train, test = whole, None
    if test_source is not None:
        # The test series are read with the very channels of the training series.
        named = {"channels": whole.X.channel_names} if reads_columns(test_source) and whole.X.channel_names else {}
        test = read(test_source, **data | named)
        _same_channels(whole, test)
        console().print()
        print_description(describe(test))
    elif share is not None:
        train, test = _set_aside(whole, share, model, parameters["random_state"])
        console().print(f"  {len(test.X)} series set aside for the test, {len(train.X)} to train on")
    console().print()

    grouped = train.groups is not None
    cv = parse_cv(
        str(validation.get("cv", _default_folds(train))),
        classifier=isinstance(model, SequenceClassifier) and not isinstance(train.y, Sequences),
        random_state=parameters["random_state"],
        grouped=grouped,
    )
    splits = fold_indices(cv, train.X, train.y, train.groups)
    seeds = validation.get("seeds", 1)
    if seeds < 1:
        raise ParameterError(f"--seeds needs at least 1, got {seeds}")
    scorers = scorers_for(model, train.y, validation.get("scoring", ()))
    held_out = None if test is None else (test.X, test.y)

    with console().status("baselines") as status:
        baselines = assess_baselines(
            model,
            train.X,
            train.y,
            splits,
            scorers,
            test=held_out,
            groups=train.groups,
            on_model=lambda name: status.update(f"baseline: {name}"),
        )
    begin = time.perf_counter()
    with shown("training", True) as report:
        members = [with_seed(model, parameters["random_state"] + seed) for seed in range(seeds)]
        found = assess(members, train.X, train.y, splits, scorers, test=held_out, groups=train.groups, on_epoch=report)
    seconds = time.perf_counter() - begin
    for failed in [one for one in found.refits if isinstance(one, Exception)]:
        raise failed

    metrics = tuple(scorers)
    models = [*baselines, found.scores]
    n_members = (len(splits) + 1) * seeds
    console().print(f"{n_members} networks trained in lockstep in {seconds:.0f} s\n")
    print_scores(models, metrics, len(splits), None if test is None else test.source)
    print_folds(found.scores, metrics[0], [_held_out(train, fold, rows) for fold, (_, rows) in enumerate(splits)])
    for seed in found.folds:
        for fold in seed:
            if isinstance(fold, Exception):
                console().print(f"[red]a fold failed: {fold}[/red]", soft_wrap=True)
    for metric in metrics:
        print_meaning(models, metric, interval_of(found.scores, metric, splits))
    if isinstance(model, SequenceClassifier) and not isinstance(train.y, Sequences):
        _print_prevalence(train if test is None else test)

    settings = {
        "source": source,
        "test": test_source,
        "split": share,
        "task": "classification" if isinstance(model, SequenceClassifier) else "regression",
        "columns": asdict(train.columns),
        "channels": train.X.channel_names,
        "target": train.target,
        "cv": validation.get("cv", _default_folds(train)),
        "scoring": metrics,
        "seeds": seeds,
        "parameters": model.get_params(deep=False),
        "seconds": seconds,
    }
    study = Study(train, test, splits, baselines, found, metrics, settings)
    storage.write_run(out, run_files(study), run_facts(model))
    console().print(f"\nwritten to {out}; next: throughtime predict {out} SOURCE -o predictions.csv", soft_wrap=True)
    return study


def estimator_for(data: Dataset, task: Task | None, parameters: Mapping[str, Any]) -> SequenceEstimator:
    """The estimator for a target, unfitted.

    Raises
    ------
    ParameterError
        For a parameter of the other estimator.
    """
    if data.y is None:
        raise DataError(f"{data.source} needs a target; --target names its column")
    if task is None:
        task = "classification" if isinstance(data.y, ndarray) and is_labels(data.y) else "regression"
    schema = SCHEMAS[task]
    other = [name for name in parameters if name not in declared(schema)]
    if other:
        raise ParameterError(f"{other[0]} is not a parameter for {task}; --task says which the target is")
    check_values(schema, parameters)
    return SequenceClassifier(**parameters) if task == "classification" else SequenceRegressor(**parameters)


def _set_aside(whole: Dataset, share: float, model: SequenceEstimator, seed: int) -> tuple[Dataset, Dataset]:
    classifier = isinstance(model, SequenceClassifier) and not isinstance(whole.y, Sequences)
    parts = holdout(len(whole.X), whole.y, whole.groups, share, classifier=classifier, random_state=seed)
    train, test = (_rows(whole, rows) for rows in parts)
    return train, replace(test, source=f"{whole.source}, set aside")


def _rows(data: Dataset, rows: ndarray) -> Dataset:
    return replace(
        data,
        X=data.X[rows],
        y=None if data.y is None else data.y[rows],
        ids=tuple(data.ids[row] for row in rows),
        groups=None if data.groups is None else data.groups[rows],
    )


def _same_channels(train: Dataset, test: Dataset) -> None:
    if test.y is None:
        raise DataError(f"{test.source} needs a target to be tested on")
    if train.X.n_channels != test.X.n_channels:
        raise DataError(
            f"{test.source} needs the {train.X.n_channels} channels of {train.source}, got {test.X.n_channels}"
        )
    if isinstance(train.y, Sequences) != isinstance(test.y, Sequences):
        raise DataError(f"{test.source} and {train.source} need the same kind of target, one a series or one a step")


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


def _print_prevalence(data: Dataset) -> None:
    assert isinstance(data.y, ndarray)
    classes, counts = np.unique(data.y, return_counts=True)
    if len(classes) == 2:
        console().print(f"Prevalence of {classes[1]}: {counts[1] / counts.sum():.3f} in {data.source}.", soft_wrap=True)


def _file_name(source: str) -> str:
    stem = Path(source).stem or "data"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
