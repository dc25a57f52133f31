"""``throughtime runs``: the runs in a directory, how each stands, and its scores."""

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from throughtime import storage
from throughtime.cli.run_in_progress import progress_in_words
from throughtime.cli.runs import NO_RUNS, is_written
from throughtime.cli.screen import Screen, as_typed, console, print_table, print_text
from throughtime.errors import StorageError, ThroughtimeError
from throughtime.study import Run, number
from throughtime.training import Checkpoints

#: Columns of a terminal from which on all is shown; a narrower one has what the scores are of.
_WIDE = 90
#: Columns of which no list has more.
_UNBROKEN = 100_000


@dataclass(frozen=True)
class Listed:
    """A run in a list; ``why`` says what is wrong with a damaged one, or how far a stopped one stands."""

    name: str
    state: str
    when: str = ""
    what: str = ""
    source: str = ""
    metric: str = ""
    validation: float | None = None
    test: float | None = None
    why: str = ""


def list_runs(directory: Path) -> list[Listed]:
    """Print and return the runs in a directory, or the one that it is, the oldest first.

    Raises
    ------
    StorageError
        When it cannot be read.
    """
    if not directory.exists():
        print_text(f"there are no runs in {as_typed(directory)}")
        return []
    found = [_listed(path) for path in _places(directory)]
    found.sort(key=lambda run: (not run.when, run.when, run.name))
    if not found:
        print_text(f"there are no runs in {as_typed(directory)}")
        return found
    _print(found)
    return found


def _places(directory: Path) -> list[Path]:
    if is_written(directory):
        return [Path(os.path.abspath(directory))]  # whose name "." is not
    try:
        return sorted(
            path
            for path in directory.iterdir()
            if not path.name.startswith(".") and path.is_dir() and storage.has_traces(path)
        )
    except OSError as error:
        raise StorageError(f"{directory} could not be read: {error.strerror or error}") from error


def _listed(path: Path) -> Listed:
    try:
        return _unfinished(path) if storage.is_unfinished(path) else _finished(path)
    except ThroughtimeError as error:
        return Listed(path.name, "damaged", why=str(error))


def _unfinished(path: Path) -> Listed:
    request = storage.read_request(path)
    asked = request.asked
    groups = Checkpoints(path / "checkpoints").latest()
    epochs = [group.epoch for group in groups if group.running]
    state = "running" if storage.is_written_now(path) else "stopped"
    at = f", epoch {min(epochs)}" if epochs else ""
    settings = _mapping(_mapping(asked.get("marks")).get("settings"))
    return Listed(
        path.name,
        f"{state}{at}",
        _minute(request.created),
        f"{asked.get('command')} {_network(_mapping(settings.get('parameters')))}",
        str(asked.get("source")),
        why=f"{progress_in_words(groups, asked.get('networks'))}"
        + ("" if state == "running" else f"; {shlex.join(['throughtime', 'resume', str(path)])} goes on"),
    )


def _finished(path: Path) -> Listed:
    run = Run.open(path)
    when, kind = _minute(run.created), run.facts.get("kind")
    if kind in NO_RUNS or kind == "estimator":
        return Listed(path.name, "finished", when, NO_RUNS.get(str(kind), "an estimator").partition(" ")[2])
    config = run.config
    metric = config["scoring"][0]
    score = [one for one in run.scores if one.metric == metric][-1]
    what = f"{'fit' if config['search'] is None else 'search'} {_network(config['parameters'])}"
    return Listed(path.name, "finished", when, what, config["source"], metric, score.validation, score.test)


def _print(runs: Iterable[Listed]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    wide = console().width >= _WIDE
    table.add_column("run", overflow="fold")
    table.add_column("state", overflow="fold")
    for heading in ("when (UTC)", "what", "source") if wide else ():
        table.add_column(heading, overflow="fold", no_wrap=heading.startswith("when"))
    for heading in ("validation", "test"):
        table.add_column(heading, justify="right", overflow="fold")
    styles = {"damaged": "red", "stopped": "yellow", "running": "green"}
    for run in runs:
        more = (run.when, run.what, run.source) if wide else ()
        table.add_row(
            *(escape(_one_line(text)) for text in (run.name, run.state, *more)),
            "" if run.validation is None else f"{escape(run.metric)} {number(run.validation)}",
            "" if run.test is None else number(run.test),
            style=next((style for state, style in styles.items() if run.state.startswith(state)), None),
        )
    if console().is_terminal:
        print_table(table)
    else:  # a program takes a line for a run, and its name whole
        Screen(highlight=False, width=_UNBROKEN).print(table)
    notes = [run for run in runs if run.why]
    if notes:
        console().print()
    for run in notes:
        print_text(escape(_one_line(f"{run.name}: {run.why}")), "red" if run.state == "damaged" else "dim")


def _network(parameters: Mapping[str, Any]) -> str:
    """A network in a word or two: ``gru 32``, ``lstm 64x2``."""
    layers = parameters.get("num_layers", 1)
    cell = "module" if parameters.get("module") is not None else parameters.get("cell", "")
    return f"{cell} {parameters.get('hidden_size', '')}{'' if layers == 1 else f'x{layers}'}".strip()


def _minute(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")
