"""Gradients are clipped member by member, by norm and by value."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import NET, RECIPE, Data, PlainLoop
from test_passes import assert_same_results

from throughtime.training import train
from throughtime.training.clipping import clip_by_norm, clip_by_value

# float64; torch divides by the norm plus 1e-6, which is no part of the formula
TORCHS = {"rtol": 1e-5, "atol": 0}


def test_each_member_is_clipped_to_its_own_norm_as_by_torch():
    torch.manual_seed(0)
    grads = torch.randn(4, 30, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 10.0, 1e3], dtype=torch.float64)[:, None]
    limits = torch.tensor([1.0, 1.0, 2.5, 7.0], dtype=torch.float64)
    before, clipped = grads.clone(), grads.clone()
    norms = clip_by_norm(clipped, limits)
    for m in range(4):
        parameters = [torch.zeros(10, dtype=torch.float64, requires_grad=True) for _ in range(3)]
        for parameter, grad in zip(parameters, before[m].split(10), strict=True):
            parameter.grad = grad.clone()
        total = torch.nn.utils.clip_grad_norm_(parameters, limits[m].item())
        torch.testing.assert_close(norms[m], total, rtol=1e-14, atol=0)
        torch.testing.assert_close(clipped[m], torch.cat([p.grad for p in parameters]), **TORCHS)
        # the closed form, without torch's 1e-6; float64
        expected = before[m] * min(1.0, limits[m].item() / before[m].norm().item())
        torch.testing.assert_close(clipped[m], expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("limit", [1e-3, 1.0, torch.inf])
def test_a_gradient_within_its_limit_is_left_alone(limit):
    grads = torch.tensor([[3e-4, 4e-4], [0.0, 0.0]])
    before = grads.clone()
    assert torch.equal(clip_by_norm(grads, torch.full((2,), limit)), torch.tensor([5e-4, 0.0]))
    assert torch.equal(grads, before)


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e25])
def test_a_norm_is_right_where_the_squares_are_no_float32(size):
    grads = torch.tensor([[3.0, 4.0], [30.0, 40.0]]) * (size / 10)
    expected = torch.tensor([[0.3, 0.4], [0.6, 0.8]]) * size
    norms = clip_by_norm(grads, torch.full((2,), size))
    # float32's epsilon is 1.2e-7
    torch.testing.assert_close(norms, torch.tensor([0.5, 5.0]) * size, rtol=1e-6, atol=0)
    torch.testing.assert_close(grads, expected, rtol=1e-6, atol=0)


def test_a_member_without_finite_gradients_does_not_touch_its_neighbors():
    grads = torch.tensor([[3.0, 4.0], [torch.nan, 1.0], [torch.inf, 1.0], [6.0, 8.0]])
    norms = clip_by_norm(grads, torch.ones(4))
    # float32's epsilon is 1.2e-7
    torch.testing.assert_close(grads[[0, 3]], torch.tensor([[0.6, 0.8], [0.6, 0.8]]), rtol=1e-6, atol=0)
    assert norms[[0, 3]].tolist() == [5.0, 10.0]
    assert grads[1].isnan().all()
    assert grads[2].isnan().any()


@pytest.mark.parametrize("width", [1, 17, 1000])
def test_a_members_norm_has_the_same_bits_in_any_company_and_with_zeros_appended(width):
    torch.manual_seed(0)
    grads = torch.randn(10, width)
    limits = torch.rand(10)
    together = grads.clone()
    norms = clip_by_norm(together, limits)
    longer = torch.cat([grads, torch.zeros(10, 13)], 1)
    assert torch.equal(clip_by_norm(longer, limits), norms)
    for m in range(10):
        alone = grads[m : m + 1].clone()
        assert torch.equal(clip_by_norm(alone, limits[m : m + 1])[0], norms[m])
        assert torch.equal(alone[0], together[m])


def test_each_member_is_clipped_to_its_own_value_as_by_torch():
    torch.manual_seed(0)
    grads = torch.randn(4, 30, dtype=torch.float64) * 3
    grads[2, 3], grads[3, 5] = torch.nan, torch.inf
    limits = torch.tensor([1.0, 100.0, 0.5, torch.inf], dtype=torch.float64)
    clipped = grads.clone()
    larger, norms = clip_by_value(clipped, limits)
    for m in range(4):
        parameter = torch.zeros(30, dtype=torch.float64, requires_grad=True)
        parameter.grad = grads[m].clone()
        torch.nn.utils.clip_grad_value_([parameter], limits[m].item())
        assert torch.equal(clipped[m].nan_to_num(7), parameter.grad.nan_to_num(7))
    assert larger.tolist() == [True, False, True, False]
    torch.testing.assert_close(norms[:2], grads[:2].norm(dim=1), rtol=1e-14, atol=0)  # float64


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_step_clips_by_value_and_then_by_norm_as_a_loop_in_torch(cell):
    data, net = Data(), replace(NET, cell=cell)
    recipe = replace(RECIPE, optimizer="sgd", batch_size=64)
    member = data.member(seed=1, max_epochs=1, momentum=0.0, lr=0.1, clip_value=0.02, clip_norm=0.05)
    (trained,) = train(net, recipe, data.inputs, [member])
    loop = PlainLoop(data, net, recipe, member)
    _, objective = loop.objective(np.arange(41))
    objective.backward()
    weights = list(loop.named.values())
    norm = torch.cat([weight.grad.flatten() for weight in weights]).norm().item()
    assert max(weight.grad.abs().max() for weight in weights) > 0.02
    torch.nn.utils.clip_grad_value_(weights, 0.02)
    limited = torch.cat([weight.grad.flatten() for weight in weights]).norm().item()
    assert limited > 0.05
    for name, weight in loop.named.items():
        expected = weight - 0.1 * weight.grad * (0.05 / limited)
        # float64; the sums of a batch are taken in another order
        torch.testing.assert_close(trained.weights[name], expected.detach(), rtol=1e-10, atol=1e-13)
    (record,) = trained.history
    assert record.gradient_norm == pytest.approx(norm, rel=1e-10)
    assert record.clipped == 1.0


@pytest.mark.usefixtures("either_path")
def test_a_member_clipped_by_value_is_the_same_in_company_and_does_not_touch_its_neighbors():
    data = Data()
    members = [
        data.member(seed=seed, max_epochs=3, clip_value=value, noise=noise)
        for seed, (value, noise) in enumerate(
            [(0.01, {}), (torch.inf, {}), (torch.inf, {"zoneout": 0.1}), (0.05, {"zoneout": 0.1})]
        )
    ]
    together = train(NET, RECIPE, data.inputs, members)
    assert_same_results(together, [train(NET, RECIPE, data.inputs, [member])[0] for member in members])
    assert together[0].history[0].clipped == 1.0
    assert together[1].history[0].clipped == 0.0
    assert together[1].history != train(NET, RECIPE, data.inputs, [replace(members[1], clip_value=0.01)])[0].history
