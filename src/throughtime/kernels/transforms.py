"""What a transform of torch hides: under ``vmap`` and while a graph is compiled, a tensor has no values to look at."""

import torch
from torch import Tensor


def is_hidden(tensor: Tensor) -> bool:
    """Whether asking for the tensor's values would fail, or break a compiled graph in two."""
    return torch.compiler.is_compiling() or tensor.is_meta or torch._C._functorch.is_batchedtensor(tensor)
