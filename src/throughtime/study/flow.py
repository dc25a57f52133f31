"""How far back gradients reach in an estimator's network, on its data: measured, judged, and drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Dataset, Sequences
from throughtime.displays import GradientFlowDisplay, LagCurveDisplay
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceEstimator, at_initialization, module_call
from throughtime.findings import Finding
from throughtime.records import Record, Records
from throughtime.stability import (
    ComputationGraph,
    GradientFlow,
    LagCurve,
    flow_findings,
    gradient_flow,
    lag_curve,
    unroll,
)
from throughtime.study.files import svg_bytes

#: A horizon's error is 3 to 21 % with so many random walks, and 7 to 47 % with 32.
MOST_SERIES, FEWEST_SERIES = 128, 32
#: Numbers that a pass may keep for its way back, about 800 MB; and what a cell keeps per unit and step.
MOST_KEPT, PER_UNIT = 10**8, 16
#: Steps, of all layers and directions, of a graph that is drawn: some seconds. Series in it: its norms are of them all.
MOST_DRAWN, DRAWN_SERIES = 8000, 8


@dataclass(frozen=True, repr=False, eq=False)
class FlowReport(Record):
    """What gradients do on their way back through an estimator's network.

    Attributes
    ----------
    initial
        Whether the network was not trained.
    curve
        What is left of the last state's gradient at each lag.
    flow
        Which gradient of the estimator's own loss reaches which state; ``None`` without targets.
    graph
        The network unrolled on some series; ``None`` for series too long to draw.
    findings
        What is amiss, and what to try.
    k2
        Steps that training follows a gradient over, where it is truncated.
    """

    initial: bool
    curve: LagCurve
    flow: GradientFlow | None
    graph: ComputationGraph | None
    findings: Records[Finding]
    k2: int | None


def report_flow(model: SequenceEstimator, data: Dataset, *, lag: int | None = None) -> FlowReport:
    """Measure how far back gradients reach, on at most 128 of the series.

    Parameters
    ----------
    model
        Fitted; or not, then its network is measured as training would start it.
    data
        With targets for the gradient of the estimator's own loss.
    lag
        Steps back that the task needs, where they are known.

    Raises
    ------
    DataError, ParameterError
        For data that the estimator does not take, and a lag that no series has.
    """
    initial = not hasattr(model, "network_")
    if initial:
        if data.y is None:
            raise DataError(f"{data.source} needs a target to start a network for; --target names its column")
        model = at_initialization(model, data.X, data.y)
    X, y = _some(data, _most_series(model, data.X))
    call = module_call(model, X, y)
    longest = int(call.lengths.max())  # of what the network reads: a forecast's is shorter
    if longest < 2:
        raise DataError(f"{data.source} needs series of at least 2 steps to look back in, got series of 1")
    if lag is not None and not 0 < lag < longest:
        raise ParameterError(
            f"lag needs to be 1 to {longest - 1}, as the longest series that the network reads has {longest} steps, "
            f"got {lag}"
        )
    curve = lag_curve(call.module, call.x, lengths=call.lengths)
    flow = None if y is None else gradient_flow(call.module, call.x, call.loss, lengths=call.lengths)
    k2 = model.k2 if model.bptt == "truncated" else None
    findings = flow_findings(curve=curve, flow=flow, lag=lag, k2=k2)
    return FlowReport(initial, curve, flow, _graph_of(model, data), findings, k2)


def flow_files(report: FlowReport) -> Mapping[str, bytes]:
    """Pictures of a report by their names, SVG."""
    files = {"lag_curve.svg": svg_bytes(LagCurveDisplay(report.curve))}
    if report.flow is not None:
        files["gradient_flow.svg"] = svg_bytes(GradientFlowDisplay(report.flow))
    if report.graph is not None:
        files["unrolled.svg"] = report.graph.to_svg().encode()
    return files


def reach_in_words(horizon: float, longest_lag: int, k2: int | None = None) -> str:
    """How far a gradient reaches, by the lag at which 1 % is left and by truncated BPTT's ``k2``, in a line."""
    if k2 is not None and k2 - 1 < min(horizon, longest_lag):
        return f"training cuts it off {k2 - 1} steps back (k2={k2}), where the longest series goes back {longest_lag}"
    if math.isinf(horizon):
        return f"more than 1 % of it is left {longest_lag} steps back, as far as the longest series goes"
    return f"1 % of it is left {horizon:.3g} steps back, where the longest series goes back {longest_lag}"


def _most_series(model: SequenceEstimator, X: Sequences) -> int:
    """As many as memory allows, and a horizon asks for."""
    kept = int(X.lengths.max()) * model.hidden_size * model.num_layers * (1 + model.bidirectional) * PER_UNIT
    return int(np.clip(MOST_KEPT // kept, FEWEST_SERIES, MOST_SERIES))


def _some(data: Dataset, most: int) -> tuple[Sequences, Any]:
    """At most so many series, the longest and others evenly from all of them, and their targets."""
    rows: ndarray = np.unique(np.linspace(0, len(data.X) - 1, most).round().astype(int))
    if data.X.lengths[rows].max() < data.X.lengths.max():
        longest = data.X.lengths.argmax()
        rows[np.abs(rows - longest).argmin()] = longest
    return data.X[rows], None if data.y is None else data.y[rows]


def _graph_of(model: SequenceEstimator, data: Dataset) -> ComputationGraph | None:
    if int(data.X.lengths.max()) * model.num_layers * (1 + model.bidirectional) > MOST_DRAWN:
        return None
    X, y = _some(data, DRAWN_SERIES)
    call = module_call(model, X, y)
    return unroll(call.module, (call.x, call.lengths), loss=None if y is None else call.loss)
