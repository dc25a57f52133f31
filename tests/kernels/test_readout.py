"""The output layer and the losses in C++ against torch's, on every instruction set."""

import pytest
import torch
from cases import needs_native
from torch.nn import functional

from throughtime.kernels import one_thread, output_layer
from throughtime.kernels.native import losses

pytestmark = [needs_native, pytest.mark.usefixtures("isa")]

#: rows, inputs, outputs: around a vector, one of each, more than a hundred
SIZES = [(1, 1, 1), (3, 7, 2), (32, 16, 9), (33, 65, 17), (5, 128, 130)]
#: of float32, sums of at most 130 terms of order 1
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-13}


def leaves(sizes, members, dtype):
    rows, inputs, outputs = sizes
    torch.manual_seed(rows)
    shapes = (members, rows, inputs), (members, outputs, inputs), (members, outputs)
    return [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_readout_and_its_gradients_are_torchs_linear(sizes, dtype):
    own = leaves(sizes, 3, dtype)
    y = output_layer(*own)
    outer = torch.randn(y.shape, dtype=dtype)
    found = torch.autograd.grad(y, own, outer)
    exact = [leaf.detach().double().requires_grad_() for leaf in own]
    wanted = torch.baddbmm(exact[2][:, None], exact[0], exact[1].transpose(1, 2))
    bound = {"rtol": TOLERANCE[dtype], "atol": 10 * TOLERANCE[dtype]}
    torch.testing.assert_close(y.double(), wanted, **bound)
    for one, other in zip(found, torch.autograd.grad(wanted, exact, outer.double()), strict=True):
        torch.testing.assert_close(one.double(), other, **bound)


def test_the_readout_has_the_same_bits_in_any_company_on_any_number_of_threads(threads):
    own = leaves((64, 65, 17), 12, torch.float32)

    def bits(part: slice, count: int) -> list[torch.Tensor]:
        threads(count)
        with one_thread():
            few = [leaf.detach()[part].requires_grad_() for leaf in own]
            y = output_layer(*few)
            return [y, *torch.autograd.grad(y, few, y.detach())]

    together = bits(slice(None), 1)
    for part, count in ((slice(None), 4), (slice(3, 4), 1), (slice(5, 11), 2)):
        for one, other in zip(bits(part, count), together, strict=True):
            assert torch.equal(one, other[part])


def test_features_and_weights_may_lie_anywhere():
    x, weight, bias = leaves((6, 5, 4), 2, torch.float32)
    scattered = x.detach().transpose(1, 2).contiguous().transpose(1, 2)
    wide = torch.zeros(2, 100)
    wide[:, 7:27] = weight.detach().flatten(1)
    assert torch.equal(output_layer(scattered, wide[:, 7:27].view(2, 4, 5), bias), output_layer(x, weight, bias))


@pytest.mark.usefixtures("types_unchecked")
def test_shapes_that_do_not_fit_are_named():
    x, weight, bias = leaves((6, 5, 4), 2, torch.float32)
    with pytest.raises(RuntimeError, match=r"needs weights \(2, 4, 5\) and biases \(2, 4\), got .* and \(2, 3\)"):
        output_layer(x, weight, bias[:, :3])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 8, 9, 33])
def test_cross_entropy_and_its_gradient_are_torchs(classes, dtype):
    torch.manual_seed(classes)
    outputs = (torch.randn(3, 300, classes, dtype=dtype) * 10).requires_grad_()
    targets = torch.randint(0, classes, (3, 300))
    share = torch.rand(3, 300, dtype=dtype)
    found = losses("cross_entropy", outputs, targets)
    exact = outputs.detach().double().requires_grad_()
    wanted = functional.cross_entropy(exact.flatten(0, 1), targets.flatten(), reduction="none").view(3, 300)
    bound = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(found.double(), wanted, **bound)
    for one, other in zip(
        torch.autograd.grad(found, outputs, share), torch.autograd.grad(wanted, exact, share.double()), strict=True
    ):
        torch.testing.assert_close(one.double(), other, **bound)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 8, 9, 33])
def test_a_smoothed_cross_entropy_and_its_gradient_are_torchs_each_member_with_its_own(classes, dtype):
    torch.manual_seed(classes)
    outputs = (torch.randn(3, 5, 60, classes, dtype=dtype) * 10).requires_grad_()
    targets = torch.randint(0, classes, (3, 5, 60))
    share = torch.rand(3, 5, 60, dtype=dtype)
    fractions = [0.1, 0.0, 0.9]
    found = losses("cross_entropy", outputs, targets, torch.tensor(fractions, dtype=dtype))
    exact = outputs.detach().double().requires_grad_()
    wanted = torch.stack(
        [
            functional.cross_entropy(logits.flatten(0, 1), own.flatten(), reduction="none", label_smoothing=fraction)
            for logits, own, fraction in zip(exact, targets, fractions, strict=True)
        ]
    ).view(3, 5, 60)
    bound = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(found.double(), wanted, **bound)
    (one,), (other,) = (
        torch.autograd.grad(each, leaf, outer)
        for each, leaf, outer in ((found, outputs, share), (wanted, exact, share.double()))
    )
    torch.testing.assert_close(one.double(), other, **bound)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_smoothing_of_zero_has_the_bits_of_none_beside_a_neighbor_with_one(dtype):
    torch.manual_seed(0)
    outputs = (torch.randn(2, 300, 9, dtype=dtype) * 10).requires_grad_()
    targets, share = torch.randint(0, 9, (2, 300)), torch.rand(2, 300, dtype=dtype)
    plain = losses("cross_entropy", outputs, targets)
    smoothed = losses("cross_entropy", outputs, targets, torch.tensor([0.0, 0.3], dtype=dtype))
    (one,), (other,) = (torch.autograd.grad(each, outputs, share) for each in (plain, smoothed))
    assert torch.equal(plain[0], smoothed[0])
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_squared_error_and_its_gradient_are_torchs_to_the_bit(dtype):
    torch.manual_seed(0)
    outputs = torch.randn(3, 300, 1, dtype=dtype).requires_grad_()
    targets = torch.randn(3, 300, dtype=torch.float64)
    share = torch.rand(3, 300, dtype=dtype)
    found, wanted = losses("squared_error", outputs, targets), (outputs.squeeze(-1) - targets.to(dtype)).square()
    assert torch.equal(found, wanted)
    (one,), (other,) = (torch.autograd.grad(each, outputs, share) for each in (found, wanted))
    # share * 2 * error, and 2 * error * share
    torch.testing.assert_close(one, other, rtol=2 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("garbage", [torch.inf, -torch.inf, torch.nan])
def test_outputs_that_are_not_finite_give_no_finite_loss_and_no_gradient_where_they_have_no_weight(garbage):
    outputs = torch.tensor([[[garbage, 1.0, 2.0], [0.0, 1.0, garbage], [0.0, 1.0, 2.0]]], requires_grad=True)
    found = losses("cross_entropy", outputs, torch.tensor([[0, 2, 1]]))
    wanted = functional.cross_entropy(outputs[0], torch.tensor([0, 2, 1]), reduction="none")
    assert torch.equal(found[0].isfinite(), wanted.isfinite())
    assert torch.equal(found[0].isnan(), wanted.isnan())
    (grads,) = torch.autograd.grad(found, outputs, torch.tensor([[0.0, 0.0, 1.0]]))
    assert torch.equal(grads[0, :2], torch.zeros(2, 3))
    torch.testing.assert_close(grads[0, 2], torch.tensor([0.0, 1.0, 2.0]).softmax(0) - torch.tensor([0.0, 1.0, 0.0]))


@pytest.mark.parametrize("target", [-1, 3])
def test_a_class_that_is_no_output_is_refused(target):
    with pytest.raises(ValueError, match=f"needs classes from 0 to 2, got {target}"):
        losses("cross_entropy", torch.zeros(1, 2, 3), torch.tensor([[0, target]]))


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (2,)])
@pytest.mark.usefixtures("types_unchecked")
def test_a_loss_needs_a_target_each(shape):
    with pytest.raises(RuntimeError, match="needs a target each"):
        losses("squared_error", torch.zeros(1, 2, 1), torch.zeros(shape))


def test_a_squared_error_needs_one_output():
    with pytest.raises(RuntimeError, match="squared_error needs one output, got 3"):
        losses("squared_error", torch.zeros(1, 2, 3), torch.zeros(1, 2))


def test_a_second_derivative_is_refused_by_torch():
    outputs, share = torch.zeros(1, 2, 3, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    found = losses("cross_entropy", outputs, torch.tensor([[0, 1]]))
    (first,) = torch.autograd.grad(found, outputs, share, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
