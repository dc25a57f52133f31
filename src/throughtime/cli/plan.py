"""What a command is about to train on: data, folds, scores and the estimator, from what was typed and a config."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape

from throughtime import storage
from throughtime.cli.model import estimator_for, first_seed
from throughtime.cli.options import OWN_DEFAULTS, Task, given, read_config
from throughtime.cli.screen import console, print_description, print_leakage
from throughtime.cli.sources import read_like, refuse_missing, refuse_uneven, set_aside, shared_with
from throughtime.data import Dataset, Sequences, describe, read
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator
from throughtime.estimators.preparation import check_device
from throughtime.generalization import Finding, Scorers, Split, fold_indices, leakage_report, parse_cv, scorers_for

#: Values that a check for leakage may look at before training: some seconds.
_MOST_WORK = 1e8


@dataclass(frozen=True)
class Plan:
    """Everything read and checked, and nothing trained; ``settings`` is what a run keeps of it."""

    out: Path
    train: Dataset
    test: Dataset | None
    model: SequenceEstimator
    splits: Sequence[Split]
    scorers: Scorers
    leakage: Sequence[Finding]
    seeds: int
    settings: dict[str, Any]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the scores are called; the first decides."""
        return tuple(self.scorers)


def plan_of(
    source: str,
    data: Mapping[str, Any],
    validation: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
) -> Plan:
    """Read the data, describe them on the screen, and draw the folds.

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
    parameters = {"verbose": OWN_DEFAULTS["verbose"]} | tables["model"] | given(flags)
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
    whole, about, note = train, describe(train), None
    test = None if test_source is None else read_like(train, test_source, columns, layout)
    if share is not None:
        train, test = set_aside(train, share, model, parameters["random_state"])
        note = f"{_counted(test)} for the test, {_counted(train)} left to train on"
    print_description(about, note)
    console().print()
    clock = refuse_uneven(model, chosen.get("season"), whole, None)
    if test is not None and share is None:
        refuse_missing(model, test)
        refuse_uneven(model, chosen.get("season"), test, clock)
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
    folds = chosen.get("cv", _default_folds(train))
    cv = parse_cv(
        str(folds),
        classifier=isinstance(model, SequenceClassifier) and not isinstance(y, Sequences),
        random_state=parameters["random_state"],
        grouped=groups is not None,
    )
    splits = fold_indices(cv, train.X, y, groups)
    scorers = scorers_for(model, y, chosen.get("scoring", ()))
    leakage = leakage_report(
        train.X, y, groups=groups, cv=splits, burn_in=model.burn_in + model.horizon, most_work=_MOST_WORK
    )
    print_leakage(leakage)
    settings = {
        "source": source,
        "test": test_source,
        "split": share,
        "task": "classification" if isinstance(model, SequenceClassifier) else "regression",
        "columns": asdict(train.columns),
        "channels": train.X.channel_names,
        "target": train.target,
        "cv": folds,
        "scoring": tuple(scorers),
        "scorers": chosen.get("scoring"),
        "season": chosen.get("season"),
        "seeds": seeds,
    }
    return Plan(out, train, test, model, splits, scorers, leakage, seeds, settings)


def _default_folds(data: Dataset) -> int:
    groups = data.groups
    return 5 if groups is None else min(5, len(np.unique(groups)))


def _counted(data: Dataset) -> str:
    groups = "" if data.groups is None else f" ({len(np.unique(data.groups))} groups)"
    return f"{len(data.X)} series{groups}"


def _file_name(source: str) -> str:
    stem = Path(source).stem[:60] or "data"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
