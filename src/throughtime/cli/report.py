"""``throughtime report``: a run, or two side by side, as one HTML page."""

from pathlib import Path

from throughtime.cli.runs import open_run
from throughtime.cli.screen import console
from throughtime.errors import ParameterError
from throughtime.report import write_comparison, write_report


def report(
    directory: Path,
    other: Path | None = None,
    output: Path | None = None,
    *,
    diagnosis: Path | None = None,
    shift: Path | None = None,
) -> Path:
    """Write the page and say where it is.

    Parameters
    ----------
    directory, other
        The run, and another beside it.
    output
        New file; beside the run by default.
    diagnosis, shift
        Directories of what was found of the run afterwards.
    """
    if output is None:
        names = [run.absolute().name for run in (directory, other) if run is not None]
        output = directory.absolute().with_name(f"{'-and-'.join(names)}-report.html")
    if other is None:
        write_report(open_run(directory), output, diagnosis=diagnosis, shift=shift)
    elif diagnosis is None and shift is None:
        write_comparison(open_run(directory), open_run(other), output)
    else:
        raise ParameterError("--diagnosis and --shift need one run, got two: they belong to the report of one")
    console().print(f"written to {output}", soft_wrap=True)
    return output
