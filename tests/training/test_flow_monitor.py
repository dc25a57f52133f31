"""The flow monitor: what it keeps is right, a member's own, never noticed by training, and told in words once."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, NET, RECIPE, Data
from test_passes import assert_same_results, mixed

from throughtime.errors import FlowWarning, ParameterError
from throughtime.nn import initial_weights
from throughtime.stability import FlowRecord, pulled_back_norms, recorded_lags
from throughtime.training import (
    EveryStepFlowMonitor,
    FlowMonitor,
    GroupState,
    Inputs,
    Member,
    Observer,
    Purpose,
    Sample,
    StepRecord,
    derived_seed,
    flow_monitor,
    stream,
    train,
)

LINEAR = replace(NET, cell="linear", hidden_size=12)
STEPS = 50


def long_series(seed: int = 0, steps: int = STEPS, n: int = 20, **changed: Any) -> tuple[Inputs, Member]:
    """Series of noise, all of one length, and a member that trains on them."""
    values = np.random.default_rng(0).normal(size=(n * steps + 1, CHANNELS))
    values[-1] = np.nan
    inputs = Inputs(torch.from_numpy(values), np.arange(n) * steps, np.full(n, steps))
    sample = Sample(np.arange(n), np.arange(n) % 4, np.ones(n))
    return inputs, replace(Data().member(seed=seed, max_epochs=5, lr=1e-4), train=sample, **changed)


def same(one: FlowRecord, other: FlowRecord) -> bool:
    return (one.kind, one.epoch, one.step, one.layers) == (other.kind, other.epoch, other.step, other.layers) and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("lags", "log_norms", "horizons")
    )


@pytest.mark.usefixtures("either_path")
def test_an_orthogonal_linear_net_keeps_all_of_its_gradient():
    inputs, member = long_series(lr=1e-300, init="orthogonal")
    monitor = FlowMonitor()
    train(LINEAR, RECIPE, inputs, [member], observers=[monitor])
    records = monitor.records(0)
    assert [(record.kind, record.epoch, record.step) for record in records] == [
        *(("probe", n // 2, n) for n in range(0, 10, 2)),
        ("kept", 5, 10),
    ]
    for record in records:
        np.testing.assert_allclose(record.log_norms, np.zeros((1, STEPS)), atol=1e-6)  # kept in float32
        assert record.gradient_horizon == np.inf
        assert (record.lags == recorded_lags(STEPS)).all()


def test_a_probe_pulls_back_from_eight_series_of_the_members_own():
    data = Data()
    net = replace(NET, cell="lstm", num_layers=2, bidirectional=True)
    member = data.member(seed=5, max_epochs=40, shift=np.full(CHANNELS, 0.5), scale=np.full(CHANNELS, 2.0))
    monitor = FlowMonitor(warn=False)
    train(net, RECIPE, data.inputs, [member], observers=[monitor])
    first = monitor.records(0)[0]
    longest = data.inputs.lengths[:41].argmax()
    drawn = stream(5, Purpose.PROBE).permutation(41)
    chosen = np.concatenate([[longest], drawn[drawn != longest]])[:8]
    lengths = data.inputs.lengths[chosen]
    x = torch.zeros(1, int(lengths.max()), 8, CHANNELS, dtype=RECIPE.dtype)
    for b, row in enumerate(chosen):
        x[0, : lengths[b], b] = (data.series(row) - 0.5) / 2
    start = initial_weights(net, "torch", derived_seed(5, Purpose.INITIAL_WEIGHTS), RECIPE.dtype)
    weights = {name: weight[None] for name, weight in start.items()}
    found = pulled_back_norms(net, weights, x, torch.from_numpy(lengths)[None], seed=0)
    for own, layer in zip(found, first.log_norms, strict=True):
        for lag, value in zip(first.lags, layer, strict=True):
            there = np.flatnonzero(lag < lengths)
            at = np.full(len(there), lag) if own.reverse else lengths[there] - 1 - lag
            expected = own.total[0].log10().numpy()[at, there].mean()
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)  # kept in float32


class Steps(Observer):
    needs = frozenset({"state_gradient_norms"})

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def on_step(self, record: StepRecord) -> None:
        self.records.append(record)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_step_has_the_norms_of_its_own_gradients(cell, layers):
    net, steps, monitor = replace(NET, cell=cell, num_layers=layers), Steps(), EveryStepFlowMonitor(warn=False)
    inputs, member = long_series(steps=6)
    other = replace(member, seed=1, max_epochs=7, train=Sample(np.arange(9), np.zeros(9, int), np.ones(9)))
    train(net, RECIPE, inputs, [member, other], observers=[monitor, steps])
    for place in range(2):
        found = [record for record in monitor.records(place) if record.kind == "step"]
        taken = [
            (record, record.members.index(place))
            for record in steps.records
            if place in record.members and record.active[record.members.index(place)]
        ]
        assert [record.step for record in found] == list(range(len(taken)))
        for own, (record, m) in zip(found, taken, strict=True):
            assert own.epoch == record.epoch
            assert np.isnan(own.horizons).all()
            there = record.series[m] >= 0
            for layer, log_norms in zip(record.state_gradient_norms or (), own.log_norms, strict=True):
                squares = layer.h[m] if layer.c is None else layer.h[m] + layer.c[m]
                expected = (squares[:, there].log10() / 2).mean(1).flip(0).numpy()
                np.testing.assert_allclose(log_norms, expected, rtol=1e-5, atol=1e-6)  # kept in float32


@pytest.mark.parametrize("kind", [FlowMonitor, EveryStepFlowMonitor])
@pytest.mark.parametrize("net", [NET, replace(NET, num_layers=2)], ids=["whole steps", "autograd"])
@pytest.mark.usefixtures("either_path")
def test_monitoring_changes_no_bit(kind, net):
    data = Data()
    plain = train(net, RECIPE, data.inputs, mixed(data))
    assert_same_results(train(net, RECIPE, data.inputs, mixed(data), observers=[kind(warn=False)]), plain)


@pytest.mark.parametrize("kind", [FlowMonitor, EveryStepFlowMonitor])
def test_a_members_records_are_the_same_alone_or_in_company(kind):
    data, together = Data(), kind(warn=False)
    train(NET, RECIPE, data.inputs, mixed(data), observers=[together])
    for place, member in enumerate(mixed(data)):
        alone = kind(warn=False)
        train(NET, RECIPE, data.inputs, [member], places=[place], observers=[alone])
        pairs = list(zip(alone.records(place), together.records(place), strict=True))
        assert len(pairs) > 5
        assert all(same(*pair) for pair in pairs)


def test_only_the_members_asked_for_are_measured():
    data, monitor = Data(), EveryStepFlowMonitor([2], warn=False)
    train(NET, RECIPE, data.inputs, mixed(data), observers=[monitor])
    assert monitor.records(2)
    assert not any(monitor.records(place) for place in (0, 1, 3, 4, 77))


def test_the_end_alone_is_measured_on_up_to_32_series_without_a_warning():
    inputs, member = long_series(n=40)
    monitor = FlowMonitor(every=None, warn=False)
    sizes = []

    class Spied(FlowMonitor):
        def _load(self, probe: Any) -> Any:
            batch = super()._load(probe)
            sizes.append(batch.x.shape[2])
            return batch

    train(NET, RECIPE, inputs, [member], observers=[monitor, Spied(every=None, warn=False)])
    assert [record.kind for record in monitor.records(0)] == ["kept"]
    assert np.isfinite(monitor.records(0)[0].gradient_horizon)
    assert sizes == [32]


def test_a_probe_takes_a_32nd_of_the_series_between_two_or_one():
    inputs, member = long_series(n=4, init="orthogonal")
    sizes = []

    class Spied(FlowMonitor):
        def _load(self, probe: Any) -> Any:
            batch = super()._load(probe)
            sizes.append(batch.x.shape[2])
            return batch

    # one step of 4 series an epoch, 20 of them from probe to probe
    train(LINEAR, RECIPE, inputs, [replace(member, max_epochs=100)], observers=[Spied(every=20)])
    assert sizes == [2, 4]  # and all of them at the end
    sizes.clear()
    train(LINEAR, RECIPE, inputs, [replace(member, max_epochs=5)], observers=[Spied()])
    assert sizes == [1, 4]


def test_a_gradient_that_vanishes_is_told_once_per_member_in_words():
    inputs, member = long_series()
    members = [replace(member, seed=seed) for seed in range(7)]
    with pytest.warns(FlowWarning) as told:
        train(NET, RECIPE, inputs, members, observers=[FlowMonitor()])
    (text,) = [str(one.message) for one in told]
    assert text.startswith("a gradient vanishes: member 1, epoch 1: 1 % of it is left ")
    assert " steps back in layer 0, of series of 50; member 2, epoch 1: " in text
    assert "member 5" in text
    assert "member 6" not in text
    assert "; and 2 more members. That is shorter than the series, and no fault unless the task needs longer" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an orthogonal linear net's does not vanish
        train(LINEAR, RECIPE, inputs, [replace(one, init="orthogonal") for one in members], observers=[FlowMonitor()])


def test_a_gradient_that_explodes_is_told_once_with_its_layer_and_epoch():
    inputs, member = long_series(init="he_normal")
    with pytest.warns(FlowWarning) as told:
        train(replace(LINEAR, num_layers=2), RECIPE, inputs, [member], places=[9], observers=[FlowMonitor()])
    (text,) = [str(one.message) for one in told]
    assert text.startswith("a gradient explodes: member 10, epoch 1: it is ")
    assert " times as large 49 steps back in layer " in text
    assert "clip_norm or clip_value" in text


@pytest.mark.parametrize("kind", [FlowMonitor, EveryStepFlowMonitor])
def test_members_are_told_of_by_their_names_and_of_the_weights_that_they_end_with_at_the_end(kind):
    inputs, member = long_series(max_epochs=1)
    with pytest.warns(FlowWarning, match="vanishes: fold 7, at the end: 1 % .*; member 3, at the end: 1 %"):
        train(NET, RECIPE, inputs, [member, replace(member, seed=1)], places=[6, 2],
              observers=[kind(every=None, names={6: "fold 7"})])  # fmt: skip


@pytest.mark.parametrize("waiting", [1, 3, 8])
def test_probes_measured_at_once_are_those_measured_one_by_one(waiting, monkeypatch):
    data, found = Data(), []
    for most in (1, waiting):
        monkeypatch.setattr(flow_monitor, "MOST_WAITING", most)
        calls, monitor = [], FlowMonitor(every=3, warn=False)
        monkeypatch.setattr(
            flow_monitor, "pulled_back_norms", lambda *a, own=calls, **k: own.append(a) or pulled_back_norms(*a, **k)
        )
        train(NET, RECIPE, data.inputs, mixed(data), observers=[monitor])
        found.append(([monitor.records(place) for place in range(5)], len(calls)))
    (one_by_one, many), (at_once, few) = found
    assert (many > few) == (waiting > 1)
    for place in range(5):
        assert all(same(*pair) for pair in zip(one_by_one[place], at_once[place], strict=True))


def test_a_member_that_fails_has_its_gradients_told_of_before_training_ends():
    inputs, member = long_series(init="he_normal")
    blown = replace(member, shift=np.full(CHANNELS, 1e150), lr=1e300)
    told: list[bool] = []

    class Last(Observer):
        def on_epoch(self, state: GroupState) -> None:
            (own,) = state.members
            assert own.result is not None
            assert own.result.failure is not None
            told.append(any(one.category is FlowWarning for one in caught))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(replace(LINEAR, num_layers=2), RECIPE, inputs, [blown], observers=[FlowMonitor(), Last()])
    assert told == [True]


@pytest.mark.parametrize("kind", [FlowMonitor, EveryStepFlowMonitor])
def test_series_of_unequal_lengths_are_measured_as_far_back_as_the_longest_goes(kind):
    data, member = Data(), Data().member(seed=0, max_epochs=6)
    longest = data.inputs.lengths[member.train.rows].max()
    ends, monitor = FlowMonitor(every=None, warn=False), kind(warn=False)
    train(NET, RECIPE, data.inputs, [member], observers=[ends, monitor])
    records = [*ends.records(0), *monitor.records(0)]
    assert {record.lags[-1] for record in records} == {longest - 1}
    assert all(np.isfinite(record.log_norms).all() for record in records if record.kind != "step")


def test_a_series_much_longer_than_the_others_is_left_to_the_end():
    lengths = np.array([20] * 40 + [400])
    values = np.random.default_rng(0).normal(size=(lengths.sum() + 1, CHANNELS))
    values[-1] = np.nan
    inputs = Inputs(torch.from_numpy(values), lengths.cumsum() - lengths, lengths)
    sample = Sample(np.arange(41), np.arange(41) % 4, np.ones(41))
    member = replace(Data().member(seed=0, max_epochs=5, lr=1e-4), train=sample)
    monitor = FlowMonitor(warn=False)
    train(NET, RECIPE, inputs, [member], observers=[monitor])
    *probes, kept = monitor.records(0)
    assert probes
    for record in probes:  # 8 times the mean length is 234
        assert np.isnan(record.log_norms[0, record.lags >= 20]).all()
    assert np.isfinite(kept.log_norms).all()
    assert kept.lags[-1] == 399


def test_a_network_of_the_users_own_has_no_states_to_look_at():
    from throughtime.nn import FactoryNetwork

    class Last(torch.nn.Module):
        def __init__(self, channels: int, outputs: int) -> None:
            super().__init__()
            self.readout = torch.nn.Linear(channels, outputs, dtype=torch.float64)

        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            return self.readout(x[:, 0])

    inputs, member = long_series()
    net = FactoryNetwork(Last, CHANNELS, 4, "last")
    for monitor in (FlowMonitor(), EveryStepFlowMonitor()):
        with pytest.raises(ParameterError, match="needs the built-in network, got a module of your own"):
            train(net, RECIPE, inputs, [member], observers=[monitor])
