"""The planted tasks are what they say: targets that a reader of the series finds, at the lag that is said."""

import numpy as np
import pytest
from tasks import TASKS, adding, copy, order

RNG = np.random.default_rng(0)


def test_the_target_of_copy_is_told_by_its_first_step_and_by_no_other() -> None:
    x, y = copy(RNG, 500, 30)
    assert (x[:, 0].argmax(1) == y).all()
    assert (x.sum(2) == 1).all()
    assert (x[:, 1:, :4] == 0).all()
    # the later steps are drawn alike whatever the target is: 29 steps of about 125 series each
    shares = [x[y == k, 1:, 4:].mean((0, 1)) for k in range(4)]
    assert np.abs(np.array(shares) - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / (29 * 100))


def test_the_target_of_adding_is_the_sum_of_one_marked_value_of_each_half() -> None:
    x, y = adding(RNG, 500, 30)
    for series, target in zip(x, y, strict=True):
        first, second = np.flatnonzero(series[:, 1])
        assert first < 15 <= second
        assert target == pytest.approx(series[first, 0] + series[second, 0], rel=1e-6)


def test_the_target_of_order_is_told_by_two_symbols_that_lie_far_apart() -> None:
    x, y = order(RNG, 500, 100)
    for series, target in zip(x, y, strict=True):
        first, second = np.flatnonzero(series[:, :2].any(1))
        assert 10 <= first < 20
        assert 50 <= second < 60
        assert target == 2 * series[first, 1] + series[second, 1]


@pytest.mark.parametrize("name", TASKS)
def test_the_trivial_loss_is_that_of_the_best_constant(name: str) -> None:
    task = TASKS[name]
    _, y = task.draw(RNG, 100_000, 60)
    if task.loss == "squared_error":
        assert y.var() == pytest.approx(task.trivial, rel=0.02)
    else:
        assert np.bincount(y) / len(y) == pytest.approx(np.full(task.outputs, 0.25), abs=0.01)
        assert task.trivial == np.log(task.outputs)
