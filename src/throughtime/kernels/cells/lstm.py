"""Long short-term memory: Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000)."""

import torch
from torch import Tensor

from throughtime.kernels.cells.spec import CellSpec, State


def step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...] = (), mask: Tensor | None = None
) -> State:
    """``c' = f c + i g``, ``h' = o tanh(c')``."""
    _, c = state
    i, f, g, o = (from_x + from_h).chunk(4, -1)
    g = torch.tanh(g)
    g = g if mask is None else g * mask
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
    return torch.sigmoid(o) * torch.tanh(c), c


LSTM = CellSpec(
    "lstm",
    gates=("i", "f", "g", "o"),
    step=step,
    states=("h", "c"),
    memory_gates=("f", "i"),
    noise=("recurrent", "candidate", "zoneout_h", "zoneout_c"),
    kept=12,
    passing=7,
    native="lstm",
)
