"""Saturation: how many gates and candidates are where their derivative is next to nothing.

A sigmoid below .01 or above .99 has a derivative below .0099, a tanh beyond .99 one below .0199.  A forget gate near 1
(a GRU's z near 1) is memory, no fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_call
from throughtime.stability.calls import DOCS, ModelInput
from throughtime.stability.gate_values import gate_values, keeping_gate
from throughtime.stability.traces import StepTrace, trace

#: Above which a tanh or a sigmoid is saturated; a sigmoid also below 1 less that, a tanh below its negative.
SATURATED = 0.99
#: The fraction of a gate that may be.
_MOST = 0.5


@dataclass(frozen=True, repr=False)
class Saturation(Row):
    """Of one gate, or candidate, of one layer and direction.

    Attributes
    ----------
    label
        The layer and direction in words.
    cell
        Its cell's.
    gate
        The gate's name; ``h`` of an Elman network, ``tanh(c)`` of an LSTM.
    keeps
        Whether it is the gate that keeps the state: saturated at 1 it remembers.
    low, high
        Fraction of the units, over all series that have the step, below .01 and above .99, of a tanh below -.99 and
        above .99; NaN where no series has the step.
    fraction_low, fraction_high
        The same over all steps.
    """

    title: ClassVar[str] = "fraction of the units at each end of a gate, over all steps, and where most are"

    label: str
    cell: str
    gate: str
    keeps: bool
    low: Float64[ndarray, "time"]
    high: Float64[ndarray, "time"]
    fraction_low: float
    fraction_high: float

    def _cells(self) -> dict[str, str]:
        whole = self.low + (0 if self.keeps else self.high)
        worst = "-"
        if (whole > 0).any():
            step = int(np.nanargmax(whole))
            worst = f"{whole[step]:.3f} at step {step}"
        gate = self.gate + (" (keeps)" if self.keeps else "")
        ends = {"low end": f"{self.fraction_low:.3f}", "high end": f"{self.fraction_high:.3f}"}
        return {"layer": self.label, "gate": gate, **ends, "most": worst}


def saturation(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> Records[Saturation]:
    """Which fraction of each gate is saturated, at each step.

    Parameters
    ----------
    model, x, lengths
        As ``jacobians`` takes them.

    Returns
    -------
    One per layer, direction and gate: of a tanh RNN's h, a GRU's r, z and n, an LSTM's i, f, o, g and ``tanh(c)``.  A
    cell whose gates do not saturate (relu, linear), or that is not the package's, has none.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, and lengths that are none.
    DataError
        For an x that the model cannot take; for values that are not finite, the layer, series and step named.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import saturation
    >>> layer = torch.nn.RNN(1, 4)
    >>> (found,) = saturation(layer, torch.full((3, 2, 1), 1e3))
    >>> found.fraction_low + found.fraction_high
    1.0
    """
    check_call(model, x, lengths, arguments=(tuple, list))
    return Records(found for place in trace(model, x, lengths=lengths) for found in _of_place(place))


def _of_place(place: StepTrace) -> list[Saturation]:
    values = gate_values(place)
    if values is None:
        return []
    gates = [(name, 1 - SATURATED, value) for name, value in values.sigmoid.items()]
    gates += [(name, -SATURATED, value) for name, value in values.tanh.items()]
    return [_of_gate(place, name, value < low, value > SATURATED) for name, low, value in gates]


def _of_gate(place: StepTrace, gate: str, low: Tensor, high: Tensor) -> Saturation:
    running = place.running.double()
    series = running.sum(1)
    by_step = [(part.double().mean(-1) * running).sum(1) / series for part in (low, high)]
    whole = [float(torch.nansum(part * series) / series.sum()) for part in by_step]
    keeps = keeping_gate(place.cell) == gate
    return Saturation(place.label, place.cell.name, gate, keeps, by_step[0].numpy(), by_step[1].numpy(), *whole)


def _worst(saturation: Sequence[Saturation]) -> Measured | NotApplicable:
    if not saturation:
        return NotApplicable("no cell of the package that has gates or tanh units")
    fractions = [found.fraction_low + (0.0 if found.keeps else found.fraction_high) for found in saturation]
    worst = int(np.argmax(fractions))
    found = saturation[worst]
    sides = f"{found.fraction_low:.0%} at the low end, {found.fraction_high:.0%} at the high end"
    return Measured(fractions[worst], f"gate {found.gate} of {found.label}: {sides}")


SATURATED_GATES = Check(
    "STA013",
    "saturated gates",
    "warning",
    ("saturation",),
    lambda saturation: _worst(saturation),
    "convention: half of a gate beyond .99 of its range; a forget gate near 1 is memory and does not count",
    "try smaller weights, standardized inputs, or layer normalization",
    threshold=_MOST,
    docs=DOCS,
)
