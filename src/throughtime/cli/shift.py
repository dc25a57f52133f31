"""``throughtime shift``: whether new series are still those that a run was trained on, and if not, what changed."""

from pathlib import Path
from typing import Any

from rich.console import Console

from throughtime import storage, study
from throughtime.cli.predict import read_alike, with_names
from throughtime.cli.runs import is_written, open_run
from throughtime.cli.screen import as_typed, console
from throughtime.cli.shift_screen import print_moved, print_shift_findings, print_shift_verdict, print_tests
from throughtime.data import Dataset, Decimal
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.study import ShiftReport


def shift(
    directory: Path, source: str, decimal: Decimal | None = None, *, labels: bool = False, out: Path | None = None
) -> ShiftReport:
    """Compare, print the verdict and what it rests on, and write what is asked for.

    Parameters
    ----------
    directory
        The run.
    source
        The new series, read as the run's were.
    labels
        Whether to use their targets.
    out
        New directory of the diagnosis and its pictures.
    """
    if out is not None:
        storage.claim(out)
    if is_written(source):
        raise ParameterError(f"{source} needs to be data, got a directory with a run's manifest; a run is named first")
    run = open_run(directory)
    model, settings = run.estimator, run.config
    try:
        with console().capture() as notes:  # nothing is printed before the verdict
            data = with_names(_read(source, settings, model, decimal, labels=labels), model, settings)
            if model.horizon_:
                study.refuse_uneven(model, None, data, model.clock_)
            with Console(stderr=True).status("series against those of the run"):
                report = study.report_shift(run, data, labels=labels)
    except BaseException:
        _print_held(notes.get())
        raise
    found = report.diagnosis
    try:
        if out is not None:
            names = study.save_shift(report, out)
    finally:  # a verdict is worth reading though it could not be kept
        print_shift_verdict(found)
        _print_held(notes.get())
        print_tests(found)
        print_moved(found)
        print_shift_findings(found)
    if out is not None:
        console().print(f"\nwritten to {as_typed(out)}: {', '.join(names)}", soft_wrap=True)
    return report


def _read(
    source: str, settings: dict[str, Any], model: SequenceEstimator, decimal: Decimal | None, *, labels: bool
) -> Dataset:
    try:
        return read_alike(source, settings, model, decimal, groups=True, labels=labels)
    except DataError as error:
        if not labels:
            raise
        read_alike(source, settings, model, decimal, groups=True)  # what is wrong without labels too is said as it is
        raise DataError(f"{error}; --labels can be left out") from error


def _print_held(notes: str) -> None:
    """What was said before the verdict: once, though several networks read the series."""
    console().out("".join(dict.fromkeys(notes.splitlines(keepends=True))), end="", highlight=False)
