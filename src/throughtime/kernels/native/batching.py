"""``torch.vmap`` over the C++ op: what is mapped becomes members."""

from typing import Any

import torch
from torch import Tensor

from throughtime.kernels.cells import CELLS


def as_members(tensor: Tensor | None, mapped: int | None, size: int) -> Tensor | None:
    """Put the mapped axis before the members and take the two as one; what is shared is not copied for one member."""
    if tensor is None:
        return None
    whole = tensor.expand(size, *tensor.shape) if mapped is None else tensor.movedim(mapped, 0)
    return whole[:, 0] if whole.shape[1] == 1 else whole.flatten(0, 1)


def map_recurrent(info: Any, in_dims: tuple[int | None, ...], kind: str, *arguments: Any) -> tuple[Any, Any]:
    """The rule that ``torch.library.register_vmap`` asks for."""
    *tensors, reverse, _ = arguments
    size = info.batch_size
    inputs = [as_members(t, d, size) for t, d in zip(tensors, in_dims[1:-2], strict=True)]
    # Inside the map a tensor does not tell whether what lies outside will differentiate it.
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    y, h_n, c_n, reserve = torch.ops.throughtime.recurrent(kind, *inputs, reverse, keep)
    split = [t.unflatten(0, (size, -1)) for t in (y, h_n)]
    if "c" not in CELLS[kind].states:
        return (*split, c_n, reserve), (0, 0, None, None)
    return (*split, c_n.unflatten(0, (size, -1)), reserve), (0, 0, 0, None)


def map_backward(info: Any, in_dims: tuple[int | None, ...], kind: str, *arguments: Any) -> tuple[Any, Any]:
    """The same for the gradients, when a map runs over them alone."""
    *tensors, reserve, reverse, needs_x, norms = arguments
    size = info.batch_size
    inputs = [as_members(t, d, size) for t, d in zip(tensors, in_dims[1:-4], strict=True)]
    nothing = reserve.new_empty(0)  # what the forward pass kept is of other members: it runs again
    found = torch.ops.throughtime.recurrent_backward(kind, *inputs, nothing, reverse, needs_x, norms)
    split = tuple(t.unflatten(0, (size, -1)) if t.numel() else t for t in found)
    return split, tuple(0 if t.numel() else None for t in found)
