"""From what was typed, and a config, to the plan of a study: read, described on the screen, checked."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from throughtime import storage, study
from throughtime.cli.command_request import CommandRequest, Tables
from throughtime.cli.config import read_config
from throughtime.cli.model import estimator_for
from throughtime.cli.options import Task, given
from throughtime.cli.screen import console, print_description, print_leakage, print_text
from throughtime.cli.sources import read_like
from throughtime.data import Dataset, describe, read
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator, check_device
from throughtime.parameters import COMMAND_DEFAULTS


def place_of(source: str, out: Path | None) -> Path:
    """Where a run of this source will be, which is refused if none could be put there.

    Raises
    ------
    StorageError
        If something is there already, or nothing can be written there.
    """
    out = out or Path("runs") / f"{_file_name(source)}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.claim(out)
    return out


def plan_of(asked: CommandRequest) -> study.Plan:
    """Read the data, describe them on the screen, and plan a study."""
    tables = asked.tables
    check_device(tables["model"].get("device", "cpu"))
    test_source, fraction = tables["data"].get("test"), tables["data"].get("split")
    if test_source is not None and fraction is not None:
        raise ParameterError("--test and --split both set test series aside; choose one")
    train, model = read_training(asked.source, tables, asked.task)
    print_description(describe(train))
    console().print()
    test = None if test_source is None else read_like(train, test_source, _columns_of(tables), model.layout)
    if test is not None:
        print_description(describe(test))
        console().print()
    plan = study.plan(model, train, fraction if test is None else test, **tables["validation"])
    _print_plan(plan)
    return plan


def tables_of(
    data: Mapping[str, Any], validation: Mapping[str, Any], flags: Mapping[str, Any], config: Path | None
) -> Tables:
    """What was typed over what a config says, as a config would say it.

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
    typed = {"model": given(flags), "data": data, "validation": validation}
    return {
        name: tables[name] | {key: value for key, value in typed[name].items() if value is not None or name == "model"}
        for name in tables
    }


def read_training(source: str, tables: Tables, task: Task | None) -> tuple[Dataset, SequenceEstimator]:
    """The series to train on, and the estimator that is asked for, unfitted."""
    parameters: dict[str, Any] = COMMAND_DEFAULTS | tables["model"]
    train = read(source, **_columns_of(tables), layout=parameters.get("layout", "ntc"))
    return train, estimator_for(train, task, parameters)


def _columns_of(tables: Tables) -> dict[str, Any]:
    """How to read a source; a forecast reads its target's own past."""
    columns = {name: value for name, value in tables["data"].items() if name not in ("test", "split")}
    return columns | ({"own_past": True} if tables["model"].get("horizon") else {})


def _print_plan(plan: study.Plan) -> None:
    """What was set aside, what a forecast knows, and what the folds and the test have in common with training."""
    if plan.config["split"] is not None:
        print_text(escape(f"set aside: {study.set_aside_in_words(plan)}") + "\n")
    if plan.test is not None and (shared := study.shared_with(plan.train, plan.test)):
        console().print(f"[yellow]{shared}: the test score will be too good.[/yellow]\n")
    if (folds := study.folds_in_words(plan)) is not None:
        print_text(escape(f"folds: {folds}") + "\n")
    model = plan.model
    if model.horizon:
        known = f"; known till then: {', '.join(map(str, model.known))}" if model.known else ""
        steps = f"{model.horizon} step{'s' if model.horizon > 1 else ''}"
        print_text(escape(f"forecast {steps} ahead{known}") + "\n")
    print_leakage(plan.findings)


def _file_name(source: str) -> str:
    stem = Path(source).stem[:60] or "data"
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
