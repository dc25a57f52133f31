"""``throughtime flow``: how far back gradients reach, in a run's network or at initialization."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from rich.markup import escape
from rich.table import Table

from throughtime import storage
from throughtime.cli.model import estimator_for
from throughtime.cli.options import OWN_DEFAULTS, Task, given, read_config
from throughtime.cli.predict import read_alike, with_names
from throughtime.cli.screen import console, print_description
from throughtime.data import Dataset, describe, read
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator, check_device
from throughtime.stability import LagCurve, LayerLagCurve
from throughtime.study import FlowReport, Run, flow_files, report_flow

#: Lags of the table, as far as the series go.
SHOWN_LAGS = (1, 10, 50, 100, 500, 1000, 5000)
#: The curve on the screen: letters of a layer each, rows, columns, and powers of ten at most.
LETTERS, ROWS, COLUMNS, DECADES = "ox+*#@%&", 14, 72, 14


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
    columns = tables["data"] | {name: value for name, value in data.items() if value is not None}
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
        f"What is left of the last state's gradient so many steps back, {state}: norm over that at lag 0, geometric\n"
        f"mean of {curve.n_series} series; the horizon is where 1 % is left, with its 95 % interval.\n"
    )
    lags = [lag for lag in SHOWN_LAGS if lag < curve.longest]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("layer")
    for heading in ("horizon", *(f"lag {lag}" for lag in lags)):
        table.add_column(heading, justify="right", no_wrap=True)
    for letter, layer in zip(_letters(curve), curve.layers, strict=True):
        table.add_row(f"{letter} {escape(layer.label)}", _horizon(layer), *(_left(layer.mean[lag]) for lag in lags))
    console().print(table)
    console().print()
    for line in plot_lines(curve):
        console().print(line, markup=False, no_wrap=True, overflow="crop")
    console().print()
    _print_findings(report)


def _print_findings(report: FlowReport) -> None:
    for finding in report.findings:
        words = f"{finding.title}: {finding.detail}"
        if finding.verdict == "found":
            console().print(escape(f"{words} ({finding.code}); {finding.remedy}."), style="yellow", soft_wrap=True)
        elif not finding.detail.startswith(("no loss", "it needs")):
            console().print(escape(f"{words} ({finding.code})."), soft_wrap=True)


def _letters(curve: LagCurve) -> list[str]:
    return [LETTERS[number % len(LETTERS)] for number in range(len(curve.layers))]


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


def plot_lines(curve: LagCurve) -> list[str]:
    """The lag curve in letters, a layer each: powers of ten upwards, lags to the right, 1 % as a line."""
    means = [_logs(layer.mean) for layer in curve.layers]
    known = np.concatenate([logs[np.isfinite(logs)] for logs in means])
    top = math.ceil(max(float(known.max()), 0.0)) if len(known) else 0
    bottom = max(math.floor(min(float(known.min()), -2.0)), top - DECADES) if len(known) else -2
    longest = max(len(logs) for logs in means)
    columns = min(COLUMNS, longest)
    grid = [[" "] * columns for _ in range(ROWS)]
    percent = _row(-2.0, bottom, top)
    grid[percent] = ["-"] * columns
    for letter, logs in list(zip(_letters(curve), means, strict=True))[::-1]:  # the first layer on top
        for column in range(columns):
            lag = round(column * (longest - 1) / max(columns - 1, 1))
            if lag < len(logs) and np.isfinite(logs[lag]) and logs[lag] >= bottom:
                grid[_row(min(float(logs[lag]), top), bottom, top)][column] = letter
    labels = {_row(float(power), bottom, top): f"1e{power}" for power in (top, bottom)} | {percent: "1 %"}
    lines = [f"{labels.get(number, ''):>6} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    last = str(longest - 1)
    axis = f"{'':>6} +{'-' * columns}"
    return [*lines, axis, f"{'lag':>6}  0{last:>{max(columns - 1, len(last) + 1)}}"]


def _logs(means: Float64[ndarray, "lag"]) -> Float64[ndarray, "lag"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: ndarray = np.log10(means)
    return logs


def _row(power: float, bottom: int, top: int) -> int:
    return round((top - power) / (top - bottom) * (ROWS - 1))
