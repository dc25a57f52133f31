"""What follows the recurrence, on the C++ path: the output layer of each series, and the losses.

The same in torch is ``products.linear`` and ``torch_path.losses``, which remain the path of other devices.
``train_steps`` runs these very functions, so that a network trains to the same bits whichever way its steps are taken.
"""

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from throughtime.kernels.arguments import check_smoothing
from throughtime.kernels.native.extension import SUFFIX, addresses, as_memory, compiled, team


class _Readout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, weight, bias = as_memory(x), as_memory(weight), as_memory(bias)
        ctx.save_for_backward(x, weight)
        y = x.new_empty(*x.shape[:2], weight.shape[1])
        _run_readout("forward", x, weight, bias, y, *[None] * 4)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        x, weight = ctx.saved_tensors
        grads = torch.empty_like(x), torch.empty_like(weight), x.new_empty(weight.shape[:2])
        _run_readout("backward", x, weight, None, None, as_memory(dy), *grads)
        return grads


def _run_readout(way: str, x: Tensor, weight: Tensor, *others: Tensor | None) -> None:
    members, rows, inputs = x.shape
    tensors = addresses((x, weight, *others), [x.dtype] * 8)
    run = getattr(compiled(), f"readout_{way}_{SUFFIX[x.dtype]}")
    run((members, rows, inputs, weight.shape[1]), tensors, *team())


def output_layer(
    x: Float[Tensor, "member row input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
) -> Float[Tensor, "member row output"]:
    """``x @ weight.T + bias``, each member with its own weights; differentiable once.

    Raises
    ------
    RuntimeError
        Shapes that do not fit.
    """
    members, _, inputs = x.shape
    outputs = weight.shape[1]
    if weight.shape != (members, outputs, inputs) or bias.shape != (members, outputs):
        raise RuntimeError(
            f"the output layer on features {tuple(x.shape)} needs weights {(members, outputs, inputs)} and biases "
            f"{(members, outputs)}, got {tuple(weight.shape)} and {tuple(bias.shape)}"
        )
    return _Readout.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, name: str, outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
        outputs, targets = as_memory(outputs), as_memory(targets.double())
        ctx.name, ctx.smoothing = name, None if smoothing is None else as_memory(smoothing)
        ctx.save_for_backward(outputs, targets)
        losses = outputs.new_empty(outputs.shape[:-1])
        _run_losses("forward", name, outputs, targets, losses, None, None, ctx.smoothing)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, share: Tensor) -> tuple[None, Tensor, None, None]:
        outputs, targets = ctx.saved_tensors
        grads = torch.empty_like(outputs)
        _run_losses("backward", ctx.name, outputs, targets, None, as_memory(share), grads, ctx.smoothing)
        return None, grads, None, None


def _run_losses(way: str, name: str, outputs: Tensor, targets: Tensor, *others: Tensor | None) -> None:
    real = outputs.dtype
    tensors = addresses((outputs, targets, *others), (real, torch.float64, *[real] * 4))
    smoothing = others[-1]
    each = 1 if smoothing is None else targets.numel() // len(smoothing)
    run = getattr(compiled(), f"loss_{way}_{SUFFIX[real]}")
    run(name, (targets.numel(), outputs.shape[-1], each), tensors, *team())


def losses(
    name: str,
    outputs: Float[Tensor, "*shape output"],
    targets: Shaped[Tensor, "*shape"],
    smoothing: Float[Tensor, "member"] | None = None,
) -> Float[Tensor, "*shape"]:
    """Cross-entropy of logits in nats, the target per class number, or the squared error of the one output.

    ``smoothing`` as ``Backend.losses`` has it. Differentiable once. An element of no weight in the objective gives no
    gradient, whatever its outputs.

    Raises
    ------
    RuntimeError
        Shapes or dtypes that do not fit.
    ValueError
        A class number that is not one of the outputs.
    """
    if outputs.dtype not in SUFFIX or targets.is_complex():
        raise RuntimeError(
            f"a loss needs outputs in float32 or float64 and real targets, got {outputs.dtype} and {targets.dtype}"
        )
    if outputs.shape[:-1] != targets.shape or outputs.shape[-1] == 0:
        raise RuntimeError(f"a loss of outputs {tuple(outputs.shape)} needs a target each, got {tuple(targets.shape)}")
    if name == "squared_error" and outputs.shape[-1] != 1:
        raise RuntimeError(f"squared_error needs one output, got {outputs.shape[-1]}")
    check_smoothing(name, outputs, smoothing)
    return _Losses.apply(name, outputs, targets, smoothing)  # type: ignore[no-any-return, no-untyped-call]
