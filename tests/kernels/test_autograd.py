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


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_is_registered_as_torch_demands(kind: str) -> None:
    leaves = _leaves(kind)
    torch.library.opcheck(torch.ops.throughtime.recurrent.default, (kind, *leaves, False, True))
