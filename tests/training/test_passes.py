"""The members of a group go the ways that each of them can, and nobody notices."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import NET, RECIPE, Data
from test_measurements import Listener

from throughtime.kernels import native_available
from throughtime.kernels.native import NativeBackend
from throughtime.training import Trained, passes, train
from throughtime.training.group import stack_members
from throughtime.training.observers import Watch
from throughtime.training.optimizers import Optimizer

needs_native = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")

NOISES = [{"dropout": 0.2}, {"noise": {"zoneout": 0.1}}, {"noise": {"variational_dropout": 0.3}}]


def assert_same_results(ones: list[Trained], others: list[Trained]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.history == other.history
        assert one.best_epoch == other.best_epoch
        for name, weight in one.weights.items():
            assert torch.equal(weight, other.weights[name]), name


def mixed(data: Data) -> list:
    """Members with and without noise, of other sizes and ends, one of which stops early."""
    sizes = (41, 20, 33, 9, 38)
    drawn = ({}, NOISES[1], {}, NOISES[0], NOISES[2])
    ends = ({"max_epochs": 4}, {"max_epochs": 6}, {"patience": 1, "validation": data.sample(np.arange(7))}, {}, {})
    return [
        data.member(np.arange(n), seed=seed, **own, **end)
        for seed, (n, own, end) in enumerate(zip(sizes, drawn, ends, strict=True))
    ]


@needs_native
def test_only_what_the_kernels_cannot_fuse_goes_through_autograd():
    data = Data()
    group = stack_members(NET, RECIPE, data.inputs, mixed(data))
    assert group.fusible == [True, False, True, True, False]
    assert [members for members, _ in group.parts] == [[0, 2, 3], [1, 4]]
    assert [part.fusible for _, part in group.parts] == [[True] * 3, [False] * 2]


@needs_native
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_parted_group_trains_as_one_that_goes_through_autograd_and_as_each_alone(optimizer, monkeypatch):
    data, recipe = Data(torch.float32), replace(RECIPE, dtype=torch.float32, optimizer=optimizer)
    members = mixed(data)
    parted = train(NET, recipe, data.inputs, members)
    assert_same_results([train(NET, recipe, data.inputs, [member])[0] for member in members], parted)
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    assert_same_results(train(NET, recipe, data.inputs, members), parted)


@needs_native
def test_a_neighbor_with_noise_takes_no_whole_step_from_the_others(monkeypatch):
    data, taken = Data(), []
    fused = passes.fused_pass
    monkeypatch.setattr(passes, "fused_pass", lambda group, *rest: taken.append(group.places) or fused(group, *rest))
    members = [data.member(seed=seed, max_epochs=2, **own) for seed, own in enumerate(({}, NOISES[1], {}))]
    train(NET, RECIPE, data.inputs, members)
    assert taken == [(0, 2)] * 2


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("drawn", NOISES, ids=str)
def test_records_name_every_member_once_a_step(drawn):
    data, listener = Data(), Listener()
    members = [data.member(seed=0), data.member(np.arange(20), seed=1, **drawn), data.member(seed=2)]
    group = stack_members(NET, RECIPE, data.inputs, members)
    weights = torch.zeros(3, group.layout.width, dtype=RECIPE.dtype)
    optimizer = Optimizer("adam", group.decay(), torch.zeros(3, dtype=RECIPE.dtype))
    lr = torch.full((3,), 0.01, dtype=RECIPE.dtype)
    result, active, _ = passes.run_pass(group, weights, optimizer, 0, lr, Watch((listener,)))
    seen = {
        (record.step, m): record.gradient_norms[at]
        for record in listener.records
        for at, m in enumerate(record.members)
    }
    for step, m in np.argwhere(active.numpy()):
        assert seen[step, m] == result.norms[step, m]
    assert len(seen) >= int(active.sum())


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_dropout_in_whole_steps_has_the_bits_of_single_passes(cell, dtype, monkeypatch):
    data, net, recipe = Data(dtype), replace(NET, cell=cell, hidden_size=19), replace(RECIPE, dtype=dtype)
    members = [
        data.member(np.arange(n), seed=n, dropout=rate, max_epochs=3)
        for n, rate in ((41, 0.0), (33, 0.5), (41, 0.2), (5, 0.9))
    ]
    whole = train(net, recipe, data.inputs, members)
    monkeypatch.setattr(passes, "CALL_BYTES", 1)  # so that masks are drawn for a step at a time
    assert_same_results(train(net, recipe, data.inputs, members), whole)
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    assert_same_results(train(net, recipe, data.inputs, members), whole)
