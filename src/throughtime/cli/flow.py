"""``throughtime flow``: how far back gradients reach, in a run's network or at initialization."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from throughtime import storage
from throughtime.cli.config import read_config
from throughtime.cli.lag_plot import letters_of, plot_lines
from throughtime.cli.model import estimator_for
from throughtime.cli.options import OWN_DEFAULTS, Task, given
from throughtime.cli.predict import read_alike, with_names
from throughtime.cli.screen import console, print_description
from throughtime.data import Dataset, describe, read
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator, check_device
from throughtime.stability import LayerLagCurve
from throughtime.study import FlowReport, Run, flow_files, report_flow

#: Lags of the table, as far as the series go.
SHOWN_LAGS = (1, 10, 50, 100, 500, 1000, 5000)
#: Says how far the gradient reaches even where nobody knows how far it needs to.
VANISHING = "STA001"


def flow(
    what: str,
    source: str | None,
    data: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    lag: int | None = None,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
) -> FlowReport:
    """Measure, print a table and the lag curve, and write pictures.

    Parameters
    ----------
    what, source
        A run, and the series to measure its network on, its own by default; or a source, for a network at
        initialization.
    data, flags
        Columns of the source and the estimator's parameters as typed; a run has its own.
    lag
        Steps back that the task needs.
    out
        New directory of the pictures.
    """
    if out is not None:
        storage.claim(out)
    if (Path(what) / storage.MANIFEST).is_file():
        typed = [name for name, value in {**data, **flags, "task": task, "config": config}.items() if value]
        if typed:
            raise ParameterError(f"--{typed[0].replace('_', '-')} needs a source, got a run, which has its own")
        model, found = _of_run(Path(what), source)
    else:
        if source is not None:
            raise ParameterError(f"a second source needs a run before it, got {what}, which is no directory of a run")
        model, found = _of_source(what, data, flags, task, config)
    with console().status("gradients"):
        report = report_flow(model, found, lag=lag)
    _print_report(report)
    if out is not None:
        files = flow_files(report)
        storage.write_run(out, files, {"kind": "flow", "source": what})
        console().print(f"\nwritten to {out}: {', '.join(files)}", soft_wrap=True)
        if report.graph is None:
            console().print("no unrolled.svg: the series are too long to unroll step by step", style="dim")
    return report


def _of_run(directory: Path, source: str | None) -> tuple[SequenceEstimator, Dataset]:
    run = Run.open(directory)
    model, settings = run.estimator, run.config
    found = with_names(read_alike(source or settings["source"], settings, model.layout), model, settings)
    console().print(f"[bold]{escape(str(directory))}[/bold] on {escape(found.source)}\n", soft_wrap=True)
    return model, found


def _of_source(
    source: str, data: Mapping[str, Any], flags: Mapping[str, Any], task: Task | None, config: Path | None
) -> tuple[SequenceEstimator, Dataset]:
    tables = {"model": {}, "data": {}} if config is None else read_config(config)
    columns = tables["data"] | dict(data)
    parameters = OWN_DEFAULTS | tables["model"] | given(flags)
    check_device(parameters.get("device", "cpu"))
    for name in ("test", "split"):
        columns.pop(name, None)
    if parameters.get("horizon"):
        columns["own_past"] = True
    found = read(source, **columns, layout=parameters.get("layout", "ntc"))
    model = estimator_for(found, task, parameters)
    print_description(describe(found))
    console().print()
    return model, found


def _print_report(report: FlowReport) -> None:
    curve = report.curve
    state = "at initialization" if report.initial else "as trained"
    console().print(
        f"What is left of the last state's gradient so many steps back, {state}; geometric mean of {curve.n_series} "
        "series.\nThe horizon is the lag at which 1 % is left, with its 95 % interval.\n",
        soft_wrap=True,
    )
    lags = [lag for lag in SHOWN_LAGS if lag < curve.longest]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("layer")
    for heading in ("horizon", *(f"lag {lag}" for lag in lags)):
        table.add_column(heading, justify="right", no_wrap=True)
    for letter, layer in zip(letters_of(curve), curve.layers, strict=True):
        table.add_row(f"{letter} {escape(layer.label)}", _horizon(layer), *(_left(layer.mean[lag]) for lag in lags))
    console().print(table)
    console().print()
    for line in plot_lines(curve):
        console().print(line, markup=False, no_wrap=True, overflow="crop")
    console().print()
    _print_findings(report)


def _print_findings(report: FlowReport) -> None:
    """What was found and what to try, then what could not be judged, then the rest in a line."""
    for finding in report.findings:
        words = f"{finding.title} ({finding.code}): {finding.detail}"
        if finding.verdict == "found":
            console().print(escape(f"{words}; {finding.remedy}."), style="yellow", soft_wrap=True)
        elif finding.verdict == "not applicable" and finding.code == VANISHING:
            console().print(escape(f"{words}."), soft_wrap=True)
    clear = [f"{finding.title} ({finding.code})" for finding in report.findings if finding.verdict == "clear"]
    if clear:
        console().print(escape(f"not found: {', '.join(clear)}."), style="dim", soft_wrap=True)


def _horizon(layer: LayerLagCurve) -> str:
    if math.isinf(layer.gradient_horizon):
        return "none"
    if math.isnan(layer.horizon_low):
        return f"{layer.gradient_horizon:.3g}"
    high = "..." if math.isinf(layer.horizon_high) else f"{layer.horizon_high:.3g}"
    return f"{layer.gradient_horizon:.3g} ({layer.horizon_low:.3g} to {high})"


def _left(norm: float) -> str:
    if math.isnan(norm):
        return "-"
    return f"{norm:.2f}" if 0.01 <= norm < 100 else f"{norm:.0e}"
