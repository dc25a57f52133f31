"""Checkpoints: training that was cut short goes on with the bits, records and warnings of an unbroken run.

A sample by default; ``THROUGHTIME_SOAK=1`` takes fifty times as many.
"""

import hashlib
import os
import random
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext as no_error
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_executor import with_dropout
from test_lockstep import CHANNELS, CLASSES, NET, RECIPE, Data, overfitting

from throughtime.errors import FlowWarning, ParameterError, StorageWarning
from throughtime.nn import Architecture, FactoryNetwork, Net
from throughtime.stability import flow_to_arrays
from throughtime.training import (
    Checkpoints,
    EpochReports,
    EveryStepFlowMonitor,
    FlowMonitor,
    GroupState,
    Job,
    Member,
    Observer,
    Trained,
    as_checkpoints,
    train,
    train_jobs,
)
from throughtime.training import checkpoints as checkpoints_module

SOAK = "THROUGHTIME_SOAK" in os.environ

# Shapes are checked by the other tests of these modules, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")


class Cut(Exception):  # noqa: N818
    """What ends a process, here only a call."""


class CutAfter(Observer):
    """Raises after so many epochs of its own, before they are kept."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def on_epoch(self, _state: GroupState) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cut


class Clock(Observer):
    """A clock that goes on with epochs alone."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def read(self) -> float:
        return self.now

    def on_epoch(self, _state: GroupState) -> None:
        self.now += self.seconds


class Epochs(Observer):
    """Notes the epochs after which it was called, and from which states runs went on."""

    def __init__(self) -> None:
        self.trained: list[int] = []
        self.resumed: list[tuple[int, int]] = []

    def on_resume(self, state: GroupState) -> None:
        self.resumed.append((state.epoch, len(state.running)))

    def on_epoch(self, state: GroupState) -> None:
        self.trained.append(state.epoch)


def sha(results: Sequence[Trained], monitor: FlowMonitor | None = None) -> str:
    """Of weights, histories, failures and records of gradients."""
    total = hashlib.sha256()
    for m, result in enumerate(results):
        for name in sorted(result.weights):
            total.update(name.encode() + result.weights[name].numpy().tobytes())
        total.update(repr((result.history, result.best_epoch, str(result.failure))).encode())
        if monitor is not None:
            for name, array in flow_to_arrays(monitor.records(m)).items():
                total.update(name.encode() + array.tobytes())
    return total.hexdigest()


def members_of(data: Data, early: bool, dropout: float) -> list[Member]:
    """Of several lengths, one that fails and, where asked for, some that stop early."""
    return [
        overfitting(data, seed=1, patience=2 if early else None, lr=0.3, max_epochs=8, dropout=dropout),
        data.member(np.arange(20), seed=2, max_epochs=2),
        overfitting(data, seed=3, patience=5 if early else None, lr=0.2, max_epochs=7, input_noise=0.1),
        data.member(np.arange(9), seed=4, max_epochs=4, lr=np.inf),
    ]


RUNS: dict[str, list[Any]] = {
    "cell": ["rnn", "gru", "lstm", "linear", "peephole_lstm", "factory"],
    "layers": [(1, False), (2, True)],
    "optimizer": ["adam", "adamw", "sgd"],
    "schedule": ["constant", "cosine", "plateau"],
    "bptt": ["full", "full", "checkpointed", "truncated"],
    "dtype": [torch.float32, torch.float64],
    "monitor": [None, FlowMonitor, EveryStepFlowMonitor],
    "early": [True, False],
    "dropout": [0.0, 0.3],
    "seconds": [3.0, 5.0],
}


@pytest.mark.parametrize("seed", range(400 if SOAK else 8))
def test_a_run_cut_anywhere_and_called_again_is_the_unbroken_run(seed, tmp_path):
    drawn = random.Random(seed)
    run = {name: drawn.choice(values) for name, values in RUNS.items()}
    cuts = [drawn.randrange(6) for _ in range(drawn.randint(1, 3))]
    data = Data(run["dtype"])
    layers, both = run["layers"]
    net: Net = Architecture(run["cell"], CHANNELS, 5, layers, both, "last", CLASSES)
    monitor, bptt = run["monitor"], run["bptt"]
    if run["cell"] == "factory":
        net, monitor, bptt = FactoryNetwork(with_dropout, CHANNELS, CLASSES, "last"), None, "full"
    recipe = replace(RECIPE, optimizer=run["optimizer"], lr_schedule=run["schedule"], dtype=run["dtype"], bptt=bptt)
    if bptt == "truncated":
        recipe, net = replace(recipe, k2=3), replace(net, bidirectional=False)
    members = members_of(data, run["early"], run["dropout"])

    def called(*observers: Observer, checkpoints: Checkpoints | None = None) -> str:
        watching = None if monitor is None else monitor(every=3)
        own = [] if watching is None else [watching]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                results = train(
                    net, recipe, data.inputs, members, observers=[*own, *observers], checkpoints=checkpoints
                )
            finally:
                heard.update(str(one.message) for one in caught)
        return sha(results, watching)

    def kept_in(directory: Path, *observers: Observer) -> str:
        clock, checkpoints = Clock(run["seconds"]), Checkpoints(directory)
        checkpoints._clock = clock.read
        return called(clock, *observers, checkpoints=checkpoints)

    heard: set[str] = set()
    unbroken = called()
    expected, heard = heard, set()
    for cut in cuts:
        with suppress(Cut):
            kept_in(tmp_path, CutAfter(cut))
    assert kept_in(tmp_path) == unbroken
    assert heard == expected
    again = Epochs()
    assert kept_in(tmp_path, again) == unbroken
    assert again.trained == []


def run_on(directory: str | Path, *observers: Observer, **others: Any) -> list[Trained]:
    """Train some members, or what others are given, with checkpoints after every epoch."""
    data = Data()
    plain: dict[str, Any] = {"net": NET, "recipe": RECIPE, "inputs": data.inputs, "members": members_of(data, True, 0)}
    plain["checkpoints"] = Checkpoints(directory, every=0)
    return train(**plain | others, observers=observers)


@cache
def whole() -> str:
    """What these have without checkpoints."""
    return sha(train(NET, RECIPE, Data().inputs, members_of(Data(), True, 0)))


def test_every_epoch_that_was_kept_is_spared_and_what_has_ended_is_not_trained_again(tmp_path):
    cut = Epochs()
    with pytest.raises(Cut):
        run_on(tmp_path, cut, CutAfter(3))
    assert cut.trained == [1, 2, 3, 4]
    rest = Epochs()
    assert sha(run_on(tmp_path, rest)) == whole()
    assert rest.resumed == [(3, 2)]
    assert rest.trained == [4, 5, 6, 7, 8][: len(rest.trained)]
    ended = Epochs()
    assert sha(run_on(tmp_path, ended)) == whole()
    assert (ended.trained, ended.resumed) == ([], [(rest.trained[-1], 0)])


def test_the_last_two_are_kept_and_nothing_else(tmp_path):
    class Looks(Observer):
        def on_epoch(self, _state: GroupState) -> None:
            kept.append(sorted(int(path.stem.partition("-")[2]) for path in tmp_path.iterdir()))

    kept: list[list[int]] = []
    run_on(tmp_path, Looks())
    assert kept[:4] == [[], [1], [1, 2], [2, 3]]
    assert all(len(one) == 2 for one in kept[2:])
    assert all(path.suffix == ".checkpoint" for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "every", "cost", "epochs"),
    [
        (2.0, 5.0, 0.0, [2, 4, 6, 7]),  # a third epoch would make it 6
        (1.0, 5.0, 0.0, [5, 7]),
        (9.0, 5.0, 0.0, [1, 2, 3, 4, 5, 6, 7]),
        (5.0, 5.0, 0.0, [1, 2, 3, 4, 5, 6, 7]),
        (2.0, 1e9, 0.0, [7]),  # the end is always kept
        (2.0, float("inf"), 0.0, [7]),
        (2.0, 0.0, 1.0, [1, 2, 3, 4, 5, 6, 7]),  # whatever it costs
        (2.0, 1.0, 0.1, [1, 4, 7]),  # 50 times a tenth of a second
        (2.0, 5.0, 1.0, [2, 7]),
    ],
)
def test_no_more_is_lost_than_was_asked_for_or_fifty_times_what_a_checkpoint_costs(
    seconds, every, cost, epochs, tmp_path
):
    clock = Clock(seconds)
    checkpoints = Checkpoints(tmp_path, every=every)
    checkpoints._clock = clock.read
    written: list[int] = []
    save = checkpoints.save

    def costly(key: str, state: GroupState, memories: Any) -> None:
        save(key, state, memories)
        written.append(state.epoch)
        clock.now += cost

    checkpoints.save = costly  # type: ignore[method-assign]
    data = Data()
    run_on(tmp_path, clock, members=[data.member(max_epochs=7)], checkpoints=checkpoints)
    assert written == epochs


def linear_of(channels: int, outputs: int) -> torch.nn.Module:
    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.readout = torch.nn.Linear(channels, outputs)

        def forward(self, x: torch.Tensor, _lengths: torch.Tensor) -> torch.Tensor:
            return self.readout(x.sum(1))

    return Last()


def test_nothing_else_takes_a_state(tmp_path):
    data = Data()
    members = members_of(data, True, 0)
    run_on(tmp_path)
    values = data.inputs.values.clone()
    values[3, 1] += 1e-12
    for others in (
        {"net": replace(NET, cell="lstm")},
        {"recipe": replace(RECIPE, batch_size=8)},
        {"inputs": replace(data.inputs, values=values)},
        {"members": [replace(members[0], seed=9), *members[1:]]},
        {"members": [*members[:3], replace(members[3], max_epochs=6)]},
        {"members": members[:3]},
        {"members": members[::-1]},
        {"net": FactoryNetwork(with_dropout, CHANNELS, CLASSES, "last")},
        {"net": FactoryNetwork(linear_of, CHANNELS, CLASSES, "last")},
    ):
        found = Epochs()
        results = run_on(tmp_path, found, **others)
        assert (found.resumed, found.trained[0]) == ([], 1)
        alone = {"net": NET, "recipe": RECIPE, "inputs": data.inputs, "members": members} | others
        assert sha(results) == sha(train(**alone))
    assert len(Checkpoints(tmp_path).latest()) == 10


def test_a_monitor_that_is_set_otherwise_does_not_go_on_from_anothers_records(tmp_path):
    for monitors in (
        [FlowMonitor(warn=False)],
        [FlowMonitor(warn=False, every=2)],
        [FlowMonitor([1], warn=False)],
        [EveryStepFlowMonitor(warn=False, every=25)],
        [FlowMonitor(warn=False), FlowMonitor(warn=False)],
        [],
    ):
        members = [Data().member(seed=seed, max_epochs=1) for seed in range(2)]
        for _ in range(1 + bool(monitors)):  # records that it has already are part of how it is set
            found = Epochs()
            run_on(tmp_path, found, *monitors, members=members)
            assert found.resumed == []


def test_members_are_known_again_at_other_places(tmp_path):
    unbroken = FlowMonitor(warn=False, every=3)
    run_on(tmp_path / "whole", unbroken, places=[5, 2, 9, 0])
    with pytest.raises(Cut):
        run_on(tmp_path, FlowMonitor(warn=False, every=3), CutAfter(3), places=[0, 1, 2, 3])
    moved, places = FlowMonitor(warn=False, every=3), Epochs()
    run_on(tmp_path, moved, places, places=[5, 2, 9, 0])
    assert places.resumed == [(3, 2)]
    for place in (5, 2, 9, 0):
        one, other = (flow_to_arrays(monitor.records(place)) for monitor in (unbroken, moved))
        assert one.keys() == other.keys()
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert not moved.records(1)


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_steps_are_counted_on_between_two_probes(cut, tmp_path):
    members = [Data().member(max_epochs=12)]  # of three steps, a probe every seventh
    unbroken, again = (EveryStepFlowMonitor(warn=False) for _ in range(2))
    train(NET, RECIPE, Data().inputs, members, observers=[unbroken])
    with pytest.raises(Cut):
        run_on(tmp_path, EveryStepFlowMonitor(warn=False), CutAfter(cut), members=members)
    run_on(tmp_path, again, members=members)
    one, other = (flow_to_arrays(monitor.records(0)) for monitor in (unbroken, again))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_a_member_is_warned_of_once_though_its_run_was_cut(tmp_path):
    data = Data()
    members = [data.member(seed=seed, max_epochs=4) for seed in range(2)]
    net = replace(NET, cell="rnn")
    heard = []
    for cut in (1, 9):
        with warnings.catch_warnings(record=True) as caught, pytest.raises(Cut) if cut == 1 else no_error():
            warnings.simplefilter("always")
            run_on(tmp_path, FlowMonitor(every=1), CutAfter(cut), net=net, members=members)
        heard += [str(one.message) for one in caught if one.category is FlowWarning]
    assert len(heard) == 1
    assert "member 1, epoch 1" in heard[0]


@pytest.mark.parametrize("cause", [KeyboardInterrupt, SystemExit(143), Cut("now")])
def test_a_stop_keeps_the_epoch_that_it_came_in_and_raises_what_it_was_given(cause, tmp_path):
    class Asks(Observer):
        def on_epoch(self, state: GroupState) -> None:
            if state.epoch == 3:
                checkpoints.request_stop(cause)

    checkpoints, found = Checkpoints(tmp_path), Epochs()
    kind = cause if isinstance(cause, type) else type(cause)
    with pytest.raises(kind) as raised:
        run_on(tmp_path, found, Asks(), checkpoints=checkpoints)
    assert raised.value is cause or raised.type is cause
    assert found.trained == [1, 2, 3]
    with pytest.raises(kind):  # the request stays
        run_on(tmp_path, found, checkpoints=checkpoints)
    rest = Epochs()
    assert sha(run_on(tmp_path, rest)) == whole()
    assert rest.resumed == [(3, 2)]


def test_jobs_in_threads_are_kept_each_on_its_own(tmp_path):
    data = Data()
    jobs = [Job(NET, RECIPE, data.inputs, [data.member(seed=seed, max_epochs=4)]) for seed in range(6)]
    jobs.append(jobs[0])  # the same again
    unbroken = [sha(results) for results in train_jobs(jobs)]
    with ThreadPoolExecutor(3) as pool:
        with pytest.raises(Cut):
            list(train_jobs(jobs, observers=[CutAfter(13)], executor=pool, checkpoints=Checkpoints(tmp_path, every=0)))
        found = Epochs()
        results = train_jobs(jobs, observers=[found], executor=pool, checkpoints=Checkpoints(tmp_path, every=0))
        assert [sha(one) for one in results] == unbroken
    assert found.resumed
    assert len(found.trained) < 7 * 4
    again = Epochs()
    assert [sha(one) for one in train_jobs(jobs, observers=[again], checkpoints=Checkpoints(tmp_path))] == unbroken
    assert again.trained == []


def test_reports_of_runs_count_those_that_have_ended(tmp_path):
    data = Data()
    jobs = [Job(NET, RECIPE, data.inputs, [data.member(seed=seed, max_epochs=2)]) for seed in range(3)]
    list(train_jobs(jobs[:2], checkpoints=Checkpoints(tmp_path)))
    reported: list[Any] = []
    list(train_jobs(jobs, observers=[EpochReports(reported.append, 3)], checkpoints=Checkpoints(tmp_path)))
    assert [(one.run, one.epoch, one.running) for one in reported] == [(1, 2, 0), (2, 2, 0), (3, 1, 1), (3, 2, 0)]


def test_numbers_that_are_not_finite_come_back(tmp_path):
    kept: list[GroupState] = []

    class Keeps(Observer):
        def on_epoch(self, state: GroupState) -> None:
            state.members[0].best_loss = float("inf")
            state.members[0].schedule.best = -float("inf")
            state.members[0].history[-1] = replace(state.members[0].history[-1], train_loss=float("nan"), lr=-0.0)
            kept.append(state.copy())

    run_on(tmp_path, Keeps(), CutAfter(9), members=[Data().member(max_epochs=2)])
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("0" * 8, kept[0])
    state, _ = checkpoints.load("0" * 8) or (None, None)
    assert state is not None
    assert repr(state.members) == repr(kept[0].members)


def test_other_versions_are_told_of_and_gone_on_with(tmp_path, monkeypatch):
    with pytest.raises(Cut):
        run_on(tmp_path, CutAfter(3))
    own = checkpoints_module._versions()
    monkeypatch.setattr(checkpoints_module, "_versions", lambda: own | {"torch": "9.9", "kernels": "portable"})
    text = f"{tmp_path} has checkpoints of torch {own['torch']} (now 9.9), kernels {own['kernels']} (now portable): "
    with pytest.warns(StorageWarning, match="^" + re.escape(text)):
        assert sha(run_on(tmp_path)) == whole()


def test_latest_says_how_far_each_group_stands(tmp_path):
    assert Checkpoints(tmp_path / "absent").latest() == []
    with pytest.raises(Cut):
        run_on(tmp_path, CutAfter(3))
    (facts,) = Checkpoints(tmp_path).latest()
    assert (facts.epoch, facts.members, facts.running) == (3, 4, 2)
    assert facts.versions["torch"] == torch.__version__.partition("+")[0] or facts.versions["torch"]
    (tmp_path / f"{facts.key}-9.checkpoint").write_bytes(b"damaged")
    assert Checkpoints(tmp_path).latest() == [facts]  # and touches nothing
    assert (tmp_path / f"{facts.key}-9.checkpoint").exists()


@pytest.mark.usefixtures("types_unchecked")
def test_what_cannot_be_used_is_refused(tmp_path):
    for other in (3, None, b"x", ["a"], ""):
        with pytest.raises(ParameterError, match=r"^checkpoints need a directory as a path, got "):
            Checkpoints(other)
    for every in (-1, float("nan"), "5", True, None):
        with pytest.raises(ParameterError, match=r"^every needs a number of seconds from 0 up, got "):
            Checkpoints(tmp_path, every=every)
    with pytest.raises(ParameterError, match=r"^key needs 8 to 64 hexadecimal digits, got '\.\./x'"):
        Checkpoints(tmp_path).save("../x", None)
    data = Data()
    kept: list[GroupState] = []

    class Keeps(Observer):
        def on_epoch(self, state: GroupState) -> None:
            kept.append(state.copy())

    members = [data.member(max_epochs=2)]
    train(NET, RECIPE, data.inputs, members, observers=[Keeps()])
    with pytest.raises(ParameterError, match="either a state or checkpoints to go on from, got both"):
        run_on(tmp_path, members=members, state=kept[0])
    for other in (3, True):
        with pytest.raises(ParameterError, match="checkpoints need a directory as a path"):
            as_checkpoints(other)


def test_copies_are_the_same_place(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert deepcopy([checkpoints])[0] is checkpoints
    assert as_checkpoints(checkpoints) is checkpoints
    made = as_checkpoints(tmp_path)
    assert made is not None
    assert made.directory == tmp_path
    assert as_checkpoints(None) is None
