"""``throughtime diagnose``: what limits a network, by trying the remedies on the same folds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime import storage, study
from throughtime.cli.config import config_text
from throughtime.cli.diagnosis_screen import print_answers, print_effects, print_verdict
from throughtime.cli.options import Task, model_parameters
from throughtime.cli.plan import Tables, read_training, tables_of
from throughtime.cli.runs import is_written, open_run
from throughtime.cli.screen import as_typed, console, print_note
from throughtime.data import Columns
from throughtime.displays import gain_number
from throughtime.errors import ParameterError
from throughtime.estimators import check_device, init_from_plain
from throughtime.generalization import AUTO_PROBES, Diagnosis, parse_cv
from throughtime.parameters import COMMAND_DEFAULTS
from throughtime.study import DiagnosisReport, Run


def diagnose(
    what: str,
    data: Mapping[str, Any],
    validation: Mapping[str, Any],
    flags: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
    apply: Path | None = None,
) -> DiagnosisReport:
    """Diagnose, print the verdict and what it rests on, and write what is asked for.

    Parameters
    ----------
    what
        A source, or a run, which has its own source, columns and parameters.
    data, validation, flags, task, config
        As ``plan_of`` takes them; of a run the folds alone.
    options
        Of ``throughtime.diagnose``.
    out
        New directory of the diagnosis and its pictures.
    apply
        New file of the configuration with the remedy.
    """
    if out is not None:
        storage.claim(out)
    if apply is not None:
        storage.claim_file(apply)
    options = _checked(options)
    run = None
    if is_written(what):
        typed = [name for name, value in {**data, **flags, "task": task, "config": config}.items() if value]
        if typed:
            raise ParameterError(f"--{typed[0].replace('_', '-')} needs a source, got a run, which has its own")
        run = open_run(Path(what))
        tables = _tables_of_run(run)
        tables["validation"] |= {name: value for name, value in validation.items() if value is not None}
        source, task = run.config["source"], run.config["task"]
    else:
        source, tables = what, tables_of(data, validation, flags, config)
    check_device(tables["model"].get("device", "cpu"))
    if apply is not None:
        config_text(tables)  # refuses what has no words before hours of training
    try:
        with console().capture() as notes:  # nothing is printed before the verdict
            train, model = read_training(source, tables, task)
            cv, split = tables["validation"].get("cv"), tables["data"].get("split")
            if cv is None and run is not None:  # of a splitter's, or a list
                cv = [(fold.train, fold.test) for fold in run.folds]
            report = study.report_diagnosis(model, train, split, cv=cv, **options)
            if run is not None:
                _compare_data(run, report)
    except BaseException:
        _print_held(notes.get())
        raise
    found = report.diagnosis
    applied = found.remedy is not None and bool(found.remedy.parameters)
    try:
        if out is not None:
            names = study.save_diagnosis(report, out)
        if apply is not None and applied:
            storage.write_file(apply, _with_remedy(tables, found, what).encode())
    finally:  # a verdict is worth reading though it could not be kept
        print_verdict(found)
        _print_held(notes.get())
        print_effects(found)
        print_answers(found)
    if out is not None:
        console().print(f"\nwritten to {as_typed(out)}: {', '.join(names)}", soft_wrap=True)
    if apply is not None and not applied:
        print_note(f"{apply} was not written: no parameter of the network is a remedy")
    elif apply is not None:
        of_task = "" if task is None or run is not None else f" --task {task}"
        console().print(
            f"\nwritten to {as_typed(apply)}; next: throughtime fit {as_typed(source)}{of_task} "
            f"--config {as_typed(apply)}",
            soft_wrap=True,
        )
    return report


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, as ``throughtime.diagnose`` calls it."""
    typed = {name: value for name, value in options.items() if value is not None}
    if "memory_gib" in typed:
        gib = typed.pop("memory_gib")
        if not gib > 0:
            raise ParameterError(f"--memory-budget needs a number of GiB above 0, got {gib:g}")
        typed["memory_budget"] = gib * 2**30
    if "probes" in typed:
        typed["probes"] = _whole_specs(typed["probes"])
    return typed


def _whole_specs(words: Sequence[str]) -> list[str]:
    """Probes as typed between commas: what begins none goes on with the list of augment: or features: before it."""
    known = {"auto", *(probe.name for probe in AUTO_PROBES)}
    found: list[str] = []
    for word in words:
        begins = word in known or re.split("[=:]", word)[0].strip() in model_parameters()
        if found and not begins and re.match("(augment|features) *[=:]", found[-1]):
            found[-1] += f",{word}"
        else:
            found.append(word)
    return found


def _print_held(notes: str) -> None:
    console().out(notes, end="", highlight=False)


def _tables_of_run(run: Run) -> Tables:
    """What a run was asked for, as a config file says it."""
    if "weights" in (run.data.fingerprint or {}):
        raise ParameterError(
            f"{run.directory} was trained with sample weights, which a run does not keep; throughtime.diagnose takes "
            "them"
        )
    asked = run.config
    defaults = {name: parameter.option.default for name, parameter in model_parameters().items()} | COMMAND_DEFAULTS
    model = {
        name: init_from_plain(value) if name == "init" else value
        for name, value in asked["parameters"].items()
        if name in defaults and value != defaults[name]
    }
    plain = asdict(Columns())
    data = {
        name: list(value) if isinstance(value, list | tuple) else value
        for name, value in asked["columns"].items()
        if name != "own_past" and value not in (plain[name], [])
    }
    data |= {name: asked[name] for name in ("test", "split") if asked[name] is not None}
    validation = {name: asked[name] for name in ("season", "seeds") if asked[name] not in (None, 1)}
    if asked["scorers"]:
        validation["scoring"] = asked["scorers"]
    if _is_typed(asked["cv"]):
        validation["cv"] = asked["cv"]
    return {"model": model, "data": data, "validation": validation}


def _is_typed(cv: str | int) -> bool:
    """Whether a run's folds are such as are typed, not those of a splitter or of a list."""
    try:
        parse_cv(str(cv), classifier=False, random_state=None)
    except ParameterError:
        return False
    return True


def _compare_data(run: Run, report: DiagnosisReport) -> None:
    marks = run.data.fingerprint
    if marks is not None and marks != study.fingerprint_of(report.data):
        source = run.config["source"]
        print_note(f"{source} does not hold what {run.directory} was trained on: the verdict is of what it holds now")


def _with_remedy(tables: Tables, found: Diagnosis, what: str) -> str:
    """The config file of the network with its remedy, what that is expected to gain in a comment."""
    remedy = found.remedy
    assert remedy is not None
    effect = next(effect for effect in found.effects if effect.probe == remedy.probe)
    gain, low, high = (gain_number(value, found.margin) for value in (remedy.gain, remedy.low, remedy.high))
    comment = (
        f"throughtime diagnose {what}: {found.verdict}.",
        f"Remedy: {effect.change}.",
        f"Expected gain: {effect.loss} on unseen series lower by {gain}, {100 * found.level:g} % interval {low} to "
        f"{high}.",
    )
    return config_text(tables | {"model": tables["model"] | remedy.parameters}, comment)
