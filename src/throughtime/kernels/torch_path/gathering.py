"""Batches from the one shared copy of the series, in torch's operations, on any device."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels.steps import InputNoise


def standardize(
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
) -> Float[Tensor, "member time batch channel"]:
    """``(x - shift) / scale``, a missing value and what lies beyond a series' end at zero: the training mean.

    Computed in x's precision, float32 at the least, whatever that of shift and scale.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    x = (x.to(dtype) - shift.to(dtype)[:, None, None]).div_(scale.to(dtype)[:, None, None])
    beyond = torch.arange(x.shape[1], device=x.device)[:, None] >= lengths[:, None]
    return x.masked_fill_(x.isnan() | beyond.unsqueeze(-1), 0)


def gather(
    time: int,
    values: Float[Tensor, "step own_channel"],
    static: Float[Tensor, "series column"] | None,
    begins: Int[Tensor, "member batch"],
    lengths: Int[Tensor, "member batch"],
    series: Int[Tensor, "member batch"],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
    dtype: torch.dtype | None = None,
    noise: InputNoise | None = None,
) -> Float[Tensor, "member time batch channel"]:
    """``Backend.gather``."""
    steps = torch.arange(time, device=values.device)[:, None]
    rows = torch.where(steps < lengths[:, None], begins[:, None] + steps, len(values) - 1)
    x = values.index_select(0, rows.flatten()).view(*rows.shape, -1)
    if static is not None:
        x = torch.cat([x, static[series][:, None].expand(-1, time, -1, -1)], -1)
    gathered = standardize(x, lengths, shift, scale).to(dtype or values.dtype)
    if noise is not None:
        noisy = noise.of_member >= 0
        own = noise.noise[noise.of_member[noisy], :time, : x.shape[2]]
        there = ~x[noisy, ..., : own.shape[-1]].isnan()  # padding points to NaN
        gathered[noisy, ..., : own.shape[-1]] += torch.where(there, own, 0)
    return gathered
