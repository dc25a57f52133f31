"""Elman's network (1990), https://doi.org/10.1207/s15516709cog1402_1: one cell per nonlinearity."""

import torch
from torch import Tensor

from throughtime.kernels.cells.spec import CellSpec, State


def tanh_step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...] = (), mask: Tensor | None = None
) -> State:
    """``h' = tanh(W x + U h)``."""
    return (torch.tanh(from_x + from_h),)


def relu_step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...] = (), mask: Tensor | None = None
) -> State:
    """``h' = relu(W x + U h)``."""
    return (torch.relu(from_x + from_h),)


RNN_TANH = CellSpec("rnn_tanh", gates=("h",), step=tanh_step, kept=4, passing=3, native="rnn_tanh")
RNN_RELU = CellSpec("rnn_relu", gates=("h",), step=relu_step, kept=4, passing=3, native="rnn_relu")
