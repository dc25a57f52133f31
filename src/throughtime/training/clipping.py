"""Gradient clipping by global norm and by value, each member on its own; of both, the value first.

References: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, algorithm 1; Mikolov (2012), "Statistical
language models based on neural networks", section 3.2.2, clips each element.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from throughtime.kernels import ordered_sum


def clip_by_norm(grads: Float[Tensor, "member weight"], max_norm: Float[Tensor, "member"]) -> Float[Tensor, "member"]:
    """Scale every member's gradient, in place, so that its L2 norm is at most ``max_norm``.

    Parameters
    ----------
    grads
        All of a member's gradients in one row.
    max_norm
        The largest norm allowed, one per member; ``inf`` leaves that member alone.

    Returns
    -------
    The norms before clipping.
    """
    # One joint norm over all members would let a diverging fold shrink its neighbors' steps.
    # In float64: in float32 a gradient below 1e-23 would have no norm, and one above 1e19 an infinite one.
    norms = ordered_sum(grads.double().square(), 1).sqrt().to(grads.dtype)
    # A zero norm divides to inf and a norm of inf to zero: the one is left as it is, the other stays NaN.
    grads.mul_((max_norm / norms).clamp(max=1.0)[:, None])
    return norms


def clip_by_value(
    grads: Float[Tensor, "member weight"], max_value: Float[Tensor, "member"]
) -> tuple[Bool[Tensor, "member"], Float[Tensor, "member"]]:
    """Bring every element of a member's gradient, in place, between ``-max_value`` and ``max_value``; NaN stays NaN.

    Parameters
    ----------
    grads
        All of a member's gradients in one row.
    max_value
        The largest size of an element, one per member; ``inf`` leaves that member alone.

    Returns
    -------
    Whether any element was larger, and the norms before clipping.
    """
    larger = (grads.abs() > max_value[:, None]).any(1)
    norms = ordered_sum(grads.double().square(), 1).sqrt().to(grads.dtype)
    grads.clamp_(-max_value[:, None], max_value[:, None])
    return larger, norms
