"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.decay import FRACTION, Horizon, fit_horizon, growth_per_step, log_ratios, mean_log_ratio
from throughtime.stability.flow import GradientFlow, LayerFlow, gradient_flow
from throughtime.stability.flow_checks import FLOW_CHECKS, flow_findings
from throughtime.stability.flow_record import (
    EXPLODED,
    FlowRecord,
    Kind,
    flow_from_arrays,
    flow_to_arrays,
    horizons_of,
    layer_names,
    log_norms_at,
    recorded_lags,
)
from throughtime.stability.graphs import (
    ComputationGraph,
    Edge,
    Lane,
    Node,
    SerialDepth,
    SharedParameter,
    layer_graph,
    unroll,
)
from throughtime.stability.lag_curves import LagCurve, LayerLagCurve, lag_curve
from throughtime.stability.pulling_back import StateNorms, pulled_back_norms

__all__ = [
    "EXPLODED",
    "FLOW_CHECKS",
    "FRACTION",
    "ComputationGraph",
    "Edge",
    "FlowRecord",
    "GradientFlow",
    "Horizon",
    "Kind",
    "LagCurve",
    "Lane",
    "LayerFlow",
    "LayerLagCurve",
    "Node",
    "SerialDepth",
    "SharedParameter",
    "StateNorms",
    "fit_horizon",
    "flow_findings",
    "flow_from_arrays",
    "flow_to_arrays",
    "gradient_flow",
    "growth_per_step",
    "horizons_of",
    "lag_curve",
    "layer_graph",
    "layer_names",
    "log_norms_at",
    "log_ratios",
    "mean_log_ratio",
    "pulled_back_norms",
    "recorded_lags",
    "unroll",
]
