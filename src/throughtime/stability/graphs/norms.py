"""Gradients of one number at many tensors, and their norms in float64: squares in float32 halve its range."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Gradients:
    """The gradients of ``value`` at ``tensors``, taken in one pass; the graph stays, to be asked what depends on it."""

    def __init__(self, value: Tensor, tensors: Sequence[Tensor]) -> None:
        found = torch.autograd.grad(value, list(tensors), retain_graph=True, allow_unused=True)
        # the tensors are held too: a number of one that is gone may become another's
        self._of = {id(tensor): (tensor, gradient) for tensor, gradient in zip(tensors, found, strict=True)}

    def reached(self, tensor: Tensor) -> bool:
        """Whether the value depends on it."""
        return self._of[id(tensor)][1] is not None

    def of(self, tensor: Tensor) -> Tensor:
        """The gradient, zeros where the value does not depend on it."""
        gradient = self._of[id(tensor)][1]
        return torch.zeros_like(tensor) if gradient is None else gradient

    def norm(self, tensor: Tensor, part: int | slice | None = None) -> float:
        """The norm over all, or of a step of it, or of some of its units."""
        gradient = self.of(tensor)
        if isinstance(part, int):
            gradient = gradient[part]
        elif part is not None:
            gradient = gradient[..., part]
        return self.norm_of(gradient)

    def difference(self, tensor: Tensor, part: Tensor) -> float:
        """The norm of what reaches a tensor other than by one of its views."""
        return self.norm_of(self.of(tensor) - self.of(part))

    @staticmethod
    def norm_of(gradient: Tensor) -> float:
        """The L2 norm, in float64; its squares may overflow, so the largest number is taken out of them."""
        values = gradient.detach().double()
        largest = float(values.abs().max())
        return largest * float((values / largest).norm()) if 0 < largest < math.inf else largest
