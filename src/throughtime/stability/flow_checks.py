"""What a gradient's way through time shows: findings whose remedies are things to try, for nothing was retrained."""

import math

import numpy as np

from throughtime.findings import Check, Finding, Measured, NotApplicable, run_checks
from throughtime.records import Records
from throughtime.stability.arguments import check_lag, check_record, check_whole
from throughtime.stability.decay import FRACTION
from throughtime.stability.flow import GradientFlow
from throughtime.stability.lag_curves import LagCurve

_DOCS = "docs/guide/gradients.md#"


def _measure_vanishing(curve: LagCurve, lag: float) -> Measured | NotApplicable:
    horizon = curve.gradient_horizon
    if math.isinf(horizon):
        reach = f"more than 1 % of the gradient is left over all {curve.longest} steps"
    else:
        reach = f"1 % of the gradient is left at lag {horizon:.3g} of {curve.longest - 1}"
    if lag != lag:  # NaN
        shorter = "" if math.isinf(horizon) else ", shorter than the series: no fault, unless the task needs more"
        return NotApplicable(f"{reach}{shorter}; which lag the task needs is not known")
    check_lag(lag)
    return Measured(lag / horizon, f"{reach}, the task needs {lag:g}")


def _measure_exploding(curve: LagCurve) -> Measured:
    largest = [np.nanmax(layer.mean) for layer in curve.layers]
    worst = int(np.argmax(largest))
    layer, most = curve.layers[worst], float(largest[worst])
    lag = int(np.nanargmax(layer.mean))
    step = lag if layer.reverse else curve.longest - 1 - lag
    if math.isinf(most):
        return Measured(most, f"{layer.label}: overflows at lag {lag}, step {step} of the longest series")
    times = f"{most:.3g} times the last state's at lag {lag}, step {step} of the longest series"
    return Measured(most, f"{layer.label}: {times}; {layer.growth:.4g} times per step back")


def _measure_unreached(flow: GradientFlow) -> Measured:
    unreached = [layer.label for layer in flow.layers if not layer.total.any()]
    detail = f"no gradient reaches {', '.join(unreached)}" if unreached else "the gradient reaches every layer"
    return Measured(float(len(unreached)), detail)


def _measure_nonfinite(flow: GradientFlow) -> Measured:
    broken = [layer for layer in flow.layers if layer.first_nonfinite is not None]
    if not broken:
        return Measured(0.0, "all gradients at the states are finite")
    first = broken[-1]  # the way back begins at the last layer
    assert first.first_nonfinite is not None
    step, series = first.first_nonfinite
    what = "NaN" if np.isnan(first.total[step, series]) else "infinity"
    return Measured(float(len(broken)), f"{what} first in {first.label}, at step {step} of series {series}")


def _measure_cut(k2: int, lag: float) -> Measured | NotApplicable:
    check_whole("k2", k2, 1)
    reach = f"training follows gradients at most {k2 - 1} steps back (k2={k2})"
    if lag != lag:  # NaN
        return NotApplicable(f"{reach}; which lag the task needs is not known")
    check_lag(lag)
    return Measured(lag / (k2 - 1) if k2 > 1 else math.inf, f"{reach}, the task needs {lag:g}")


VANISHING = Check(
    "STA001",
    "vanishing gradient",
    "warning",
    needs=("curve", "lag"),
    lacking="there is no lag curve",
    measure=_measure_vanishing,
    threshold=1.0,
    source="the lag that the task needs, over the lag at which 1 % of the gradient is left: 1 % is a convention",
    remedy="try init='chrono' with that lag, per-gate orthogonal weights, or a forget bias; it says little about a "
    "task that shorter lags help to solve, or about large learning rates",
    docs=_DOCS + "sta001",
)
EXPLODING = Check(
    "STA002",
    "exploding gradient",
    "warning",
    needs=("curve",),
    lacking="there is no lag curve",
    measure=_measure_exploding,
    threshold=1 / FRACTION,
    source="a convention: as far above the last state's gradient as 1 % is below it; Pascanu, Mikolov & Bengio (2013)",
    remedy="try clipping (clip_norm), per-gate orthogonal weights, or recurrent weights of a smaller spectral radius",
    docs=_DOCS + "sta002",
)
UNREACHED = Check(
    "STA003",
    "layer without gradient",
    "warning",
    needs=("flow",),
    lacking="no loss was followed back",
    measure=_measure_unreached,
    source="a layer that the loss does not depend on learns nothing",
    remedy="try what the loss reads: an output that is detached, or left out",
    docs=_DOCS + "sta003",
)
NONFINITE = Check(
    "STA004",
    "gradient not finite",
    "warning",
    needs=("flow",),
    lacking="no loss was followed back",
    measure=_measure_nonfinite,
    source="a step with such a gradient destroys the weights",
    remedy="try clipping, a smaller learning rate, dtype='float64', or look at the inputs and the loss of that series",
    docs=_DOCS + "sta004",
)
CUT = Check(
    "STA005",
    "gradient cut off",
    "warning",
    needs=("k2", "lag"),
    lacking="training is not truncated",
    measure=_measure_cut,
    threshold=1.0,
    source="the lag that the task needs, over the furthest that truncated BPTT follows: none comes from beyond",
    remedy="try a larger k2, or bptt='checkpointed', whose gradient is the full one",
    docs=_DOCS + "sta005",
)
#: In the order of their findings.
FLOW_CHECKS = (VANISHING, EXPLODING, UNREACHED, NONFINITE, CUT)


def flow_findings(
    *,
    flow: GradientFlow | None = None,
    curve: LagCurve | None = None,
    lag: float | None = None,
    k2: int | None = None,
) -> Records[Finding]:
    """Judge what ``gradient_flow`` and ``lag_curve`` measured.

    Parameters
    ----------
    lag
        Steps back that the task needs, where they are known, such as by a probe that cuts the history.
    k2
        Steps that truncated BPTT follows a gradient over, where training is truncated.

    Returns
    -------
    One finding per check; not applicable where its measurement is missing.

    Raises
    ------
    ParameterError
        For a lag that is none, or that no series has; for what is not what these functions give.
    """
    if flow is not None:
        check_record("flow", flow, GradientFlow, "gradient_flow")
    if curve is not None:
        check_record("curve", curve, LagCurve, "lag_curve")
    if lag is not None:
        check_lag(lag, None if curve is None else curve.longest)
    if k2 is not None:
        k2 = check_whole("k2", k2, 1)
    return run_checks(FLOW_CHECKS, flow=flow, curve=curve, k2=k2, lag=float("nan") if lag is None else float(lag))
