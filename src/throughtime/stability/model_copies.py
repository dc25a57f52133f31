"""A copy of a model to run and differentiate, so that the model is afterwards what it was before.

It shares the weights' memory and the model's hooks; gradients, buffers and torch's generators are its own. torch's
recurrent layers are ours in it.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from throughtime.errors import ParameterError
from throughtime.nn import RecurrentLayer, convert
from throughtime.stability.calls import detached
from throughtime.stability.layers import recurrent_layers


@contextmanager
def copy_of(
    model: nn.Module, x: Any, dtype: torch.dtype | None = None
) -> Iterator[tuple[nn.Module, dict[str, RecurrentLayer], Any]]:
    """A copy, its recurrent layers by name, and what it can be called with; gradients are recorded inside the block.

    Parameters
    ----------
    x
        What the model is called with.
    dtype
        What copy and inputs are computed in; by default what they are in.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, or that cannot be copied.
    """
    devices = {tensor.device for tensor in model.parameters() if tensor.is_cuda}
    # within inference_mode(False) gradients are recorded, whatever holds outside
    with torch.random.fork_rng(devices=list(devices)), torch.inference_mode(False):
        copied = _copied(model, dtype)
        layers = recurrent_layers(copied, lambda part: isinstance(part, RecurrentLayer))
        yield copied, layers, detached(x, dtype)


def _copied(model: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """The model with parameters of its own on the same memory, and torch's recurrent layers converted."""
    memo: dict[int, Any] = {}
    for name, part in model.named_modules():
        where = f" at {name!r}" if name else ""
        if hasattr(part, "_orig_mod"):
            raise ParameterError(
                f"model needs to be the module itself, got one of torch.compile{where}; hand in what was compiled, "
                "its _orig_mod"
            )
        if isinstance(part, torch.jit.ScriptModule):
            raise ParameterError(f"model needs modules of Python, got a scripted one{where}; hand in what was scripted")
        # Hooks may be part of what is computed, as weight_norm's are, and may hold what cannot be copied.
        memo |= {id(value): copy.copy(value) for key, value in vars(part).items() if key.endswith("_hooks")}
        memo |= {id(value): value.detach() for value in vars(part).values() if _has_graph(value)}
        for key, parameter in part.named_parameters(recurse=False):
            if is_lazy(parameter):
                raise ParameterError(f"model needs its weights, got {key}{where} without a shape; call the model once")
            memo[id(parameter)] = nn.Parameter(detached(parameter, dtype), parameter.is_floating_point())
    try:
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        raise ParameterError(
            f"model needs to be one that copy.deepcopy takes, got a {type(model).__name__}: {error}"
        ) from error
    converted: nn.Module = convert(copied)
    return converted if dtype is None else converted.to(dtype)


def _has_graph(value: Any) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None
