"""The norms of the total gradients at the states where torch computes them: hooks see what reaches a state."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from throughtime.kernels.products import ordered_sum
from throughtime.kernels.steps import DeltaNorms


def watch_states(deltas: DeltaNorms, running: Bool[Tensor, "member time batch"]) -> Callable[..., None]:
    """Begin at zero, and give what is to be called with each step and its states: h as handed on, c as computed.

    The states may be padded behind the batch and its units; ``running`` says which series have a step.
    """

    def watch(t: int, h: Tensor, c: Tensor | None = None) -> None:
        for name, state in (("h", h), ("c", c)):
            if state is None:
                continue
            norms = getattr(deltas, name)
            if norms is None:
                norms = torch.zeros(running.shape, dtype=torch.float64, device=running.device)
                setattr(deltas, name, norms)
            if state.requires_grad:
                state.register_hook(partial(_note, norms, running, t))  # type: ignore[no-untyped-call]

    deltas.h = deltas.c = None
    return watch


def _note(
    norms: Float64[Tensor, "member time batch"],
    running: Bool[Tensor, "member time batch"],
    t: int,
    grad: Float[Tensor, "member row unit"],
) -> None:
    squares = grad.detach()[:, : running.shape[2]].double().square()
    norms[:, t] = torch.where(running[:, t], ordered_sum(squares, -1), 0)
