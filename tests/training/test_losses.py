"""Losses an element and the sums taken of them."""

import pytest
import torch
from torch.nn import functional

from throughtime.training.losses import elementwise, totals, weighted_totals


@pytest.mark.parametrize("shape", [(2, 5), (2, 7, 5)])
def test_losses_are_torchs_cross_entropy_and_squared_error(shape):
    torch.manual_seed(0)
    outputs = torch.randn(*shape, 4, dtype=torch.float64) * 10
    classes = torch.randint(0, 4, shape)
    expected = functional.cross_entropy(outputs.reshape(-1, 4), classes.reshape(-1), reduction="none").view(shape)
    # float64, one logarithm of a sum of four
    torch.testing.assert_close(elementwise("cross_entropy", outputs, classes), expected, rtol=1e-13, atol=1e-13)
    values = torch.randn(shape, dtype=torch.float64)
    expected = functional.mse_loss(outputs[..., 0], values, reduction="none")
    assert torch.equal(elementwise("squared_error", outputs[..., :1], values), expected)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("shape", [(2, 5), (2, 7, 5)])
def test_smoothed_labels_give_torchs_loss_and_gradient_and_those_of_zero_change_no_bit(shape):
    torch.manual_seed(0)
    outputs = (torch.randn(*shape, 4, dtype=torch.float64) * 10).requires_grad_()
    classes, share = torch.randint(0, 4, shape), torch.rand(shape, dtype=torch.float64)
    found = elementwise("cross_entropy", outputs, classes, torch.tensor([0.0, 0.3], dtype=torch.float64))
    wanted = functional.cross_entropy(
        outputs[1].reshape(-1, 4), classes[1].flatten(), reduction="none", label_smoothing=0.3
    )
    (grads,) = torch.autograd.grad(found, outputs, share)
    (wanted_grads,) = torch.autograd.grad(wanted, outputs, share[1].flatten())
    # float64, sums of four
    torch.testing.assert_close(found[1].flatten(), wanted, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(grads[1], wanted_grads[1], rtol=1e-13, atol=1e-13)
    plain = elementwise("cross_entropy", outputs, classes)
    assert torch.equal(found[0], plain[0])
    assert torch.equal(grads[0], torch.autograd.grad(plain, outputs, share)[0][0])


@pytest.mark.usefixtures("either_path", "types_unchecked")
def test_smoothing_is_of_classes_and_one_number_per_member():
    with pytest.raises(RuntimeError, match="smoothing needs a cross_entropy, got squared_error"):
        elementwise("squared_error", torch.zeros(2, 3, 1), torch.zeros(2, 3), torch.zeros(2))
    with pytest.raises(RuntimeError, match=r"needs one torch.float32 per member, got \(3,\) of torch.float32"):
        elementwise("cross_entropy", torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.zeros(3))


def test_cross_entropy_stands_outputs_that_would_overflow_an_exponential():
    outputs = torch.tensor([[[1000.0, 0.0], [0.0, 1000.0]]])
    assert elementwise("cross_entropy", outputs, torch.tensor([[0, 0]])).tolist() == [[0.0, 1000.0]]


def test_totals_are_taken_in_float64_whatever_the_losses_are_in():
    losses = torch.full((2, 3, 5), 1e-9)
    losses[:, 0, 0] = 1.0
    expected = 1 + 14 * losses[0, 1, 1].double()  # in float32 that is 1
    torch.testing.assert_close(totals(losses), expected.expand(2), rtol=1e-14, atol=0)


@pytest.mark.parametrize("garbage", [torch.inf, -torch.inf, torch.nan])
def test_what_has_no_weight_has_no_say(garbage):
    losses = torch.tensor([[2.0, garbage, 3.0], [1.0, 1.0, 1.0]])
    weights = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.5, 0.0]], dtype=torch.float64)
    assert weighted_totals(losses, weights).tolist() == [8.0, 0.5]
    assert weighted_totals(losses, weights + 1)[0].isfinite().item() is False
