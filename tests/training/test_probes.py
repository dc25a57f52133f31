"""Probes: members are shown before the steps that are due by their own count, at their end, and never notice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import NET, RECIPE, Data, overfitting
from test_passes import assert_same_results
from torch import Tensor

from throughtime import SequenceRegressor, fit_members
from throughtime.errors import ParameterError
from throughtime.kernels import native_available
from throughtime.kernels.native import NativeBackend
from throughtime.nn import initial_weights
from throughtime.training import GroupState, Member, Observer, Probe, Purpose, StepRecord, derived_seed, train

needs_native = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")


class Looks(Observer):
    """Keeps what it is shown: by member, its probes and a copy of their weights."""

    def __init__(self, every: int | None = 2) -> None:
        self.probe_every = every
        self.seen: list[tuple[int, int, int, bool]] = []
        self.weights: list[dict[str, Tensor]] = []

    def on_probe(self, probe: Probe) -> None:
        for m, place in enumerate(probe.members):
            self.seen.append((place, probe.epochs[m], probe.steps[m], probe.kept))
            self.weights.append({name: weight[m].clone() for name, weight in probe.weights.items()})

    def of(self, place: int) -> list[tuple[tuple[int, int, int, bool], dict[str, Tensor]]]:
        return [one for one in zip(self.seen, self.weights, strict=True) if one[0][0] == place]


def company(data: Data) -> list[Member]:
    """41, 13 and 8 series in batches of 16: 3, 1 and 1 steps an epoch. The second cannot take whole steps."""
    return [
        data.member(seed=1, max_epochs=5),
        data.member(np.arange(7, 20), seed=2, max_epochs=12, noise={"zoneout": 0.1}),
        overfitting(data, seed=3, max_epochs=3),
    ]


def same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.usefixtures("either_path")
def test_a_member_is_probed_every_so_many_of_its_own_steps_and_at_its_end():
    data, looks = Data(), Looks(3)
    results = train(NET, RECIPE, data.inputs, company(data), observers=[looks])
    before = [[one for (_, *one, kept), _ in looks.of(place) if not kept] for place in range(3)]
    # 15 steps: every third is five times. Every second of 12, or there would be four. Each of the third's, three.
    assert before[0] == [[0, 0], [1, 3], [2, 6], [3, 9], [4, 12]]
    assert before[1] == [[epoch, epoch] for epoch in range(0, 12, 2)]
    assert before[2] == [[epoch, epoch] for epoch in range(len(results[2].history))]
    for place, own_steps in enumerate((3, 1, 1)):
        (_, epochs, steps, _), weights = next(one for one in looks.of(place) if one[0][3])
        best = results[place].best_epoch
        assert epochs == (len(results[place].history) if best is None else best + 1)
        assert steps == epochs * own_steps
        assert same_weights(weights, results[place].weights)


@pytest.mark.parametrize("net", [NET, replace(NET, num_layers=2)], ids=["whole steps", "autograd"])
@pytest.mark.parametrize("drawn", [{}, {"dropout": 0.3}], ids=["no noise", "dropout"])
@pytest.mark.usefixtures("either_path")
def test_being_probed_changes_no_bit(net, drawn):
    data = Data()
    members = [replace(member, **drawn) for member in company(data)]
    assert_same_results(
        train(net, RECIPE, data.inputs, members, observers=[Looks(1), Looks(2)]),
        train(net, RECIPE, data.inputs, members),
    )


@pytest.mark.parametrize("net", [NET, replace(NET, num_layers=2)], ids=["whole steps", "autograd"])
def test_a_probe_has_the_weights_between_two_steps(net, monkeypatch):
    data, looks = Data(), Looks(1)
    ends = []

    class Ends(Observer):
        def on_epoch(self, state: GroupState) -> None:
            if state.running:
                ends.append({name: weight[0].clone() for name, weight in state.layout.views(state.weights).items()})

    member = data.member(seed=1, max_epochs=4)
    train(net, RECIPE, data.inputs, [member], observers=[looks, Ends()])
    assert [steps for (_, _, steps, _) in looks.seen] == [*range(12), 12]
    start = initial_weights(net, "torch", derived_seed(member.seed, Purpose.INITIAL_WEIGHTS), RECIPE.dtype)
    assert same_weights(looks.weights[0], start)
    for epoch in range(3):
        assert same_weights(looks.weights[3 * (epoch + 1)], ends[epoch])
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    again = Looks(1)
    train(net, RECIPE, data.inputs, [member], observers=[again])
    assert all(same_weights(one, other) for one, other in zip(looks.weights, again.weights, strict=True))


def test_a_member_has_its_own_probes_alone_or_in_company():
    data, looks = Data(), Looks(3)
    members = company(data)
    train(NET, RECIPE, data.inputs, members, observers=[looks], places=[4, 9, 2])
    for place, member in zip([4, 9, 2], members, strict=True):
        alone = Looks(3)
        train(NET, RECIPE, data.inputs, [member], observers=[alone], places=[place])
        assert alone.seen == [seen for seen, _ in looks.of(place)]
        pairs = zip(alone.weights, looks.of(place), strict=True)
        assert all(same_weights(one, other) for one, (_, other) in pairs)


def test_a_probe_loads_series_as_its_members_see_them():
    data = Data()
    rng = np.random.default_rng(0)
    members = [
        data.member(seed=seed, shift=rng.normal(size=3), scale=rng.random(3) + 0.5, max_epochs=1) for seed in range(2)
    ]
    loaded = []

    class Loads(Observer):
        probe_every = 5

        def on_probe(self, probe: Probe) -> None:
            if not probe.kept:
                loaded.append(probe.load([rows[: 2 + m] for m, rows in enumerate(probe.train_rows)]))

    train(NET, RECIPE, data.inputs, members, observers=[Loads()])
    batch = loaded[0]
    assert batch.positions.tolist() == [[0, 1, -1], [0, 1, 2]]
    assert batch.lengths.tolist() == [[*data.inputs.lengths[:2], 1], [*data.inputs.lengths[:3]]]
    for m, member in enumerate(members):
        for row in range(2 + m):
            series = (data.series(row).numpy() - member.shift) / member.scale
            np.testing.assert_array_equal(batch.x[m, : len(series), row], series)
            assert not batch.x[m, len(series) :, row].any()
    assert not batch.x[0, :, 2].any()


@needs_native
def test_the_kernels_stop_for_probes_alone(monkeypatch):
    calls = []
    take = NativeBackend.train_steps
    monkeypatch.setattr(NativeBackend, "train_steps", lambda self, *given: calls.append(given[7]) or take(self, *given))
    data = Data()
    member = data.member(max_epochs=10)
    train(NET, RECIPE, data.inputs, [member], observers=[Observer(), Looks(None)])
    assert calls == [range(3)] * 10
    calls.clear()
    train(NET, RECIPE, data.inputs, [member], observers=[Looks(5)])
    # steps 0, 5, 10, ... of epochs of three
    assert calls[:5] == [range(3), range(2), range(2, 3), range(3), range(1)]


def test_a_member_that_diverged_has_no_weights_to_show():
    data, looks = Data(), Looks(None)
    members = [data.member(seed=1, max_epochs=2), data.member(seed=2, max_epochs=2, lr=1e308)]
    results = train(NET, replace(RECIPE, optimizer="sgd"), data.inputs, members, observers=[looks])
    assert results[1].failure is not None
    assert looks.seen == [(0, 2, 6, True)]


class Misnamed(Observer):
    needs = frozenset({"gradient_norms"})  # type: ignore[arg-type]

    def on_step(self, record: StepRecord) -> None:
        """Never called."""


class Word(Misnamed):
    needs = "tensor_gradient_norms"  # type: ignore[assignment]


KNOWN = "tensor_gradient_norms, state_gradient_norms"


class Never(Observer):
    probe_every = 0


@pytest.mark.parametrize(
    ("observers", "message"),
    [
        (Observer(), r"observers needs a list of Observer, got <.*Observer object.*>; put it in a list"),
        ([Observer], "observers needs objects, got the class Observer; call it"),
        ([print], "observers needs objects derived from Observer, got <built-in function print>"),
        (
            [Misnamed()],
            "Misnamed.needs needs some of tensor_gradient_norms, state_gradient_norms, got 'gradient_norms'",
        ),
        (
            [Word()],
            "Word.needs needs a set of tensor_gradient_norms, state_gradient_norms, got 'tensor_gradient_norms'",
        ),
        ([Never()], "Never.probe_every needs a whole number of at least 1 or None, got 0"),
        ([Looks(True)], "Looks.probe_every needs a whole number of at least 1 or None, got True"),
        ([Looks(2.0)], "Looks.probe_every needs a whole number of at least 1 or None, got 2.0"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_observer_or_asks_for_what_there_is_not_is_refused(observers, message):
    data = Data()
    with pytest.raises(ParameterError, match=message):
        train(NET, RECIPE, data.inputs, [data.member()], observers=observers)
    estimator = SequenceRegressor(hidden_size=2, max_epochs=1, random_state=0)
    with pytest.raises(ParameterError, match=message):
        fit_members([estimator], np.zeros((4, 3)), np.arange(4.0), observers=observers)
