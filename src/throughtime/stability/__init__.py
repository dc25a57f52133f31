"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.audit import InitializationAudit, LayerAudit, audit_initialization
from throughtime.stability.decay import FRACTION, Horizon, fit_horizon, growth_per_step, log_ratios, mean_log_ratio
from throughtime.stability.decomposition import LagDecomposition, lag_decomposition
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
    recorded_lags,
)
from throughtime.stability.gate_memories import GateMemory, gate_memory
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
from throughtime.stability.linear_rnn import LinearRNNGradients, linear_rnn_gradients
from throughtime.stability.lyapunov import LyapunovSpectrum, lyapunov_exponents
from throughtime.stability.precision import FlushedDeltas, flushed_deltas, longest_memory
from throughtime.stability.pulling_back import StateNorms, pulled_back_norms
from throughtime.stability.recurrence_checks import RECURRENCE_CHECKS
from throughtime.stability.saturated_gates import Saturation, saturation
from throughtime.stability.step_jacobians import Jacobians, SingularValues, jacobians, singular_values
from throughtime.stability.truncation import TRUNCATION_CHECKS, TruncationBias, truncation_bias
from throughtime.stability.updates import UpdateRatio, update_ratio
from throughtime.stability.weight_patterns import GateWeights

__all__ = [
    "EXPLODED",
    "FLOW_CHECKS",
    "FRACTION",
    "RECURRENCE_CHECKS",
    "TRUNCATION_CHECKS",
    "ComputationGraph",
    "Edge",
    "FlowRecord",
    "FlushedDeltas",
    "GateMemory",
    "GateWeights",
    "GradientFlow",
    "Horizon",
    "InitializationAudit",
    "Jacobians",
    "Kind",
    "LagCurve",
    "LagDecomposition",
    "Lane",
    "LayerAudit",
    "LayerFlow",
    "LayerLagCurve",
    "LinearRNNGradients",
    "LyapunovSpectrum",
    "Node",
    "Saturation",
    "SerialDepth",
    "SharedParameter",
    "SingularValues",
    "StateNorms",
    "TruncationBias",
    "UpdateRatio",
    "audit_initialization",
    "fit_horizon",
    "flow_findings",
    "flow_from_arrays",
    "flow_to_arrays",
    "flushed_deltas",
    "gate_memory",
    "gradient_flow",
    "growth_per_step",
    "horizons_of",
    "jacobians",
    "lag_curve",
    "lag_decomposition",
    "layer_graph",
    "layer_names",
    "linear_rnn_gradients",
    "log_ratios",
    "longest_memory",
    "lyapunov_exponents",
    "mean_log_ratio",
    "pulled_back_norms",
    "recorded_lags",
    "saturation",
    "singular_values",
    "truncation_bias",
    "unroll",
    "update_ratio",
]
