"""Steps taken whole in C++ are, to the bit, the same steps taken one pass at a time through autograd."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, NET, RECIPE, Data

from throughtime.kernels import Pass, native_available
from throughtime.kernels.native import NativeBackend
from throughtime.nn import Architecture
from throughtime.training import Member, Recipe, Trained, passes, train
from throughtime.training.group import stack_members

pytestmark = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")


def both_ways(
    net: Architecture, recipe: Recipe, data: Data, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Trained], list[Trained]]:
    fused = []

    def noted(*arguments: Any) -> Pass:
        fused.append(arguments)
        return taken(*arguments)

    taken = passes.fused_pass
    monkeypatch.setattr(passes, "fused_pass", noted)
    whole = train(net, recipe, data.inputs, members)
    assert fused  # or the two would be one
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    return whole, train(net, recipe, data.inputs, members)


def same(whole: list[Trained], apart: list[Trained]) -> None:
    for one, other in zip(whole, apart, strict=True):
        assert one.history == other.history
        assert one.best_epoch == other.best_epoch
        for name, weight in one.weights.items():
            assert torch.equal(weight, other.weights[name]), name


def company(data: Data) -> list[Member]:
    """Members of other sizes, rates, weights and ends."""
    rng = np.random.default_rng(1)
    rows = [np.arange(41), np.arange(3, 20), rng.permutation(41)[:33], np.array([5]), np.arange(40)]
    return [
        data.member(
            own,
            seed=seed,
            train=data.sample(own, rng.random(len(own)) + 0.1),
            lr=0.01 * (1 + seed),
            weight_decay=0.1 * seed,
            clip_norm=np.inf if seed == 2 else 0.5,
            max_epochs=3 + seed,
            shift=rng.normal(size=CHANNELS),
            scale=rng.random(CHANNELS) + 0.5,
            validation=data.sample(np.arange(7)) if seed == 1 else None,
        )
        for seed, own in enumerate(rows)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_whole_steps_have_the_bits_of_single_passes(cell, optimizer, dtype, monkeypatch):
    data = Data(dtype)
    net, recipe = replace(NET, cell=cell, hidden_size=19), replace(RECIPE, optimizer=optimizer, dtype=dtype)
    same(*both_ways(net, recipe, data, company(data), monkeypatch))


@pytest.fixture(params=[False, True], ids=["kept", "flushed"])
def callers_denormals(request):
    """What the caller has set for itself."""
    torch.set_flush_denormal(request.param)
    yield
    torch.set_flush_denormal(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.usefixtures("callers_denormals")
def test_numbers_that_fade_to_denormals_have_the_same_bits_either_way_and_alone(dtype, monkeypatch):
    data = Data(dtype)
    recipe = replace(RECIPE, dtype=dtype)
    # A series' share of its batch's mean falls to 1e-50, in float64 to 1e-307: its gradients are denormal or none.
    powers = {torch.float32: 1.25, torch.float64: 7.69}[dtype] * np.arange(41)
    members = [
        replace(one, train=replace(one.train, weights=10.0 ** -powers[: len(one.train.rows)])) for one in company(data)
    ]
    whole, apart = both_ways(NET, recipe, data, members, monkeypatch)
    same(whole, apart)
    same([train(NET, recipe, data.inputs, [one])[0] for one in members], whole)


def test_values_are_learned_with_the_same_bits(monkeypatch):
    data = Data()
    targets = data.classes.astype(np.float64)
    targets[[3, 30]] = np.nan  # not observed
    members = [
        replace(one, train=replace(one.train, targets=targets[one.train.rows]), validation=None)
        for one in company(data)
    ]
    recipe = replace(RECIPE, loss="squared_error")
    whole, apart = both_ways(replace(NET, n_outputs=1), recipe, data, members, monkeypatch)
    same(whole, apart)
    assert np.isfinite([one.history[-1].train_loss for one in whole]).all()


def test_static_columns_and_missing_steps_go_the_same_way(monkeypatch):
    data = Data()
    rng = np.random.default_rng(2)
    data.inputs.values[5, 1] = torch.nan
    data.inputs = replace(data.inputs, static=torch.from_numpy(rng.normal(size=(41, 2))))
    wide = {"shift": np.zeros(CHANNELS + 2), "scale": np.ones(CHANNELS + 2), "validation": None}
    members = [replace(one, **wide) for one in company(data)]
    same(*both_ways(replace(NET, n_inputs=CHANNELS + 2), RECIPE, data, members, monkeypatch))


def test_series_held_in_float64_go_the_same_way_in_float32(monkeypatch):
    data = Data(torch.float32)
    rng = np.random.default_rng(3)
    values = torch.from_numpy(1e9 + rng.normal(size=data.inputs.values.shape))
    data.inputs = replace(data.inputs, values=values, static=torch.from_numpy(1e9 + rng.normal(size=(41, 1))))
    wide = {"shift": np.full(CHANNELS + 1, 1e9 + 0.1), "scale": np.full(CHANNELS + 1, 0.3), "validation": None}
    members = [replace(one, **wide) for one in company(data)]
    recipe = replace(RECIPE, dtype=torch.float32)
    whole, apart = both_ways(replace(NET, n_inputs=CHANNELS + 1), recipe, data, members, monkeypatch)
    same(whole, apart)
    near = replace(data.inputs, values=(values - 1e9).float(), static=(data.inputs.static - 1e9).float())
    members = [replace(one, shift=one.shift - 1e9) for one in members]
    for one, other in zip(train(replace(NET, n_inputs=CHANNELS + 1), recipe, near, members), whole, strict=True):
        losses = [[epoch.train_loss for epoch in member.history] for member in (one, other)]
        # the values are those of 1e9 + x, 1e-7 apart
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_member_that_diverges_goes_the_same_way(monkeypatch):
    data = Data(torch.float32)
    recipe = replace(RECIPE, loss="squared_error", optimizer="sgd", dtype=torch.float32)
    targets = replace(data.sample(np.arange(41)), targets=data.classes.astype(np.float64))
    members = [data.member(seed=seed, train=targets, lr=lr, max_epochs=4) for seed, lr in enumerate((0.01, 1e30, 0.1))]
    whole, apart = both_ways(replace(NET, n_outputs=1), recipe, data, members, monkeypatch)
    assert [one.failure is None for one in whole] == [True, False, True]
    assert str(whole[1].failure) == str(apart[1].failure)
    same([whole[0], whole[2]], [apart[0], apart[2]])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_threads_and_company_change_no_bit(count, threads):
    data = Data(torch.float32)
    recipe, members = replace(RECIPE, dtype=torch.float32), company(data)
    threads(1)
    alone = [train(NET, recipe, data.inputs, [member])[0] for member in members]
    threads(count)
    same(train(NET, recipe, data.inputs, members), alone)


def test_how_many_steps_a_call_takes_changes_no_bit(monkeypatch):
    data = Data()
    long = train(NET, RECIPE, data.inputs, company(data))
    calls = []
    taken = NativeBackend.train_steps

    def noted(*arguments):
        calls.append(arguments)
        taken(*arguments)

    monkeypatch.setattr(passes, "CALL_WORK", 1)
    monkeypatch.setattr(NativeBackend, "train_steps", noted)
    same(train(NET, RECIPE, data.inputs, company(data)), long)
    assert {len(steps) for *_, steps, _, _, _, _, _ in calls} == {1}


@pytest.mark.parametrize(
    "changed",
    [{"num_layers": 2}, {"bidirectional": True}, {"pooling": "mean"}, {"pooling": "steps"}],
    ids=str,
)
def test_other_networks_go_through_autograd(changed):
    data = Data()
    sample = data.sample(np.arange(9))
    by_step = replace(sample, targets=np.zeros(int(data.inputs.lengths[:9].sum()), dtype=np.int64))
    member = data.member(train=by_step if changed.get("pooling") == "steps" else sample)
    group = stack_members(replace(NET, **changed), RECIPE, data.inputs, [member])
    assert group.fusible == [False]


@pytest.mark.parametrize("changed", [{"dropout": 0.1}, {"noise": {"zoneout": 0.1}}], ids=str)
def test_a_member_with_noise_changes_no_bit_of_its_neighbors(changed):
    data = Data()
    plain, noisy = data.member(max_epochs=3), data.member(seed=9, max_epochs=3, **changed)
    same([train(NET, RECIPE, data.inputs, [plain, noisy])[0]], train(NET, RECIPE, data.inputs, [plain]))
