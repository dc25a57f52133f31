"""An audit of how a network starts: whether a gradient lives over the lag of the task, and what its weights look like.

What a lag curve at initialization predicts, it predicts for tasks that no shorter way solves, and small steps: where
shorter lags carry signal, or updates move the horizon, networks learn whose gradient is dead at the start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.findings import Check, Finding, Measured, NotApplicable, run_checks
from throughtime.nn import solve_mean_field
from throughtime.records import Record, Records, Row, aligned
from throughtime.stability.arguments import check_call, check_lag, check_model, check_seed
from throughtime.stability.calls import ModelInput, evaluation, recurrent_calls
from throughtime.stability.flow_checks import EXPLODING, VANISHING
from throughtime.stability.gate_memories import SHORT_MEMORY, GateMemory, memories_of
from throughtime.stability.lag_curves import LagCurve, LayerLagCurve, lag_curve
from throughtime.stability.layers import recurrent_layers
from throughtime.stability.traces import StepTrace, trace_call
from throughtime.stability.weight_patterns import (
    DOCS,
    STACKED_FAN,
    STACKED_ORTHOGONAL,
    GateWeights,
    gate_weights,
    state_power,
)

#: White inputs where none are given: so many series, as a horizon asks for, and at least so many steps.
_SERIES, _STEPS = 32, 101
_ACTIVATIONS = {"rnn_tanh": "tanh", "rnn_relu": "relu", "linear": "linear"}
#: Head of a column.
_HORIZON = "1 % left at lag"
_TO_ONE_PERCENT = math.log(100)


@dataclass(frozen=True, repr=False)
class LayerAudit(Row):
    """One layer and direction at its start.

    Attributes
    ----------
    label
        The layer and direction in words.
    cell
        Its cell's.
    chi
        Mean-field factor by which a gradient's mean square changes per step; ``None`` for a cell with gates.
    radius
        The largest spectral radius of a gate's recurrent weights; ``None`` with a projection.
    memory, longest_memory
        Steps that the gate keeps a state for, the median unit and the longest; ``None`` for a cell without such a gate.
    gradient_horizon
        The lag at which 1 % of the gradient is left; ``None`` where no gradient comes to the layer.
    """

    title: ClassVar[str] = "layers as they start"

    label: str
    cell: str
    chi: float | None
    radius: float | None
    memory: float | None
    longest_memory: float | None
    gradient_horizon: float | None

    def _cells(self) -> dict[str, str]:
        numbers = {
            "chi": self.chi,
            "radius": self.radius,
            "memory": self.memory,
            "longest": self.longest_memory,
        }
        shown = {name: _shown(number) for name, number in numbers.items()}
        return {"layer": self.label, "cell": self.cell, **shown, _HORIZON: _horizon(self, "beyond the series")}


@dataclass(frozen=True, repr=False)
class InitializationAudit(Record):
    """What ``audit_initialization`` found; printed as a table, and what is to be looked at.

    Attributes
    ----------
    lag
        Steps back that the task needs, if known.
    layers
        A row per layer and direction.
    gates
        A row per gate of each weight matrix.
    curves
        The lag curve; one per recurrent module where they are audited on white inputs of their own.
    findings
        One per check.
    """

    lag: float | None
    layers: Records[LayerAudit]
    gates: Records[GateWeights]
    curves: tuple[LagCurve, ...]
    findings: Records[Finding]

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def audit_initialization(
    model: nn.Module,
    x: ModelInput | None = None,
    *,
    lengths: Int[Tensor, "series"] | Sequence[int] | None = None,
    lag: float | None = None,
    seed: int = 0,
) -> InitializationAudit:
    """Audit the weights that a network starts with.

    In float64 and evaluation mode, so that what is small is seen.

    Parameters
    ----------
    model
        A recurrent layer of torch or of throughtime.nn, or any model that holds some; it is left as it was.
    x
        What the model is called with: its input, or a sequence of all its arguments; 32 series or more. By default each
        recurrent layer is audited on its own, on 32 series of standard normal numbers.
    lengths
        Steps of each series.
    lag
        Steps back that the task needs, where they are known; without it nothing that depends on it is judged.
    seed
        Of the white inputs, and of the directions of the lag curve.

    Raises
    ------
    ParameterError
        For a model without recurrent layers; lengths and a seed that are none; a lag below 1, or that no series has.
    DataError
        For an x that the model cannot take; for values that are not finite, the layer, series and step named.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import audit_initialization
    >>> _ = torch.manual_seed(0)
    >>> audit = audit_initialization(torch.nn.LSTM(2, 32), lag=100)
    >>> [finding.code for finding in audit.findings if finding.verdict == "found"]
    ['STA001', 'STA014']
    """
    check_model(model)
    seed = check_seed(seed)
    if lag is not None:
        check_lag(lag)
    if x is not None:
        check_call(model, x, lengths, arguments=(tuple, list))
        x = tuple(x) if isinstance(x, list) else x
        parts = [_measured(model, x, lengths, seed)]
        if lag is not None:
            check_lag(lag, max(int(place.lengths.max()) for place in parts[0].places))
    elif lengths is not None:
        raise ParameterError("lengths needs the x whose series they are of, got x=None")
    else:
        steps = max(_STEPS, math.floor(lag or 0) + 1)
        parts = [_alone(name, layer, steps, seed) for name, layer in recurrent_layers(model).items()]
    layers = Records(row for part in parts for row in _rows(part))
    gates = Records(one for part in parts for one in part.gates)
    curves = tuple(part.curve for part in parts)
    memories = [memory for part in parts for memory in part.memories]
    shortest = min(curves, key=lambda curve: curve.gradient_horizon)
    findings = [
        *run_checks((VANISHING, EXPLODING), curve=shortest, lag=math.nan if lag is None else float(lag)),
        *run_checks(AUDIT_CHECKS, lag=lag, gate_memory=memories, layers=layers, gate_weights=gates),
    ]
    return InitializationAudit(lag, layers, gates, curves, Records(findings))


@dataclass(frozen=True)
class _Part:
    """What is measured of a model, or of one of its layers alone."""

    places: list[StepTrace]
    gates: list[GateWeights]
    memories: Records[GateMemory]
    curve: LagCurve


def _measured(model: nn.Module, x: Any, lengths: Any, seed: int) -> _Part:
    places: list[StepTrace] = []
    gates: list[GateWeights] = []
    for call in recurrent_calls(model, x, lengths=lengths):
        weights = call.weights
        inputs = [weight[0] for name, weight in weights.items() if name.startswith("weight_ih")]
        power = 1.0  # of what the layer reads, as its critical weights are drawn for
        for place, weight, above in zip(found := trace_call(call), inputs, [*found[1:], None], strict=True):
            gates += gate_weights(place, weight, power) if call.number == 0 else []
            if above is not None and not above.reverse:
                power = state_power(place, weight, power)
        places += found
    steps = None if lengths is None else torch.as_tensor(lengths)
    with evaluation(model):
        curve = lag_curve(model, x, lengths=steps, seed=seed, dtype=torch.float64)
    return _Part(places, gates, memories_of(places), curve)


def _alone(name: str, layer: Any, steps: int, seed: int) -> _Part:
    """A recurrent module on white inputs of its own, under its name in the model."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(steps, _SERIES, layer.input_size, generator=generator)
    weight = next(layer.parameters())
    white = white.to(weight.device, weight.dtype)
    part = _measured(layer, white.transpose(0, 1) if layer.batch_first else white, None, seed)
    if not name:
        return part
    own = type(layer).__name__

    def named(record: Any) -> Any:
        return replace(record, label=name + record.label.removeprefix(own))

    layers = tuple(replace(named(curve), module=name) for curve in part.curve.layers)
    return _Part(
        [named(place) for place in part.places],
        [named(one) for one in part.gates],
        Records(named(memory) for memory in part.memories),
        replace(part.curve, source=name, layers=layers),
    )


def _rows(part: _Part) -> list[LayerAudit]:
    memories = {memory.label: memory for memory in part.memories}
    curves = {curve.label: curve for curve in part.curve.layers}
    rows = []
    for place in part.places:
        radii = [
            one.radius
            for one in part.gates
            if (one.label, one.tensor) == (place.label, "weight_hh") and not math.isnan(one.radius)
        ]
        memory: GateMemory | None = memories.get(place.label)
        curve: LayerLagCurve | None = curves.get(place.label)
        rows.append(
            LayerAudit(
                place.label,
                place.cell.name,
                _chi(place),
                max(radii, default=None),
                None if memory is None else memory.q50,
                None if memory is None else memory.longest,
                None if curve is None else curve.gradient_horizon,
            )
        )
    return rows


def _chi(place: StepTrace) -> float | None:
    """Mean field of an Elman network, of the weights and the inputs as they are."""
    activation: Any = _ACTIVATIONS.get(place.cell.name)
    if activation is None:
        return None
    units = len(place.w_hh)
    given = place.from_x + place.from_h - place.before[0] @ place.w_hh.mT  # inputs and both biases
    bias_variance = float(given[place.running].square().mean())
    return solve_mean_field(float(place.w_hh.norm()) / math.sqrt(units), bias_variance, activation).chi


def _mean_field(layers: Sequence[LayerAudit], lag: float) -> Measured | NotApplicable:
    check_lag(lag)
    rows = [(abs(math.log(row.chi)) / 2 if row.chi else math.inf, row) for row in layers if row.chi is not None]
    if not rows:
        return NotApplicable("chi is that of an Elman network, and there is none")
    rate, row = max(rows, key=lambda pair: pair[0])
    steps = f"{1 / rate:.3g}" if rate else "inf"
    detail = f"chi of {row.label} is {row.chi:.4g}, a gradient changes by e in {steps} steps; the task needs {lag:g}"
    return Measured(rate * lag, detail)


def _radius(layers: Sequence[LayerAudit], lag: float) -> Measured | NotApplicable:
    check_lag(lag)
    rows = [(-math.log(row.radius) if row.radius else math.inf, row) for row in layers if row.chi is not None]
    if not rows:
        return NotApplicable("it says little of a cell with gates")
    rate, row = max(rows, key=lambda pair: pair[0])
    detail = f"the spectral radius of {row.label} is {row.radius:.4g}"
    return Measured(rate * lag, f"{detail}, {(row.radius or 0) ** lag:.2g} over the {lag:g} steps that the task needs")


MEAN_FIELD = Check(
    "STA020",
    "mean field off criticality",
    "warning",
    ("layers", "lag"),
    lambda layers, lag: _mean_field(layers, lag),
    "chi = 1: Schoenholz et al. (2017); chi^(lag/2) below 1 % or above 100, as the gradient horizon has it",
    "try init='critical', which sets the recurrent weights' scale so that chi is 1",
    threshold=_TO_ONE_PERCENT,
    docs=DOCS,
    lacking="which lag the task needs is not known",
)

RADIUS = Check(
    "STA021",
    "small spectral radius",
    "warning",
    ("layers", "lag"),
    lambda layers, lag: _radius(layers, lag),
    "radius^lag below 1 %, as the gradient horizon has it: the linear network's decay, and a tanh only shrinks it",
    "try orthogonal or critical recurrent weights",
    threshold=_TO_ONE_PERCENT,
    docs=DOCS,
    lacking="which lag the task needs is not known",
)

#: In the order of their findings, behind those of the lag curve.
AUDIT_CHECKS = (SHORT_MEMORY, MEAN_FIELD, RADIUS, STACKED_FAN, STACKED_ORTHOGONAL)


def _lines(audit: InitializationAudit) -> list[str]:
    """A row per layer, a row per matrix, what was found, and what was not looked at."""
    longest = max(curve.longest for curve in audit.curves)
    rows = [row._cells() | {_HORIZON: _horizon(row, f"beyond {longest - 1}")} for row in audit.layers]
    lines = aligned([list(rows[0]), *(list(row.values()) for row in rows)])
    matrices = dict.fromkeys((one.label, one.tensor, one.pattern) for one in audit.gates)
    spreads = [("weights", "looks like", "spread over Xavier's, gate by gate")]
    for label, tensor, pattern in matrices:
        own = [one for one in audit.gates if (one.label, one.tensor) == (label, tensor)]
        spreads.append((f"{label} {tensor}", pattern, "  ".join(f"{one.gate} {one.to_xavier:.3f}" for one in own)))
    lines += ["", *aligned(spreads), "", *(str(one) for one in audit.findings if one.verdict == "found")]
    if lines[-1] == "":
        clear = ", ".join(one.title for one in audit.findings if one.verdict == "clear")
        lines.append(f"nothing found; looked for: {clear}")
    return lines if audit.lag is not None else [*lines, "no lag given: memory is not judged; pass lag="]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _horizon(row: LayerAudit, beyond: str) -> str:
    horizon = row.gradient_horizon
    return beyond if horizon is not None and math.isinf(horizon) else _shown(horizon)
