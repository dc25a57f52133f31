"""``throughtime diagnose``: what limits a network, by trying the remedies on the same folds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime import storage, study
from throughtime.cli.command_request import CommandRequest, Tables
from throughtime.cli.config import config_text
from throughtime.cli.diagnosis_screen import print_answers, print_effects, print_verdict
from throughtime.cli.options import Task, model_parameters
from throughtime.cli.plan import read_training, tables_of
from throughtime.cli.run_in_progress import RunInProgress, begun, resumed
from throughtime.cli.runs import is_written, open_run
from throughtime.cli.screen import as_typed, console, print_note
from throughtime.data import Columns, Dataset
from throughtime.displays import gain_number
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import SequenceEstimator, check_device, init_from_plain
from throughtime.generalization import AUTO_PROBES, Diagnosis, parse_cv
from throughtime.parameters import COMMAND_DEFAULTS
from throughtime.storage import UnfinishedRun
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
        As ``tables_of`` takes them; of a run the folds alone.
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
    more: dict[str, Any] = {"what": what, "options": _checked(options), "apply": apply and str(apply)}
    if is_written(what):
        typed = [name for name, value in {**data, **flags, "task": task, "config": config}.items() if value]
        if typed:
            raise ParameterError(f"--{typed[0].replace('_', '-')} needs a source, got a run, which has its own")
        run = open_run(Path(what))
        tables = _tables_of_run(run)
        tables["validation"] |= {name: value for name, value in validation.items() if value is not None}
        if "cv" not in tables["validation"]:  # of a splitter's, or a list
            more["folds"] = [(fold.train, fold.test) for fold in run.folds]
        more["fingerprint"] = run.data.fingerprint
        asked = CommandRequest("diagnose", run.config["source"], run.config["task"], tables, more)
    else:
        asked = CommandRequest("diagnose", what, task, tables_of(data, validation, flags, config), more)
    if apply is not None:
        config_text(asked.tables)  # refuses what has no words before hours of training
    return _diagnosed(asked, out, apply)


def go_on(run: UnfinishedRun, asked: CommandRequest) -> DiagnosisReport:
    """Do what is left of a diagnosis that was begun with ``--out``."""
    apply = None
    if asked.options["apply"] is not None:
        apply = Path(asked.folder, asked.options["apply"])
        try:
            storage.claim_file(apply)
        except StorageError as refused:  # the folder may be on another machine
            print_note(f"no configuration will be written: {refused}")
            apply = None
    return _diagnosed(asked, run, apply)


def _diagnosed(asked: CommandRequest, place: Path | UnfinishedRun | None, apply: Path | None) -> DiagnosisReport:
    """Diagnose in a new directory, in a run that was begun, or in none."""
    tables, options = asked.tables, asked.options
    check_device(tables["model"].get("device", "cpu"))
    with ExitStack() as made:
        held = _Held()
        with held.notes():
            train, model = read_training(asked.source, tables, asked.task)
        in_progress = None if place is None else made.enter_context(_in_progress(place, asked, train, model))
        with held.notes():
            report = study.report_diagnosis(
                model,
                train,
                tables["data"].get("split"),
                cv=options.get("folds", tables["validation"].get("cv")),
                checkpoints=None if in_progress is None else in_progress.checkpoints,
                **options["options"],
            )
            marks = options.get("fingerprint")
            if marks is not None and marks != study.fingerprint_of(report.data):
                print_note(
                    f"{asked.source} does not hold what {options['what']} was trained on: the verdict is of what it "
                    "holds now"
                )
        found = report.diagnosis
        applied = found.remedy is not None and bool(found.remedy.parameters)
        files = {} if in_progress is None else study.diagnosis_files(report)
        try:
            if in_progress is not None:
                in_progress.run.finish(files, study.run_facts(report.model) | {"kind": study.DIAGNOSIS})
            if apply is not None and applied:
                storage.write_file(apply, _with_remedy(tables, found, options["what"]).encode())
        finally:  # a verdict is worth reading though it could not be kept
            print_verdict(found)
            held.print()
            print_effects(found)
            print_answers(found)
    if in_progress is not None:
        console().print(f"\nwritten to {as_typed(in_progress.run.directory)}: {', '.join(files)}", soft_wrap=True)
    if apply is not None and not applied:
        print_note(f"{apply} was not written: no parameter of the network is a remedy")
    elif apply is not None:
        of_task = "" if asked.task is None or "fingerprint" in options else f" --task {asked.task}"
        console().print(
            f"\nwritten to {as_typed(apply)}; next: throughtime fit {as_typed(asked.source)}{of_task} "
            f"--config {as_typed(apply)}",
            soft_wrap=True,
        )
    return report


def _in_progress(
    place: Path | UnfinishedRun, asked: CommandRequest, train: Dataset, model: SequenceEstimator
) -> AbstractContextManager[RunInProgress]:
    """The directory of a diagnosis while it is made; the estimator's seed is settled."""
    model.random_state = study.first_seed(model.random_state, 1)
    marks = study.marks_of_data(train, {"parameters": study.parameters_in_config(model)})
    if isinstance(place, UnfinishedRun):
        return resumed(place, marks)
    return begun(place, asked.with_seed(model.random_state), marks, study.run_facts(model))


class _Held:
    """What is said of the data, held back: nothing is printed before the verdict."""

    def __init__(self) -> None:
        self._text = ""

    @contextmanager
    def notes(self) -> Iterator[None]:
        """Hold back what is printed in this block; an error lets it out."""
        try:
            with console().capture() as notes:
                yield
        except BaseException:
            self._text += notes.get()
            self.print()
            raise
        self._text += notes.get()

    def print(self) -> None:
        """Print what was held."""
        console().out(self._text, end="", highlight=False)


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
