"""The training loop's passes over memory, for all members at once, on the C++ path.

In torch each is a dozen operations on one thread (``one_thread``), which take as long as the recurrence itself in a
small network. The formulas are those of ``training.optimizers``, ``training.clipping`` and ``nn.standardize``, which
remain the path of other devices; every operation is rounded once, as IEEE has it (torch's own root of a vector is not).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from throughtime.kernels.extension import SUFFIX, address, compiled, large_tensor, team


def take_step(
    rule: str,
    constants: tuple[float, float, float],
    weights: Float[Tensor, "member weight"],
    grads: Float[Tensor, "member weight"],
    decay: Float[Tensor, "member weight"],
    first: Float[Tensor, "member weight"],
    second: Float[Tensor, "member weight"] | None,
    steps: Float[Tensor, "member"],
    lr: Float[Tensor, "member"],
    momentum: Float[Tensor, "member"],
    max_norm: Float[Tensor, "member"],
    active: Bool[Tensor, "member"],
) -> Float[Tensor, "member"]:
    """Clip every member's gradient by its own norm and update weights and state, in place, of those that are active.

    Parameters
    ----------
    rule, constants
        ``adam``, ``adamw`` or ``sgd``; beta1, beta2 and epsilon.
    steps
        Taken so far, float64.

    Returns
    -------
    The norms before clipping.
    """
    norms = torch.empty_like(lr)
    tensors = (weights, grads, decay, first, second, steps, lr, momentum, max_norm, active, norms)
    real = weights.dtype
    dtypes = (*[real] * 5, torch.float64, *[real] * 3, torch.bool, real)
    getattr(compiled(), f"step_{SUFFIX[weights.dtype]}")(
        rule, weights.shape, constants, _addresses(tensors, dtypes), *team()
    )
    return norms


def gather_standardized(
    time: int,
    values: Float[Tensor, "step own_channel"],
    static: Float[Tensor, "series column"] | None,
    begins: Int[Tensor, "member batch"],
    lengths: Int[Tensor, "member batch"],
    series: Int[Tensor, "member batch"],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
) -> Float[Tensor, "member time batch channel"]:
    """Series side by side, ``(x - shift) / scale``, what is missing or beyond a series' end at zero.

    Parameters
    ----------
    time
        Steps of the result.
    begins, lengths
        Where each series begins in ``values``, and its steps: none for padding.
    series
        Its row of ``static``, whose columns follow the channels at every step.
    """
    columns = 0 if static is None else static.shape[1]
    x = large_tensor(values, len(begins), time, begins.shape[1], values.shape[1] + columns)
    tensors = (values, static, begins, lengths, series, shift, scale, x)
    real = values.dtype
    dtypes = (real, real, *[torch.int64] * 3, *[real] * 3)
    shape = (*x.shape[:3], values.shape[1], columns)
    getattr(compiled(), f"gather_{SUFFIX[values.dtype]}")(shape, _addresses(tensors, dtypes), *team())
    return x


def _addresses(tensors: Sequence[Tensor | None], dtypes: Sequence[torch.dtype]) -> list[int]:
    """Where the tensors lie; refuses what the extension would read wrongly."""
    for place, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True)):
        if tensor is not None and not (tensor.is_contiguous() and tensor.is_cpu and tensor.dtype == dtype):
            raise RuntimeError(
                f"argument {place} needs a contiguous CPU tensor of {dtype}, got one of {tensor.dtype} on "
                f"{tensor.device} with strides {tensor.stride()} for shape {tuple(tensor.shape)}"
            )
    return [address(tensor) for tensor in tensors]
