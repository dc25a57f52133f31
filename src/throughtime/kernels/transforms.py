"""What torch does to tensors beside computing with them: tracing, compiling, mapping, forward-mode derivatives."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

_untyped: Any = forward_ad  # its functions carry no types
#: Modes in which torch records, or works out shapes, without values: ``make_fx``, ``linearize``, ``torch.export``.
_SYMBOLIC = (torch._C._TorchDispatchModeKey.FAKE, torch._C._TorchDispatchModeKey.PROXY)
_PLAIN = frozenset({Tensor, Parameter, type(None)})


def is_hidden(tensor: Tensor) -> bool:
    """Whether asking for the tensor's values would fail, or break a compiled graph in two."""
    if torch.compiler.is_compiling() or tensor.is_meta:
        return True
    if any(torch._C._get_dispatch_mode(mode) is not None for mode in _SYMBOLIC):
        return True
    while torch._C._functorch.is_gradtrackingtensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return torch._C._functorch.is_batchedtensor(tensor) or is_batched_gradient(tensor)


def is_batched_gradient(tensor: Tensor | None) -> bool:
    """Whether a tensor stands for many: ``is_grads_batched=True``, ``jacobian(vectorize=True)``."""
    return tensor is not None and torch._C._functorch.is_legacy_batchedtensor(tensor)


def is_dual(tensor: Tensor) -> bool:
    """Whether a tensor carries a tangent of forward-mode AD."""
    return forward_ad._current_level >= 0 and _untyped.unpack_dual(tensor).tangent is not None


def is_tracing() -> bool:
    """Whether ``torch.jit.trace``, or ``torch.onnx.export(dynamo=False)``, records what torch computes."""
    return torch._C._get_tracing_state() is not None


def refuse_tracing(what: str) -> None:
    """Refuse to be traced: the loop over time would be recorded for one number of steps, and the kernels not at all."""
    if is_tracing():
        raise RuntimeError(
            f"torch.jit.trace needs operations of torch's own, got {what}; trace a layer of throughtime.nn, which is "
            "recorded as torch's, or use torch.compile or torch.export"
        )


def is_differentiating() -> bool:
    """Whether forward-mode AD, ``grad``, ``jacrev`` or the like is under way: they see through plain torch alone."""
    if forward_ad._current_level >= 0:
        return True
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is None:
        return False
    vmap = torch._C._functorch.TransformType.Vmap
    return any(level.key() != vmap for level in torch._C._functorch.get_interpreter_stack() or ())


def is_intercepted(*tensors: Tensor | None) -> bool:
    """Whether anything but backward stands between a call and its tensors: a transform, a compiler, a subclass."""
    return (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
        or not _PLAIN.issuperset(map(type, tensors))
    )
