"""Gradient clipping by global norm, each member on its own.

Reference: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, algorithm 1.
"""

from jaxtyping import Float
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
