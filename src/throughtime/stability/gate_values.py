"""What the gates of a cell are at each step, by name; and which one keeps the state.

A ``CellSpec`` names its gates and gives a step; what becomes of each gate inside is known of the package's cells alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from throughtime.kernels import CELLS, CellSpec
from throughtime.stability.traces import StepTrace


class GateValues(NamedTuple):
    """Of one layer and direction.

    Parameters
    ----------
    sigmoid
        Gates from 0 to 1.
    tanh
        Candidates from -1 to 1; of an Elman network its state h, of a cell with c also ``tanh(c)``, which h is made of.
    """

    sigmoid: dict[str, Float64[Tensor, "time series unit"]]
    tanh: dict[str, Float64[Tensor, "time series unit"]]


def keeping_gate(cell: CellSpec) -> str | None:
    """The gate that the old state is multiplied with: in torch's GRU z, in an LSTM f."""
    return cell.memory_gates[0] if cell.memory_gates and _is_known(cell) else None


def gate_values(trace: StepTrace) -> GateValues | None:
    """The gates at each step of a trace; ``None`` for a cell without, or that is not the package's.

    In a GRU ``h_t = (1 - z) n + z h_{t-1}``, in an LSTM ``c_t = f c_{t-1} + i g`` and ``h_t = o tanh(c_t)``, where
    there is no zoneout.
    """
    cell = trace.cell
    if not _is_known(cell):
        return None
    x, h = (
        dict(zip(cell.gates, part.chunk(len(cell.gates), -1), strict=True)) for part in (trace.from_x, trace.from_h)
    )
    if cell.name == "rnn_tanh":
        return GateValues({}, {"h": torch.tanh(x["h"] + h["h"])})
    if cell.name == "gru":
        sigmoid = {gate: torch.sigmoid(x[gate] + h[gate]) for gate in ("r", "z")}
        return GateValues(sigmoid, {"n": torch.tanh(x["n"] + sigmoid["r"] * h["n"])})
    if "c" in cell.states:
        c = trace.before[1]
        into_i, into_f, into_o = trace.unit_weights or (0, 0, 0)  # a peephole LSTM's
        i, f, g = (
            torch.sigmoid(x["i"] + h["i"] + into_i * c),
            torch.sigmoid(x["f"] + h["f"] + into_f * c),
            torch.tanh(x["g"] + h["g"]),
        )
        fresh = f * c + i * g
        o = torch.sigmoid(x["o"] + h["o"] + into_o * fresh)
        return GateValues({"i": i, "f": f, "o": o}, {"g": g, "tanh(c)": torch.tanh(fresh)})
    return None


def _is_known(cell: CellSpec) -> bool:
    return CELLS.get(cell.name) == cell
