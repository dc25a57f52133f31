"""The loss that is differentiated: one number, made by a function of what a model gives."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from throughtime.errors import ParameterError


def loss_of(loss: Callable[[Any], Tensor], output: Any) -> Tensor:
    """The loss of an output, a tensor without axes.

    Raises
    ------
    ParameterError
        For what is no number, and one that autograd cannot follow.
    """
    value = loss(output)
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        number = " of complex numbers" if isinstance(value, Tensor) and value.is_complex() else ""
        raise ParameterError(f"loss needs to give one number as a tensor, got {kind}{number}; take its mean or sum")
    if not value.requires_grad:
        raise ParameterError(
            "loss needs to depend on the model's output, got a number without a gradient; is the output detached?"
        )
    return value.reshape(())
