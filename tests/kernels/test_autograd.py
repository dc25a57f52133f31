"""The op as torch's machinery sees it: finite differences, fake tensors, registration."""

import pytest
import torch
from cases import KINDS, make, needs_native

from throughtime.kernels import native

pytestmark = needs_native


def _leaves(kind: str, **options: object) -> list[torch.Tensor | None]:
    case = make(kind, 2, 3, 3, 2, 3, **options)  # type: ignore[arg-type]
    return [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str, reverse: bool) -> None:
    leaves = _leaves(kind)
    assert torch.autograd.gradcheck(lambda *a: native.recurrent(kind, *a, reverse=reverse), leaves)


@pytest.mark.usefixtures("types_unchecked")  # a symbolic size is no int to beartype
@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_are_registered_as_torch_demands(kind: str) -> None:
    # Full lengths and eight units: opcheck compares all of the reserve, and of a ragged batch's only a part is written.
    case = make(kind, 2, 3, 3, 2, 8, ragged=False)
    leaves = [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments]
    torch.library.opcheck(torch.ops.throughtime.recurrent.default, (kind, *leaves, False, True))
    y, h_n, c_n, reserve = (t.detach() for t in torch.ops.throughtime.recurrent(kind, *leaves, False, True))
    inputs = [None if t is None else t.detach() for t in leaves]
    grads = (y, h_n, c_n if kind == "lstm" else None)
    for wanted in (True, False):
        arguments = (kind, *grads, *inputs, reserve, False, wanted, wanted)
        torch.library.opcheck(torch.ops.throughtime.recurrent_backward.default, arguments)
