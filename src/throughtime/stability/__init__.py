"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.decay import Horizon, fit_horizon, growth_per_step, log_ratios, mean_log_ratio
from throughtime.stability.flow import GradientFlow, LayerFlow, gradient_flow
from throughtime.stability.flow_checks import FLOW_CHECKS, flow_findings
from throughtime.stability.lag_curve import LagCurve, LayerLagCurve, lag_curve
from throughtime.stability.pulling_back import StateNorms, pulled_back_norms

__all__ = [
    "FLOW_CHECKS",
    "GradientFlow",
    "Horizon",
    "LagCurve",
    "LayerFlow",
    "LayerLagCurve",
    "StateNorms",
    "fit_horizon",
    "flow_findings",
    "gradient_flow",
    "growth_per_step",
    "lag_curve",
    "log_ratios",
    "mean_log_ratio",
    "pulled_back_norms",
]
