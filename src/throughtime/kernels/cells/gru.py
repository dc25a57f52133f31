"""Gated recurrent unit: Cho et al. (2014), https://arxiv.org/abs/1406.1078, with the reset gate after the product."""

import torch
from torch import Tensor

from throughtime.kernels.cells.spec import CellSpec, State


def step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...] = (), mask: Tensor | None = None
) -> State:
    """``h' = n + z (h - n)`` with ``n = tanh(W x + r (U h))``."""
    (h,) = state
    units = h.shape[-1]
    r, z = torch.sigmoid(from_x[..., : 2 * units] + from_h[..., : 2 * units]).chunk(2, -1)
    n = torch.tanh(from_x[..., 2 * units :] + r * from_h[..., 2 * units :])
    n = n if mask is None else n * mask
    return (n + z * (h - n),)


GRU = CellSpec(
    "gru",
    gates=("r", "z", "n"),
    step=step,
    memory_gates=("z",),
    noise=("recurrent", "candidate", "zoneout_h"),
    kept=10,
    passing=6,
    native="gru",
)
