"""LSTM whose gates see c through diagonal weights: Gers & Schmidhuber (2000), https://doi.org/10.1109/IJCNN.2000.861302.

The input and forget gates see c as it was, the output gate as it is now (equations 2 to 6).
"""

import torch
from torch import Tensor

from throughtime.kernels.cells.spec import CellSpec, State


def step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...], mask: Tensor | None = None
) -> State:
    """``c' = f c + i g``, ``h' = o tanh(c')``; i and f see ``c``, o sees ``c'``."""
    _, c = state
    w_ci, w_cf, w_co = unit_weights
    i, f, g, o = (from_x + from_h).chunk(4, -1)
    i = torch.sigmoid(i + w_ci * c)
    f = torch.sigmoid(f + w_cf * c)
    g = torch.tanh(g)
    g = g if mask is None else g * mask
    c = f * c + i * g
    return torch.sigmoid(o + w_co * c) * torch.tanh(c), c


PEEPHOLE_LSTM = CellSpec(
    "peephole_lstm",
    gates=("i", "f", "g", "o"),
    step=step,
    states=("h", "c"),
    unit_weights=("weight_ci", "weight_cf", "weight_co"),
    memory_gates=("f", "i"),
    noise=("recurrent", "candidate", "zoneout_h", "zoneout_c"),
    kept=30,
    passing=10,
)
