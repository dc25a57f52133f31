"""The op as torch's machinery sees it: finite differences, fake tensors, registration."""

import oracle
import pytest
import torch
from cases import KINDS, make, needs_native

from throughtime.kernels import native

pytestmark = needs_native

#: Members, steps, series, channels and units; second derivatives are differences in every pair of numbers.
SIZES, SMALL = (2, 3, 3, 2, 3), (2, 3, 2, 2, 2)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_with_noise_the_first_and_second_derivatives_are_those_of_finite_differences(kind: str, reverse: bool) -> None:
    noise = make(kind, *SMALL, noise=True).noise
    leaves = _leaves(kind, SMALL)

    def noisy(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return native.recurrent(kind, *arguments, reverse=reverse, noise=noise)

    assert torch.autograd.gradcheck(noisy, leaves)
    assert torch.autograd.gradgradcheck(noisy, leaves)


def _leaves(kind: str, sizes: tuple[int, ...] = SIZES, **options: object) -> list[torch.Tensor | None]:
    case = make(kind, *sizes, **options)  # type: ignore[arg-type]
    return [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str, reverse: bool) -> None:
    leaves = _leaves(kind)
    assert torch.autograd.gradcheck(lambda *a: native.recurrent(kind, *a, reverse=reverse), leaves)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_those_of_finite_differences(kind: str, reverse: bool) -> None:
    leaves = _leaves(kind, SMALL)
    assert torch.autograd.gradgradcheck(lambda *a: native.recurrent(kind, *a, reverse=reverse), leaves)


def test_a_gradient_penalty_reaches_the_weights_though_x_needs_no_gradient() -> None:
    _, lengths, *weights = _leaves("gru", states=False, bias=False)
    x = torch.randn(2, 3, 3, 2, dtype=torch.float64)

    def penalty(function: object) -> tuple[torch.Tensor, ...]:
        y = function("gru", x, lengths, *weights)[0]  # type: ignore[operator]
        first = torch.autograd.grad(y.sum(), weights[:2], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), weights[:2])

    for got, want in zip(penalty(native.recurrent), penalty(oracle.recurrent), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.usefixtures("types_unchecked")  # a symbolic size is no int to beartype
@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_are_registered_as_torch_demands(kind: str) -> None:
    # Full lengths and eight units: opcheck compares all of the reserve, and of a ragged batch's only a part is written.
    case = make(kind, 2, 3, 3, 2, 8, ragged=False)
    leaves = [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in case.arguments]
    leaves += make(kind, 2, 3, 3, 2, 8, noise=True).noise
    torch.library.opcheck(torch.ops.throughtime.recurrent.default, (kind, *leaves, False, True))
    y, h_n, c_n, reserve = (t.detach() for t in torch.ops.throughtime.recurrent(kind, *leaves, False, True))
    inputs = [None if t is None else t.detach() for t in leaves]
    grads = (y, h_n, c_n if kind == "lstm" else None)
    for wanted in (True, False):
        arguments = (kind, *grads, *inputs, reserve, False, wanted, wanted)
        torch.library.opcheck(torch.ops.throughtime.recurrent_backward.default, arguments)


def test_memory_given_back_is_used_again_and_can_be_released() -> None:
    native.release_memory()
    x, lengths, *weights = make("lstm", 1, 60, 32, 4, 64).to(torch.float32).arguments
    y = native.recurrent("lstm", x, lengths, *weights)[0]
    address, size = y.data_ptr(), y.numel() * y.element_size()
    kept = y.clone()
    other = native.recurrent("lstm", x, lengths, *weights)[0]
    assert other.data_ptr() != address  # y is alive
    assert torch.equal(y, kept)
    del y
    again = native.recurrent("lstm", x, lengths, *weights)[0]
    assert again.data_ptr() == address
    assert torch.equal(again, kept)
    del again, other
    assert native.release_memory() == 2 * size
    assert native.release_memory() == 0
