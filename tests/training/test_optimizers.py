"""Every member's update is torch.optim's, whatever its neighbors do."""

import pytest
import torch
from torch import Tensor

from throughtime.training.optimizers import Optimizer

#: The updates are the same formulas in another order of operations: some last bits over twenty steps.
EXACT = {"rtol": 1e-12, "atol": 1e-14}
MEMBERS, WEIGHTS, BIASES, STEPS = 3, 7, 4, 20

pytestmark = pytest.mark.usefixtures("either_path")
each_rule = pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


LR = tensor(0.1, 0.003, 1.0)
DECAY = tensor(0.5, 0.0, 0.01)
MOMENTUM = tensor(0.9, 0.0, 0.5)
NO_LIMIT = tensor(torch.inf, torch.inf, torch.inf)


def decays(decay: Tensor) -> Tensor:
    """A row per member: its decay on the weights, nothing on the biases behind them."""
    return torch.cat([decay[:, None].expand(-1, WEIGHTS), torch.zeros(len(decay), BIASES, dtype=torch.float64)], 1)


def torchs(name: str, m: int, weights: Tensor) -> tuple[list[Tensor], torch.optim.Optimizer]:
    """torch's optimizer of one member: weights with decay, biases without."""
    parts = [part.clone().requires_grad_() for part in weights.split([WEIGHTS, BIASES])]
    groups = [{"params": parts[:1], "weight_decay": DECAY[m].item()}, {"params": parts[1:], "weight_decay": 0.0}]
    if name == "sgd":
        return parts, torch.optim.SGD(groups, lr=LR[m].item(), momentum=MOMENTUM[m].item())
    return parts, {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups, lr=LR[m].item())


def gradients() -> Tensor:
    """One per step: of all sizes, so that Adam's epsilon counts somewhere."""
    torch.manual_seed(1)
    return torch.randn(STEPS, MEMBERS, WEIGHTS + BIASES, dtype=torch.float64) * 10.0 ** torch.randint(
        -9, 2, (STEPS, 1, 1)
    )


@each_rule
def test_each_member_moves_as_under_torch_optim_with_its_own_rate_and_decay(name):
    torch.manual_seed(0)
    weights = torch.randn(MEMBERS, WEIGHTS + BIASES, dtype=torch.float64)
    others = [torchs(name, m, weights[m]) for m in range(MEMBERS)]
    optimizer = Optimizer(name, decays(DECAY), MOMENTUM)
    for grads in gradients():
        optimizer.step(weights, grads.clone(), LR, NO_LIMIT, torch.ones(MEMBERS, dtype=torch.bool))
        for m, (parts, rule) in enumerate(others):
            for part, grad in zip(parts, grads[m].split([WEIGHTS, BIASES]), strict=True):
                part.grad = grad
            rule.step()
            torch.testing.assert_close(weights[m], torch.cat(parts).detach(), **EXACT)


@each_rule
def test_an_inactive_member_keeps_its_weights_and_its_state_and_counts_no_step(name):
    torch.manual_seed(0)
    weights = torch.randn(MEMBERS, WEIGHTS + BIASES, dtype=torch.float64)
    parts, rule = torchs(name, 1, weights[1])
    optimizer = Optimizer(name, decays(DECAY), MOMENTUM)
    for step, grads in enumerate(gradients()):
        active = torch.tensor([True, step % 3 == 0, True])
        before = weights[1].clone(), {key: value[1].clone() for key, value in optimizer.state.items()}
        optimizer.step(weights, torch.where(active[:, None], grads, torch.nan), LR, NO_LIMIT, active)
        if active[1]:
            for part, grad in zip(parts, grads[1].split([WEIGHTS, BIASES]), strict=True):
                part.grad = grad
            rule.step()
        else:
            assert torch.equal(weights[1], before[0])
            for key, value in before[1].items():
                assert torch.equal(optimizer.state[key][1], value)
    torch.testing.assert_close(weights[1], torch.cat(parts).detach(), **EXACT)


@each_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("width", [1, 7, 33])
def test_a_members_bits_do_not_depend_on_its_place_among_others(name, dtype, width):
    # torch's vectorized power differs from its scalar one in the last bit for a step in a hundred
    members, steps = 11, 150
    torch.manual_seed(0)
    start = torch.randn(members, width, dtype=dtype)
    grads = torch.randn(steps, members, width, dtype=dtype)
    lr, decay, momentum, limit = (torch.rand(members, dtype=dtype) for _ in range(4))

    def run(rows: list[int]) -> Tensor:
        weights = start[rows].clone()
        optimizer = Optimizer(name, decay[rows, None].expand(-1, width).clone(), momentum[rows])
        for each in grads:
            optimizer.step(weights, each[rows], lr[rows] * 0.01, limit[rows], torch.ones(len(rows), dtype=torch.bool))
        return weights

    together = run(list(range(members)))
    for m in (0, 4, 10):
        assert torch.equal(run([m])[0], together[m])
    assert torch.equal(run([10, 3]), together[[10, 3]])


@each_rule
def test_taking_some_members_takes_their_state_along(name):
    torch.manual_seed(0)
    weights = torch.randn(MEMBERS, WEIGHTS + BIASES, dtype=torch.float64)
    optimizer = Optimizer(name, decays(DECAY), MOMENTUM)
    everyone = torch.ones(MEMBERS, dtype=torch.bool)
    first, second = gradients()[:2]
    optimizer.step(weights, first.clone(), LR, NO_LIMIT, everyone)
    keep = torch.tensor([2, 0])
    some, fewer = optimizer.take(keep), weights[keep].clone()
    optimizer.step(weights, second.clone(), LR, NO_LIMIT, everyone)
    some.step(fewer, second[keep], LR[keep], NO_LIMIT[keep], everyone[keep])
    assert torch.equal(fewer, weights[keep])
