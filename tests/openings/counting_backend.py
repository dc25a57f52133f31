"""A backend of a user's own, in one file: plain torch that counts its products, for float64 on the CPU."""

from typing import Any

import torch
from torch import Tensor

from throughtime.kernels import TorchBackend


class CountingBackend(TorchBackend):
    """Counts the multiplications and additions of all recurrent layers."""

    name = "counting"

    def __init__(self) -> None:
        self.products = 0

    def takes(self, device: torch.device, dtype: torch.dtype) -> bool:
        """float64 on the CPU."""
        return device.type == "cpu" and dtype == torch.float64

    def recurrent(self, cell: Any, x: Tensor, lengths: Tensor, *others: Any, **options: Any) -> tuple[Tensor, ...]:
        """Of every member, step, series and unit."""
        w_ih, w_hh = others[:2]
        self.products += x.shape[1] * x.shape[2] * (w_ih.numel() + w_hh.numel())
        return super().recurrent(cell, x, lengths, *others, **options)
