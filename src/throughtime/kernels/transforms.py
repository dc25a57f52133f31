"""What torch's transforms ask of the op: values hidden by ``vmap`` or a compiler, derivatives inside a transform."""

import torch
from torch import Tensor
from torch.nn import Parameter

_PLAIN = frozenset({Tensor, Parameter, type(None)})


def is_hidden(tensor: Tensor) -> bool:
    """Whether asking for the tensor's values would fail, or break a compiled graph in two."""
    if torch.compiler.is_compiling() or tensor.is_meta:
        return True
    while torch._C._functorch.is_gradtrackingtensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return torch._C._functorch.is_batchedtensor(tensor)


def is_differentiating() -> bool:
    """Whether ``grad``, ``jacrev``, ``jvp`` or the like is under way: they see through plain torch alone."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is None:
        return False
    vmap = torch._C._functorch.TransformType.Vmap
    return any(level.key() != vmap for level in torch._C._functorch.get_interpreter_stack() or ())


def is_watched(*tensors: Tensor | None) -> bool:
    """Whether anything but autograd stands between a call and its tensors: a compiler, a transform, a subclass."""
    return (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or not _PLAIN.issuperset(map(type, tensors))
    )
