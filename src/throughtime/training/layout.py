"""All of a member's weights in one row, so that an optimizer's step is a few operations for all members."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

#: A tensor begins at a multiple of this many elements: where a matrix lies in memory can change a product's bits.
ALIGNMENT = 16


class Layout:
    """Where each named tensor lies in a member's row."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.sizes = {name: torch.Size(shape).numel() for name, shape in self.shapes.items()}
        self.padded = {name: -(-size // ALIGNMENT) * ALIGNMENT for name, size in self.sizes.items()}
        self.width = sum(self.padded.values())
        ends = accumulate(self.padded.values())
        self.places = {name: end - self.padded[name] for name, end in zip(self.padded, ends, strict=True)}

    def views(self, flat: Float[Tensor, "member weight"]) -> dict[str, Float[Tensor, "member ..."]]:
        """The named tensors, sharing memory with the rows."""
        return {
            name: flat[:, begin : begin + self.sizes[name]].view(-1, *self.shapes[name])
            for name, begin in self.places.items()
        }

    def flatten(self, tensors: Sequence[Float[Tensor, "member ..."]]) -> Float[Tensor, "member weight"]:
        """Rows from one tensor per name, in the layout's order; the room between them is zero."""
        flat = tensors[0].new_zeros(len(tensors[0]), self.width)
        copy_all(tensors, self.views(flat).values())
        return flat


def copy_all(tensors: Iterable[Tensor], views: Iterable[Tensor]) -> None:
    """Each tensor into its view."""
    for view, tensor in zip(views, tensors, strict=True):
        view.copy_(tensor)
