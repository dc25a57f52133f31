"""How far back gradients reach in the trained network, and did while it trained."""

import math
from collections.abc import Sequence

import numpy as np

from throughtime.displays import FlowMonitorDisplay, RecordedGridDisplay, RecordedLagsDisplay
from throughtime.report.parts import Absent, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.stability import FlowRecord
from throughtime.study import MemberFlow, reach_in_words

#: Lags of the table, as far as the series go.
LAGS = (1, 10, 50, 100, 500, 1000, 5000)
#: Training steps of the picture of a monitor; of more, as many are drawn, evenly.
MOST_STEPS = 120


def gradients(subject: Subject) -> Sequence[Part]:
    """The lag curve of the network of all series, its table, and what a monitor recorded."""
    run = subject.run
    flows = sorted(run.flow, key=lambda flow: (flow.fold is not None, flow.seed, flow.fold or 0))
    last = next((flow.records[-1] for flow in flows if flow.fold is None), None)
    if last is None:
        return [Absent("This run has no record of its gradients.", "throughtime flow RUN")]
    parameters = run.config["parameters"]
    k2 = parameters.get("k2") if parameters.get("bptt") == "truncated" else None
    reach = reach_in_words(last.gradient_horizon, int(last.lags[-1]), k2)
    parts: list[Part] = [Line(f"Gradient of the last state, in the network of all series: {reach}.")]
    lags = RecordedLagsDisplay(last)
    caption = (
        "The norm of a gradient on its way back from the last state, relative to its norm there: geometric mean over "
        "some of the series."
    )
    parts.append(figure_of(lags.plot, lags.figsize, "What is left of the gradient at each lag", f"{reach}.", caption))
    if len(last.layers) > 1:
        grid = RecordedGridDisplay(last)
        parts.append(figure_of(grid.plot, grid.figsize, "Gradient left, by layer and lag", f"{reach}."))
    parts.append(_table(last))
    return [*parts, *_monitored(flows)]


def _table(record: FlowRecord) -> Table:
    shown = [lag for lag in LAGS if lag <= record.lags[-1]]
    rows = []
    for name, curve, horizon in zip(record.layers, record.log_norms, record.horizons, strict=True):
        left = [curve[int(np.abs(record.lags - lag).argmin())] - curve[0] for lag in shown]
        where = "beyond the series" if math.isinf(horizon) else f"{horizon:.3g}"
        rows.append((name, where, *map(_left, left)))
    head = ("layer", "1 % left at lag", *(f"lag {lag}" for lag in shown))
    return Table("What is left of the gradient of the last state", head, tuple(rows))


def _left(power: float) -> str:
    if math.isnan(power):
        return "-"
    if power == -math.inf:
        return "0"
    return f"{10.0**power:.2f}" if -2 <= power < 2 else f"1e{power:+.0f}"


def _monitored(flows: Sequence[MemberFlow]) -> list[Part]:
    """Gradients while a network trained, the first that a monitor looked at."""
    for flow in flows:
        probes = [record for record in flow.records if record.kind == "probe"]
        if probes:
            some = np.unique(np.linspace(0, len(probes) - 1, MOST_STEPS).round().astype(int))
            display = FlowMonitorDisplay([probes[k] for k in some])
            which = "the network of all series" if flow.fold is None else f"fold {flow.fold + 1}"
            words = f"Of {which}, first layer, from step {probes[0].step} to {probes[-1].step}."
            return [figure_of(display.plot, display.figsize, "Gradients while the network trained", words, words)]
    return [
        Absent("No monitor looked at gradients while the network trained.", "throughtime fit SOURCE --monitor flow")
    ]
