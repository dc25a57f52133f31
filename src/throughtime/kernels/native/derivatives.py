"""Gradients of the op that can be differentiated again, with ``create_graph=True`` or forward mode: through torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from throughtime.kernels import reference
from throughtime.kernels.cells import Kind
from throughtime.kernels.noise import StepNoise

_untyped: Any = forward_ad  # its functions carry no types


def differentiable_gradients(
    kind: Kind,
    tensors: tuple[Tensor | None, ...],
    reverse: bool,
    needed: tuple[bool, ...],
    outer: tuple[Tensor | None, ...],
    noise: StepNoise,
) -> list[Tensor | None]:
    """Run the op again in plain torch, and differentiate that.

    Parameters
    ----------
    tensors
        The op's: x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0.
    needed
        Which of them a gradient is wanted of; ``None`` comes back for the others.
    outer
        Gradients of the results, ``None`` for zero.
    noise
        What acted inside the steps.
    """
    again: Callable[..., tuple[Tensor, ...]] = reference.recurrent
    with torch.enable_grad():  # off where forward mode differentiates what backward does
        # Aliases: one input may have been computed from another, and that path is not the op's.
        inputs = [t.view_as(t) if t is not None and need else t for t, need in zip(tensors, needed, strict=True)]
        results = again(kind, *inputs, reverse=reverse, noise=noise)
        reached = [(result, grad) for result, grad in zip(results, outer, strict=False) if grad is not None]
        wanted = {at: t for at, (t, need) in enumerate(zip(inputs, needed, strict=True)) if t is not None and need}
        found = torch.autograd.grad(
            [result for result, _ in reached],
            list(wanted.values()),
            [grad for _, grad in reached],
            create_graph=True,
            materialize_grads=True,
        )
    if not torch.is_grad_enabled():
        found = tuple(map(_without_graph, found))
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(at) for at in range(len(inputs))]


def _without_graph(grad: Tensor) -> Tensor:
    """Detach a tensor from what computed it; ``detach`` alone would drop its tangent."""
    primal, tangent = _untyped.unpack_dual(grad)
    plain: Tensor = primal.detach() if tangent is None else _untyped.make_dual(primal.detach(), tangent.detach())
    return plain
