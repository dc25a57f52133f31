"""The state of a run: training goes on from it, bit for bit, after any epoch."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, CLASSES, NET, RECIPE, Data, N, overfitting, same_bits

from throughtime.errors import DataError, DivergenceError, ParameterError
from throughtime.nn import Architecture, FactoryNetwork
from throughtime.training import GroupState, Member, Observer, Perturbation, Recipe, Sample, Trained, schedules, train
from throughtime.training.digests import digest


class Kept(Observer):
    """Keeps the state after every epoch."""

    def __init__(self) -> None:
        self.states: list[GroupState] = []

    def on_epoch(self, state: GroupState) -> None:
        self.states.append(state.copy())


def run(
    net: Architecture, recipe: Recipe, data: Data, members: list[Member], state: GroupState | None = None
) -> tuple[list[Trained], list[GroupState]]:
    kept = Kept()
    return train(net, recipe, data.inputs, members, observers=[kept], state=state), kept.states


def through_a_file(state: GroupState, path) -> GroupState:
    np.savez(path, **state.to_arrays())
    with np.load(path) as arrays:  # which takes no pickles
        return GroupState.from_arrays(arrays)


def same(some: list[Trained], others: list[Trained]) -> bool:
    return all(
        same_bits(one, other) and str(one.failure) == str(other.failure)
        for one, other in zip(some, others, strict=True)
    )


PLATEAU = replace(RECIPE, lr_schedule="plateau")
TWO_LAYERS = replace(NET, num_layers=2)


@pytest.fixture
def hasty(monkeypatch):
    """A plateau that ends soon, so that short runs have reductions of the rate."""
    monkeypatch.setattr(schedules, "PLATEAU_PATIENCE", 1)


def company(data: Data, net: Architecture, pace: float = 1.0) -> list[Member]:
    """Members who end by their patience, by their number of epochs, and with a rate that has been reduced."""
    noisy = {"dropout": 0.3} if net.num_layers > 1 else {}
    return [
        overfitting(data, seed=1, patience=1, lr=0.5 * pace, max_epochs=10, **noisy),
        data.member(np.arange(20), seed=2, max_epochs=2),
        overfitting(data, seed=3, patience=5, lr=0.2 * pace, max_epochs=9),
        data.member(np.arange(9), seed=4, max_epochs=8, lr=0.4 * pace, momentum=0.99),
    ]


@pytest.mark.parametrize("net", [NET, TWO_LAYERS], ids=["whole steps", "autograd"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.usefixtures("hasty")
def test_training_goes_on_from_any_epoch_with_the_bits_it_would_have_had(optimizer, net, tmp_path):
    data, recipe = Data(), replace(PLATEAU, optimizer=optimizer)
    members = company(data, net, pace=5.0 if optimizer == "sgd" else 1.0)
    whole, states = run(net, recipe, data, members)
    ends = [len(trained.history) for trained in whole]
    assert len(set(ends)) > 2
    assert ends[0] < 10
    assert any(member.schedule.reductions for member in states[4].members)
    assert [state.epoch for state in states] == list(range(1, max(ends) + 1))
    for state in states:
        again, later = run(net, recipe, data, members, through_a_file(state, tmp_path / "state.npz"))
        assert same(again, whole)
        assert [one.epoch for one in later] == list(range(state.epoch + 1, max(ends) + 1))
    assert same(train(net, recipe, data.inputs, members, state=states[1]), whole)


@pytest.mark.usefixtures("either_path")
def test_training_goes_on_in_float32_and_on_either_path(tmp_path):
    data, recipe = Data(torch.float32), replace(PLATEAU, dtype=torch.float32)
    members = [replace(one, max_epochs=6) for one in company(data, NET)]
    whole, states = run(NET, recipe, data, members)
    read = through_a_file(states[2], tmp_path / "state.npz")
    assert same(train(NET, recipe, data.inputs, members, state=read), whole)


def test_a_run_cut_short_again_and_again_is_the_run(tmp_path):
    data = Data()
    members = company(data, NET)
    whole, states = run(NET, PLATEAU, data, members)
    state = states[0]
    for _ in range(4):
        _, (following, *_) = run(NET, PLATEAU, data, members, through_a_file(state, tmp_path / "state.npz"))
        state = following
    assert same(train(NET, PLATEAU, data.inputs, members, state=state), whole)


def test_the_failure_of_a_member_survives(tmp_path):
    data = Data()
    net, recipe = replace(NET, n_outputs=1), replace(RECIPE, loss="squared_error", optimizer="sgd")
    targets = Sample(np.arange(N), data.classes.astype(np.float64), np.ones(N))
    members = [data.member(seed=seed, train=targets, lr=lr, max_epochs=4) for seed, lr in ((1, 0.01), (2, 1e160))]
    whole, states = run(net, recipe, data, members)
    assert isinstance(whole[1].failure, DivergenceError)
    assert states[0].members[1].result is not None
    for state in (states[0], through_a_file(states[0], tmp_path / "state.npz"), states[-1]):
        again = train(net, recipe, data.inputs, members, state=state)
        assert isinstance(again[1].failure, DivergenceError)
        assert str(again[1].failure) == str(whole[1].failure)
        # NaN is no number to be equal to
        assert repr(again[1].history) == repr(whole[1].history)
        assert same_bits(again[0], whole[0])


def test_a_finished_state_gives_the_results_and_calls_nobody():
    data = Data()
    members = company(data, NET)
    whole, states = run(NET, PLATEAU, data, members)
    again, later = run(NET, PLATEAU, data, members, states[-1])
    assert states[-1].running == []
    assert same(again, whole)
    assert later == []


def test_arrays_hold_the_state_to_the_bit(tmp_path):
    data = Data()
    _, states = run(NET, PLATEAU, data, company(data, NET))
    for state in states[::5]:
        arrays = state.to_arrays()
        again = through_a_file(state, tmp_path / "state.npz").to_arrays()
        assert arrays.keys() == again.keys()
        assert {name for name, array in arrays.items() if array.dtype == object} == set()
        for name, array in arrays.items():
            assert (array.dtype, array.shape) == (again[name].dtype, again[name].shape)
            assert array.tobytes() == again[name].tobytes(), name


def test_the_loops_own_state_goes_on_and_neither_a_copy_nor_what_was_handed_in_does():
    data = Data()
    handed: list[GroupState] = []

    class Holds(Observer):
        def on_epoch(self, state: GroupState) -> None:
            handed.append(state)

    members = company(data, NET)
    _, states = run(NET, PLATEAU, data, members)
    before = states[1].to_arrays()
    train(NET, PLATEAU, data.inputs, members, observers=[Holds()], state=states[1])
    assert {id(state) for state in handed} == {id(handed[0])}
    assert handed[0].epoch == states[-1].epoch
    assert all(array.tobytes() == before[name].tobytes() for name, array in states[1].to_arrays().items())


def test_weights_of_a_state_are_named_by_its_layout():
    data = Data()
    whole, states = run(NET, RECIPE, data, [data.member(max_epochs=3), data.member(seed=5, max_epochs=2)])
    named = states[1].layout.views(states[1].weights)
    (alone,) = train(NET, RECIPE, data.inputs, [data.member(max_epochs=2)])
    (start,) = train(NET, RECIPE, data.inputs, [data.member(max_epochs=3)], state=None)
    assert states[1].running == [0]
    for name, weight in alone.weights.items():
        assert torch.equal(named[name][0], weight)
        assert torch.equal(start.weights[name], whole[0].weights[name])


class Lasso(Perturbation):
    key = 0

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def penalty(self, weights):
        return self.strength * sum(w.abs().sum() for w in weights.values())


def linear(channels: int, outputs: int, bias: bool = True) -> torch.nn.Module:
    return torch.nn.Linear(channels, outputs, bias)


def test_a_state_of_something_else_is_refused():
    data = Data()
    members = [data.member(seed=seed, max_epochs=3) for seed in (1, 2)]
    _, states = run(NET, RECIPE, data, members)
    state = states[0]

    def refused(message: str, net=NET, recipe=RECIPE, inputs=data.inputs, members=members) -> None:
        with pytest.raises(ParameterError, match=message):
            train(net, recipe, inputs, members, state=state)

    refused("state needs to be of the 3 members to train, got one of 2", members=[*members, members[0]])
    refused("got another network", net=replace(NET, hidden_size=7))
    refused("got another network", net=replace(NET, cell="lstm"))
    refused("got another recipe", recipe=replace(RECIPE, batch_size=8))
    refused("got another recipe", recipe=replace(RECIPE, optimizer="sgd"))
    values = data.inputs.values.clone()
    values[3, 1] += 1e-12
    refused("got another inputs", inputs=replace(data.inputs, values=values))
    for changed in (
        {"seed": 9},
        {"lr": 0.02},
        {"max_epochs": 4},
        {"train": data.sample(np.arange(N)[::-1])},
        {"validation": data.sample(np.arange(3))},
        {"shift": np.full(CHANNELS, 1e-9)},
        {"perturbations": (Lasso(0.1),)},
    ):
        refused("got another member 1", members=[members[0], replace(members[1], **changed)])
    refused("got another member 0", members=members[::-1])


def test_a_state_read_from_arrays_can_be_pickled():
    data = Data()
    members = company(data, NET)
    _, states = run(NET, RECIPE, data, members)
    read = GroupState.from_arrays(states[0].to_arrays())
    again = pickle.loads(pickle.dumps(read))
    assert same(run(NET, RECIPE, data, members, again)[0], run(NET, RECIPE, data, members, read)[0])


@pytest.mark.usefixtures("types_unchecked")
def test_arguments_that_are_none_of_theirs_are_refused():
    data = Data()
    members = [data.member(seed=seed) for seed in (1, 2)]
    with pytest.raises(ParameterError, match=r"^state needs a GroupState, got dict; GroupState\.from_arrays makes"):
        train(NET, RECIPE, data.inputs, members, state={})
    for places in ([], [1], [1, 1]):
        with pytest.raises(ParameterError, match=r"^places needs a number of its own for each of 2 members, got "):
            train(NET, RECIPE, data.inputs, members, places=places)
    assert train(NET, RECIPE, data.inputs, []) == []


def test_equal_parts_have_one_digest_and_others_another():
    def net(factory) -> FactoryNetwork:
        return FactoryNetwork(factory, CHANNELS, CLASSES, "last")

    assert digest(Data().member()) == digest(Data().member())
    assert digest(Data().member(perturbations=(Lasso(0.1),))) == digest(Data().member(perturbations=(Lasso(0.1),)))
    assert digest(net(partial(linear, bias=False))) == digest(net(partial(linear, bias=False)))
    different = [
        Data().inputs,
        replace(Data().inputs, static=torch.zeros(N, 1)),
        Data().member(),
        Data().member(noise={"zoneout": 0.1}),
        Data().member(noise={"zoneout": 0.2}),
        Data().member(noise={"cell_zoneout": 0.1}),
        Data().member(perturbations=(Lasso(0.1),)),
        Data().member(perturbations=(Lasso(0.2),)),
        net(linear),
        net(torch.nn.Linear),
        net(partial(linear, bias=False)),
        net(partial(linear, bias=True)),
        np.zeros(2),
        np.zeros((2, 1)),
        np.zeros(2, dtype=np.float32),
        np.zeros(1, dtype=np.complex128),
    ]
    assert len({digest(part) for part in different}) == len(different)


def test_arrays_of_something_else_are_refused():
    data = Data()
    _, states = run(NET, RECIPE, data, [data.member(max_epochs=2), data.member(seed=1, max_epochs=1)])
    arrays = states[0].to_arrays()
    for damaged in (
        {},
        arrays | {"json": np.frombuffer(b"{}", dtype=np.uint8)},
        arrays | {"json": np.frombuffer(b"\xff", dtype=np.uint8)},
        arrays | {"json": np.array("text")},
        arrays | {"weights": arrays["weights"][:0]},
        arrays | {"weights": arrays["weights"][:, 1:]},
        arrays | {"optimizer_exp_avg": arrays["optimizer_exp_avg"][:0]},
        arrays | {"finished_weights": arrays["finished_weights"][:0]},
        arrays
        | {"json": np.frombuffer(arrays["json"].tobytes().replace(b'"format": 1', b'"format": 2'), dtype=np.uint8)},
    ):
        with pytest.raises(DataError, match=r"a state needs the arrays of GroupState\.to_arrays, got others"):
            GroupState.from_arrays(damaged)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_state_whose_moments_are_not_whole_is_refused(optimizer):
    data = Data()
    members, recipe = [data.member(seed=1, max_epochs=3)], replace(RECIPE, optimizer=optimizer)
    _, states = run(NET, recipe, data, members)
    whole = states[0].to_arrays()
    names = [name for name in whole if name.startswith("optimizer_")]
    for name in names:
        short = {other: value for other, value in whole.items() if other != name}
        wide = whole | {name: whole[name].repeat(2, -1)} if whole[name].ndim > 1 else short
        cast = whole | {name: whole[name].astype("f2")}
        for broken in (short, wide, cast):
            with pytest.raises(ParameterError, match=f"state needs {name.removeprefix('optimizer_')} as {optimizer}"):
                train(NET, recipe, data.inputs, members, state=GroupState.from_arrays(broken))
