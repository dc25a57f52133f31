"""Memory of the gates: a unit whose forget gate is f keeps a fraction ``f^t`` of its state for t steps.

So its time constant is ``-1 / ln f``, over a run ``-1 / mean(ln f)``, as the state is multiplied with the product of
all f; ``z`` has that part in torch's GRU.  Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188: a task of lag T
needs units of about T steps, biases of about ln T.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_call, check_lag
from throughtime.stability.calls import DOCS, ModelInput
from throughtime.stability.gate_values import gate_values, keeping_gate
from throughtime.stability.traces import StepTrace, trace

#: Of the units.
QUANTILES = 0.1, 0.5, 0.9


@dataclass(frozen=True, repr=False)
class GateMemory(Row):
    """Of one layer and direction.

    Attributes
    ----------
    label
        The layer and direction in words.
    cell
        Its cell's.
    gate
        The one that keeps the state.
    steps
        Each unit's time constant, ``inf`` for a gate of 1.
    q10, q50, q90, longest
        Quantiles of the units, and the most.
    """

    title: ClassVar[str] = "steps that a gate keeps the state of a unit: quantiles of the units, and the longest"

    label: str
    cell: str
    gate: str
    steps: Float64[ndarray, "unit"]
    q10: float
    q50: float
    q90: float
    longest: float

    def _cells(self) -> dict[str, str]:
        steps = {"10 %": self.q10, "50 %": self.q50, "90 %": self.q90, "longest": self.longest}
        return {"layer": self.label, "gate": self.gate, **{name: f"{most:.3g}" for name, most in steps.items()}}


def gate_memory(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> Records[GateMemory]:
    """For how many steps each unit's gate keeps its state, as the gates are on these series.

    Parameters
    ----------
    model, x, lengths
        As ``jacobians`` takes them.

    Returns
    -------
    One per layer and direction with a gate that keeps the state: an LSTM's f, a GRU's z. The mean of ``ln f`` is taken
    over all steps of all series.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, and lengths that are none.
    DataError
        For an x that the model cannot take; for values that are not finite, the layer, series and step named.

    Examples
    --------
    A forget bias of 1 is a memory of three steps.

    >>> import torch
    >>> from throughtime.stability import gate_memory
    >>> layer = torch.nn.LSTM(1, 4)
    >>> with torch.no_grad():
    ...     for name, weight in layer.named_parameters():
    ...         _ = weight.zero_()
    ...     _ = layer.bias_hh_l0[4:8].fill_(1.0)
    >>> (found,) = gate_memory(layer, torch.zeros(10, 1, 1))
    >>> round(found.q50, 2)
    3.19
    """
    check_call(model, x, lengths, arguments=(tuple, list))
    return memories_of(trace(model, x, lengths=lengths))


def memories_of(places: Iterable[StepTrace]) -> Records[GateMemory]:
    """``gate_memory`` of what has been traced."""
    return Records(_of_place(place, gate) for place in places if (gate := keeping_gate(place.cell)))


def _of_place(place: StepTrace, gate: str) -> GateMemory:
    values = gate_values(place)
    assert values is not None
    running = place.running[..., None]
    logs = torch.where(running, values.sigmoid[gate].log(), 0).sum((0, 1)) / running.sum()
    steps = (1 / logs).abs().numpy()  # logs are never positive; 0 gives inf
    q10, q50, q90 = (float(q) for q in np.quantile(steps, QUANTILES, method="inverted_cdf"))
    return GateMemory(place.label, place.cell.name, gate, steps, q10, q50, q90, float(steps.max()))


def _lacking_steps(memories: Sequence[GateMemory], lag: float) -> Measured | NotApplicable:
    check_lag(lag)
    if not memories:
        return NotApplicable("no cell of the package with a forget or an update gate")
    best = max(memories, key=lambda found: found.longest)
    shown = f"{best.longest:.3g} steps at most, {best.q50:.3g} in the median unit"
    return Measured(
        lag / best.longest, f"gate {best.gate} of {best.label} keeps a state for {shown}; the task needs {lag:g}"
    )


SHORT_MEMORY = Check(
    "STA014",
    "short gate memory",
    "warning",
    ("gate_memory", "lag"),
    lambda gate_memory, lag: _lacking_steps(gate_memory, lag),
    "the unit of the longest memory keeps 1 % of its state to the lag, as a gradient horizon is counted; chrono keeps "
    "about a third: Tallec & Ollivier (2018)",
    "try init='chrono' with the lag, or a forget bias of about its logarithm",
    threshold=math.log(100),
    docs=DOCS,
    lacking="it needs gate memories, and the lag that the task needs",
)
