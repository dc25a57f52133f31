"""What a tensor can be besides its values side by side in memory, and who must still get them right."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

Form = Callable[[Tensor], Tensor]


class Subclass(Tensor):
    """A tensor that another library looks at."""


def with_gaps(t: Tensor) -> Tensor:
    return torch.stack([t, torch.full_like(t, torch.nan)], -1)[..., 0]


def of_inference(t: Tensor) -> Tensor:
    with torch.inference_mode():
        return t.clone()


def without_storage(t: Tensor) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(0)  # as sharded training does between steps
    return t


#: The same values, told otherwise: to be read as they are.
READ: dict[str, Form] = {
    "a negated view with gaps": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
    "a negated view without gaps": lambda t: torch._neg_view(-t),
    "a view with gaps": with_gaps,
    "a subclass": lambda t: t.as_subclass(Subclass),
    "a parameter": lambda t: nn.Parameter(t.clone()),
    "a tensor of inference": of_inference,
}

#: No values, or none that could be read at an address: to be refused, whatever else is given.
REFUSED: dict[str, Form] = {
    "conjugated": lambda t: torch.complex(t, torch.zeros_like(t)).conj(),
    "of another dtype": lambda t: t.to(torch.bfloat16),
    "on another device": lambda t: t.to("meta"),
    "fake": lambda t: FakeTensorMode().from_tensor(t),
    "sparse": lambda t: t.to_sparse(),
    "of oneDNN": lambda t: t.to_mkldnn(),
    "quantized": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.quint8),
    "nested": lambda t: torch.nested.nested_tensor(list(t)),
    "nested in a jagged layout": lambda t: torch.nested.nested_tensor(list(t), layout=torch.jagged),
    "zero without memory": lambda t: torch._efficientzerotensor(t.shape, dtype=t.dtype),
    "without storage": without_storage,
    "not initialized": lambda t: nn.UninitializedParameter(dtype=t.dtype),
    "functional": lambda t: torch._to_functional_tensor(t),
    "masked": lambda t: torch.masked.masked_tensor(t, torch.ones_like(t, dtype=torch.bool)),
}

#: torch's own machinery refuses some of them before we are asked, with these.
REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError)
