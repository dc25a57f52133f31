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
from throughtime.cli.options import Task, given
from throughtime.cli.predict import read_alike, with_names
from throughtime.cli.runs import PICTURES, is_written, open_run
from throughtime.cli.screen import as_typed, console, print_description, print_table, print_text
from throughtime.data import Dataset, describe, read
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceEstimator, check_device
from throughtime.parameters import COMMAND_DEFAULTS
from throughtime.stability import LagCurve, LayerLagCurve
from throughtime.study import FlowReport, flow_files, report_flow

#: Lags of the table, as far as the series go.
SHOWN_LAGS = (1, 10, 50, 100, 500, 1000, 5000)
#: Say how far the gradient reaches even where nobody knows how far it needs to; the second where training cuts it off.
_VANISHING, _CUT = "STA001", "STA005"
#: Blanks between columns.
_GAP = 2


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
    if source is not None and is_written(source):
        raise ParameterError(f"{source} needs to be data, got a directory with a run's manifest; a run is named first")
    if is_written(what):
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
    _print_report(report, lag)
    if out is not None:
        files = flow_files(report)
        storage.write_run(out, files, {"kind": PICTURES, "source": what})
        console().print(f"\nwritten to {as_typed(out)}: {', '.join(files)}", soft_wrap=True)
        if report.graph is None:
            console().print("no unrolled.svg: the series are too long to unroll step by step", style="dim")
    return report


def _of_run(directory: Path, source: str | None) -> tuple[SequenceEstimator, Dataset]:
    run = open_run(directory)
    model, settings = run.estimator, run.config
    found = with_names(read_alike(source or settings["source"], settings, model), model, settings)
    console().print(f"[bold]{escape(str(directory))}[/bold] on {escape(found.source)}\n", soft_wrap=True)
    return model, found


def _of_source(
    source: str, data: Mapping[str, Any], flags: Mapping[str, Any], task: Task | None, config: Path | None
) -> tuple[SequenceEstimator, Dataset]:
    tables = {"model": {}, "data": {}} if config is None else read_config(config)
    columns = tables["data"] | dict(data)
    parameters = COMMAND_DEFAULTS | tables["model"] | given(flags)
    check_device(parameters.get("device", "cpu"))
    for name in ("test", "split"):
        columns.pop(name, None)
    if parameters.get("horizon"):
        columns["own_past"] = True
    try:
        found = read(source, **columns, layout=parameters.get("layout", "ntc"))
    except DataError as error:
        if not Path(source).is_dir():
            raise
        raise DataError(f"{error}; and it is no run, for it holds no {storage.MANIFEST}") from error
    model = estimator_for(found, task, parameters)
    print_description(describe(found))
    console().print()
    return model, found


def _print_report(report: FlowReport, lag: int | None) -> None:
    curve = report.curve
    state = "at initialization" if report.initial else "as trained"
    print_text(
        f"What is left of the last state's gradient so many steps back, {state}; geometric mean of {curve.n_series} "
        "series. Where 1 % is left is the gradient horizon, with its 95 % interval.\n"
    )
    print_table(_table(curve, lag))
    console().print()
    for line in plot_lines(curve, console().width):
        console().print(line, markup=False, no_wrap=True, overflow="crop")
    console().print()
    _print_findings(report, lag)


def _table(curve: LagCurve, needed: int | None) -> Table:
    """What each layer has left: at as many lags as the screen has room for, the one that is needed among them."""
    names = [f"{letter} {layer.label}" for letter, layer in zip(letters_of(curve), curve.layers, strict=True)]
    horizons = [_horizon(layer) for layer in curve.layers]
    lags = {lag for lag in (*SHOWN_LAGS, needed or 0) if 0 < lag < curve.longest}
    columns = {lag: [_left(layer.mean[lag]) for layer in curve.layers] for lag in sorted(lags)}
    room = console().width - sum(max(map(len, texts)) + _GAP for texts in (names, horizons))
    for lag in sorted(lags - {needed}, reverse=True):
        if sum(max(len(_lag(at)), *map(len, texts)) + _GAP for at, texts in columns.items()) > room:
            del columns[lag]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    table.add_column("layer", overflow="fold")
    for heading in ("1 % left at", *map(_lag, columns)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, horizon, *left in zip(names, horizons, *columns.values(), strict=True):
        table.add_row(escape(name), horizon, *left)
    return table


def _print_findings(report: FlowReport, lag: int | None) -> None:
    """What was found and what to try, then what could not be judged, then the rest in a line."""
    of_reach = (_VANISHING,) if report.k2 is None else (_VANISHING, _CUT)
    for finding in report.findings:
        words = f"{finding.title} ({finding.code}): {finding.detail}"
        if finding.verdict == "found":
            print_text(escape(f"{words}; {finding.remedy}."), "yellow")
        elif finding.verdict == "not applicable" and finding.code in of_reach:
            print_text(escape(f"{words}; --lag says it." if lag is None else f"{words}."))
    clear = [f"{finding.title} ({finding.code})" for finding in report.findings if finding.verdict == "clear"]
    if clear:
        print_text(escape(f"not found: {', '.join(clear)}."), "dim")


def _horizon(layer: LayerLagCurve) -> str:
    if math.isinf(layer.gradient_horizon):
        return f"beyond {len(layer.mean) - 1}"
    if math.isnan(layer.horizon_low):
        return f"{layer.gradient_horizon:.3g}"
    high = "..." if math.isinf(layer.horizon_high) else f"{layer.horizon_high:.3g}"
    return f"{layer.gradient_horizon:.3g} ({layer.horizon_low:.3g} to {high})"


def _lag(lag: int) -> str:
    return f"lag {lag}"


def _left(norm: float) -> str:
    if math.isnan(norm):
        return "-"
    if norm == 0:
        return "0"
    return f"{norm:.2f}" if 0.01 <= norm < 100 else f"{norm:.0e}"
