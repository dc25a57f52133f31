"""Observers: called in order, with what they need, and never noticed by what they watch."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from test_lockstep import NET, RECIPE, Data, N, overfitting, same_bits

from throughtime.training import GroupState, Member, Observer, StepRecord, lockstep, train
from throughtime.training.batches import epoch_order

NETS = [NET, replace(NET, num_layers=2)]
IDS = ["whole steps", "autograd"]


class Listener(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[StepRecord | int] = []

    def on_step(self, record: StepRecord) -> None:
        self.heard.append(record)

    def on_epoch(self, state: GroupState) -> None:
        self.heard.append(state.epoch)

    @property
    def records(self) -> list[StepRecord]:
        return [one for one in self.heard if isinstance(one, StepRecord)]


def company(data: Data) -> list[Member]:
    return [
        data.member(seed=1, max_epochs=2, clip_norm=0.3),
        data.member(np.arange(7, 20), seed=2, max_epochs=4),
        overfitting(data, seed=3, max_epochs=3),
    ]


@pytest.mark.parametrize("net", NETS, ids=IDS)
def test_steps_are_heard_in_order_and_each_epoch_after_its_steps(net):
    data, listener = Data(), Listener()
    train(net, RECIPE, data.inputs, company(data), observers=[listener])
    heard = [one if isinstance(one, int) else (one.epoch, one.step) for one in listener.heard]
    # 41, 13 and 8 series in batches of 16; the first has the most, for two epochs
    assert heard == [(0, 0), (0, 1), (0, 2), 1, (1, 0), (1, 1), (1, 2), 2, (2, 0), 3, (3, 0), 4]


@pytest.mark.parametrize("net", NETS, ids=IDS)
def test_a_record_says_which_series_each_member_saw_and_how_large_its_gradient_was(net):
    data, listener = Data(), Listener()
    members = company(data)
    results = train(net, RECIPE, data.inputs, members, observers=[listener])
    for epoch in range(4):
        records = [record for record in listener.records if record.epoch == epoch]
        places = [m for m, result in enumerate(results) if len(result.history) > epoch]
        orders = epoch_order([members[m] for m in places], epoch)
        for m, (place, order) in enumerate(zip(places, orders, strict=True)):
            assert {record.members for record in records} == {tuple(places)}
            taken = [record for record in records if record.active[m]]
            sample = members[place].train.rows
            series = np.concatenate([record.series[m].numpy() for record in taken])
            np.testing.assert_array_equal(series[series >= 0], sample[order[order >= 0]])
            lengths = np.concatenate([record.lengths[m].numpy() for record in taken])
            np.testing.assert_array_equal(lengths, np.where(series < 0, 1, data.inputs.lengths[series]))
            norms = torch.stack([record.gradient_norms[m] for record in taken])
            # float64, three numbers
            assert norms.mean().item() == pytest.approx(results[place].history[epoch].gradient_norm, rel=1e-14)
            clipped = (norms > members[place].clip_norm).double().mean().item()
            assert clipped == pytest.approx(results[place].history[epoch].clipped, rel=1e-14)


@pytest.mark.parametrize("net", NETS, ids=IDS)
@pytest.mark.usefixtures("either_path")
def test_watching_changes_no_bit(net):
    data = Data()
    plain = train(net, RECIPE, data.inputs, company(data))
    watched = train(net, RECIPE, data.inputs, company(data), observers=[Listener(), Observer()])
    assert all(same_bits(one, other) for one, other in zip(plain, watched, strict=True))


class Needs(Listener):
    needs: ClassVar = frozenset({"tensor_gradient_norms"})


class Idle(Observer):
    needs: ClassVar = frozenset({"state_gradient_norms"})


@pytest.mark.parametrize(
    ("observers", "needs", "heard"),
    [
        ([], set(), False),
        ([Observer(), Idle()], set(), False),
        ([Listener()], set(), True),
        ([Listener(), Needs(), Idle()], {"tensor_gradient_norms"}, True),
    ],
)
def test_only_what_somebody_hears_of_is_asked_for(observers, needs, heard, monkeypatch):
    asked = []
    run_pass = lockstep.run_pass

    def noted(*arguments):
        watch = arguments[-1]
        asked.append((watch.needs, bool(watch.listening)))
        return run_pass(*arguments)

    monkeypatch.setattr(lockstep, "run_pass", noted)
    data = Data()
    train(NET, RECIPE, data.inputs, [data.member(max_epochs=1)], observers=observers)
    assert asked == [(needs, heard)]


def test_a_state_that_nobody_writes_down_costs_no_digest(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(lockstep, "digests_of", refuse)
    data = Data()
    train(NET, RECIPE, data.inputs, company(data), observers=[Listener()])


def test_observers_know_members_by_the_places_the_caller_gives_them():
    data, listener = Data(), Listener()
    states = []

    class Places(Observer):
        def on_epoch(self, state: GroupState) -> None:
            states.append([member.place for member in state.members])

    members = company(data)
    train(NET, RECIPE, data.inputs, members, observers=[listener, Places()], places=[7, 3, 11])
    assert [record.members for record in listener.records] == [(7, 3, 11)] * 6 + [(3, 11), (3,)]
    assert states == [[7, 3, 11]] * 4


def test_what_an_observer_raises_ends_the_run():
    class Stops(Observer):
        def on_epoch(self, state: GroupState) -> None:
            if state.epoch == 2:
                raise TimeoutError("enough")

    data, listener = Data(), Listener()
    with pytest.raises(TimeoutError, match="enough"):
        train(NET, RECIPE, data.inputs, [data.member()], observers=[listener, Stops()])
    assert [one for one in listener.heard if isinstance(one, int)] == [1, 2]
    assert len(listener.records) == 2 * -(-N // RECIPE.batch_size)
