"""Learning rates over the epochs."""

import math

import pytest
import torch

from throughtime.training.schedules import PLATEAU_FACTOR, PLATEAU_PATIENCE, Schedule


def torch_optimizer(lr: float) -> torch.optim.Optimizer:
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.zeros(1)
    return torch.optim.SGD([weight], lr=lr)


def test_a_constant_rate_stays():
    schedule = Schedule("constant", 0.01, 30)
    for epoch in range(30):
        assert schedule.lr(epoch) == 0.01
        schedule.observe(1.0)


@pytest.mark.parametrize("epochs", [1, 2, 7, 40])
def test_a_cosine_runs_as_torchs_from_the_base_to_zero(epochs):
    schedule, optimizer = Schedule("cosine", 0.3, epochs), torch_optimizer(0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        # torch steps from rate to rate and so gathers rounding
        assert schedule.lr(epoch) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=1e-15)
        optimizer.step()
        theirs.step()
    assert schedule.lr(0) == 0.3
    assert schedule.lr(epochs) == pytest.approx(0, abs=1e-15)
    assert Schedule("cosine", 0.3, 10).lr(5) == pytest.approx(0.15, rel=1e-15)
    assert Schedule("cosine", 0.3, 3).lr(1) == pytest.approx(0.3 * 0.75, rel=1e-15)  # cos 60 degrees is 1/2


LOSSES = [5.0, *6 * [4.0], 3.0, 3.5, *10 * [3.0], 2.0, 2.0, math.nan, *4 * [2.0], 1.0]


def test_a_plateau_divides_the_rate_after_five_epochs_without_a_gain_as_torchs_does():
    schedule, optimizer = Schedule("plateau", 0.3, len(LOSSES)), torch_optimizer(0.3)
    # torch waits for more than its patience
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE - 1, threshold=0
    )
    rates = []
    for epoch, loss in enumerate(LOSSES):
        rates.append(schedule.lr(epoch))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        schedule.observe(loss)
        theirs.step(loss)
    # the second 4 is the first epoch without a gain: five of them end with epoch 6
    assert rates[:7] == [0.3] * 7
    assert rates[7] == pytest.approx(0.03)
    # then 3.5 and ten 3s hold two times five, and 2, nan and four 2s once more; a 2 had begun to count anew
    assert rates[-1] == pytest.approx(0.3e-4)
