"""Losses an element, and the weighted means taken of them."""

import torch
from jaxtyping import Float
from torch import Tensor

from throughtime.kernels import backend_for, ordered_sum
from throughtime.training.members import Loss


def elementwise(
    loss: Loss,
    outputs: Float[Tensor, "*shape output"],
    targets: Tensor,
    smoothing: Float[Tensor, "member"] | None = None,
) -> Float[Tensor, "*shape"]:
    """Cross-entropy in nats with the target per class number, or the squared error of the one output.

    With ``smoothing``, of each member what it is trained on: see `throughtime.kernels.Backend.losses`.
    """
    return backend_for(outputs.device, outputs.dtype).losses(loss, outputs, targets, smoothing)


def totals(values: Float[Tensor, "member ..."]) -> Float[Tensor, "member"]:
    """Each member's sum in float64, time before batch so that padding changes no bit."""
    return ordered_sum(values.double().flatten(1), 1)


def weighted_totals(
    losses: Float[Tensor, "member ..."], weights: Float[Tensor, "member ..."]
) -> Float[Tensor, "member"]:
    """Each member's weighted sum in float64; what has no weight has no say, whatever its loss."""
    # The network overflows on padding before it does on data: 0 * inf would end a member that alone still ran.
    return totals(torch.where(weights > 0, losses * weights, 0))
