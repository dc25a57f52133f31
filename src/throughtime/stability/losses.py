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
        For what is no function, gives no number, or one that autograd cannot follow.
    """
    if not callable(loss):
        raise ParameterError(f"loss needs a function of the model's output, got {loss!r}")
    value = loss(output)
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        number = "a complex number" if isinstance(value, Tensor) and value.is_complex() else found
        raise ParameterError(f"loss needs to give one number as a tensor, got {number}; take its mean or sum")
    if not value.requires_grad:
        raise ParameterError(
            "loss needs to depend on the model's output, got a number without a gradient; is the output detached?"
        )
    return value.reshape(())
