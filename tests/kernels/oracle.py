"""The recurrent op as the textbooks write it, a step at a time in plain torch: what the kernels are held against."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels import NO_NOISE, StepNoise


def recurrent(
    kind: str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
    noise: StepNoise = NO_NOISE,
) -> tuple[Tensor, ...]:
    """Run one layer in one direction over ragged series, each member with its own weights."""
    members, time, batch, _ = x.shape
    zeros = x.new_zeros(members, batch, w_hh.shape[-1])
    h = zeros if h0 is None else h0
    c = zeros if c0 is None else c0
    no_bias = x.new_zeros(members, w_ih.shape[1])
    bias_x = (no_bias if b_ih is None else b_ih)[:, None]
    bias_h = (no_bias if b_hh is None else b_hh)[:, None]
    outputs: list[Tensor] = [zeros] * time
    for t in reversed(range(time)) if reverse else range(time):
        running = (t < lengths)[..., None]
        from_x = torch.where(running, x[:, t], 0) @ w_ih.mT + bias_x
        from_h = (h if noise.recurrent is None else h * noise.recurrent) @ w_hh.mT + bias_h
        written = 1 if noise.candidate is None else noise.candidate[:, t]
        new_c = c
        if kind == "lstm":
            i, f, g, o = (from_x + from_h).chunk(4, -1)
            new_c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g) * written
            new_h = torch.sigmoid(o) * torch.tanh(new_c)
        elif kind == "gru":
            (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.chunk(3, -1), from_h.chunk(3, -1)
            z = torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
            new_h = (1 - z) * n * written + z * h
        else:
            new_h = (torch.tanh if kind == "rnn_tanh" else torch.relu)(from_x + from_h)
        if noise.zoneout_h is not None:
            new_h = noise.zoneout_h[:, t] * h + (1 - noise.zoneout_h[:, t]) * new_h
        if noise.zoneout_c is not None:
            new_c = noise.zoneout_c[:, t] * c + (1 - noise.zoneout_c[:, t]) * new_c
        h, c = torch.where(running, new_h, h), torch.where(running, new_c, c)
        outputs[t] = torch.where(running, new_h, 0)
    y = torch.stack(outputs, 1)
    return (y, h, c) if kind == "lstm" else (y, h)
