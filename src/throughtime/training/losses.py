"""Losses an element, and the weighted means taken of them."""

import torch
from jaxtyping import Float
from torch import Tensor

from throughtime.kernels import ordered_sum
from throughtime.training.members import Loss


def elementwise(
    loss: Loss, outputs: Float[Tensor, "*shape output"], targets: Tensor
) -> Float[Tensor, "*shape"]:
    """Cross-entropy in nats with the target a class number, or the squared error of the one output."""
    if loss == "cross_entropy":
        return -outputs.log_softmax(-1).gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)
    return (outputs.squeeze(-1) - targets.to(outputs.dtype)).square()


def totals(values: Float[Tensor, "member ..."]) -> Float[Tensor, "member"]:
    """Each member's sum in float64, time before batch so that padding changes no bit."""
    return ordered_sum(values.double().flatten(1), 1)
