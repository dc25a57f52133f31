"""What a step's record holds: norms of gradients, whichever way the step is taken, and bits that do not know of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_lockstep import CLASSES, NET, RECIPE, Data
from torch import Tensor
from torch.nn import functional

from throughtime.kernels import NO_NOISE, native_available
from throughtime.kernels.native import NativeBackend
from throughtime.nn import Architecture, initial_weights
from throughtime.nn.recurrence import ending, layer_directions
from throughtime.training import Member, Recipe, Trained, passes, train
from throughtime.training.batches import dropout_masks, epoch_order, noise_masks
from throughtime.training.group import stack_members
from throughtime.training.observers import Observer, StepRecord, Watch
from throughtime.training.optimizers import Optimizer

NEEDS = frozenset({"tensor_gradient_norms", "state_gradient_norms"})
ALL_NOISE = {"variational_dropout": 0.3, "recurrent_dropout": 0.2, "candidate_dropout": 0.25, "zoneout": 0.4}

needs_native = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")


class Listener(Observer):
    def __init__(self, needs: Any = NEEDS) -> None:
        self.needs = needs
        self.records: list[StepRecord] = []

    def on_step(self, record: StepRecord) -> None:
        self.records.append(record)


def records_of(
    net: Architecture, recipe: Recipe, data: Data, members: list[Member], epoch: int = 0, needs: Any = NEEDS
) -> list[StepRecord]:
    """The records of one pass from the initial weights."""
    group = stack_members(net, recipe, data.inputs, members)
    starts = [initial_weights(net, "torch", member.seed, recipe.dtype) for member in members]
    weights = group.layout.flatten([torch.stack([start[name] for start in starts]) for name in group.layout.shapes])
    optimizer = Optimizer(recipe.optimizer, group.decay(), torch.zeros(len(members), dtype=recipe.dtype))
    lr = torch.full((len(members),), 1e-3, dtype=recipe.dtype)
    listener = Listener(needs)
    passes.run_pass(group, weights, optimizer, epoch, lr, Watch((listener,)))
    return listener.records


def step_of(cell: str, gates_x: Tensor, gates_h: Tensor, h: Tensor, c: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """One cell's new h and c, as in torch's documentation."""
    if cell == "rnn":
        return torch.tanh(gates_x + gates_h), c
    if cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = gates_x.chunk(3), gates_h.chunk(3)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) * mask
        return (1 - z) * n + z * h, c
    i, f, g, o = (gates_x + gates_h).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g) * mask
    return torch.sigmoid(o) * torch.tanh(c), c


class SeriesLoop:
    """One series through the layers, step by step; the states keep their gradients."""

    def __init__(self, net: Architecture, weights: dict[str, Tensor], x: Tensor, at: int, drawn: Any) -> None:
        masks, input_masks, noise = drawn
        self.h: list[list[Tensor]] = []
        self.c: list[list[Tensor]] = []
        steps, units = len(x), net.hidden_size
        ones, none = torch.ones(units, dtype=x.dtype), torch.zeros(units, dtype=x.dtype)
        for layer in range(net.num_layers):
            if input_masks:
                x = x * input_masks[layer][0, 0, at]
            outputs, ends = [], []
            for reverse in (False, True)[: 1 + net.bidirectional]:
                names = [f"recurrent.{kind}{ending(layer, reverse)}" for kind in ("weight_ih", "weight_hh")]
                w_ih, w_hh = (weights[name] for name in names)
                b_ih, b_hh = (weights[name.replace("weight", "bias")] for name in names)
                own = noise[len(self.h)] if noise else NO_NOISE
                h, c = none, none
                hs, cs = [none] * steps, [none] * steps
                for t in reversed(range(steps)) if reverse else range(steps):
                    entering = h if own.recurrent is None else h * own.recurrent[0, at]
                    mask = ones if own.candidate is None else own.candidate[0, t, at]
                    new_h, new_c = step_of(net.cell, w_ih @ x[t] + b_ih, w_hh @ entering + b_hh, h, c, mask)
                    cs[t] = new_c
                    h = self.blend(own.zoneout_h, t, at, h, new_h)
                    c = self.blend(own.zoneout_c, t, at, c, new_c)
                    hs[t] = h
                    for state in (h, new_c):
                        if state.requires_grad:
                            state.retain_grad()
                outputs.append(torch.stack(hs))
                ends.append(h)
                self.h.append(hs)
                self.c.append(cs)
            x = torch.cat(outputs, -1)
            if layer < net.num_layers - 1 and masks:
                x = x * masks[layer][0, :steps, at]
        self.steps = x
        self.features = torch.cat(ends) if not masks else torch.cat(ends) * masks[-1][0, at]

    @staticmethod
    def blend(kept: Tensor | None, t: int, at: int, old: Tensor, new: Tensor) -> Tensor:
        return new if kept is None else kept[0, t, at] * old + (1 - kept[0, t, at]) * new


def expected_norms(net: Architecture, data: Data, member: Member) -> tuple[list[list[SeriesLoop]], dict[str, Tensor]]:
    """The first step of one member with all its series in a batch: loops whose states have gradients, and the norms."""
    order = epoch_order([member], 0)[0]
    rows = member.train.rows[order]
    start = initial_weights(net, "torch", member.seed, torch.float64)
    weights = {name: weight.requires_grad_() for name, weight in start.items()}
    time, size, like = int(data.inputs.lengths[rows].max()), RECIPE.batch_size, torch.zeros(1, dtype=torch.float64)
    drawn = 0, 0, time, size, like
    masks = dropout_masks(net, [member], *drawn), *noise_masks(net, [member], *drawn)
    loops, loss = [], torch.zeros((), dtype=torch.float64)
    total = member.train.weights.sum()
    for at, row in enumerate(rows):
        loop = SeriesLoop(net, weights, data.series(row), at, masks)
        outputs = weights["readout.weight"] @ loop.features + weights["readout.bias"]
        target = torch.tensor(int(data.classes[row]))
        loss = loss + functional.cross_entropy(outputs, target) * member.train.weights[order[at]] / total
        loops.append(loop)
    loss.backward()
    return loops, {name: weight.grad.norm() for name, weight in weights.items()}


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize(
    ("changed", "drawn"),
    [
        ({}, {}),
        ({}, {"dropout": 0.4}),
        ({"num_layers": 2}, {"dropout": 0.4}),
        ({"num_layers": 2, "bidirectional": True}, {}),
        ({}, {"noise": ALL_NOISE}),
        ({"num_layers": 2, "bidirectional": True}, {"noise": ALL_NOISE}),
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_norms_are_those_of_a_loop_over_the_steps_of_each_series(cell, changed, drawn):
    data, net = Data(), replace(NET, cell=cell, **changed)
    if "noise" in drawn:
        has = {"rnn": ("candidate_dropout",), "gru": (), "lstm": ()}[cell]
        noise = {name: rate for name, rate in drawn["noise"].items() if name not in has}
        drawn = {"noise": noise | ({"cell_zoneout": 0.3} if cell == "lstm" else {})}
    rows = np.array([3, 30, 11, 7, 22])
    member = data.member(train=data.sample(rows, np.array([1.0, 2.0, 0.5, 0.0, 1.5])), **drawn)
    (record,) = records_of(net, RECIPE, data, [member])
    loops, by_tensor = expected_norms(net, data, member)

    series = [int(row) for row in rows[epoch_order([member], 0)[0]]]
    assert record.series[0, :5].tolist() == series
    assert (record.series[0, 5:] == -1).all()
    assert record.lengths[0, :5].tolist() == data.inputs.lengths[series].tolist()
    assert record.tensor_gradient_norms.keys() == by_tensor.keys()
    for name, norm in by_tensor.items():
        torch.testing.assert_close(record.tensor_gradient_norms[name], norm[None], rtol=1e-10, atol=1e-14)
    whole = torch.stack(list(record.tensor_gradient_norms.values())).square().sum(0).sqrt()
    torch.testing.assert_close(record.gradient_norms, whole)

    places = list(layer_directions(net.num_layers, net.bidirectional))
    assert [(own.layer, own.reverse) for own in record.state_gradient_norms] == places
    for place, own in enumerate(record.state_gradient_norms):
        assert (own.c is None) == (cell != "lstm")
        for name, norms in (("h", own.h), ("c", own.c))[: 1 + (cell == "lstm")]:
            expected = torch.zeros_like(norms)
            for at, loop in enumerate(loops):
                states = getattr(loop, name)[place]
                grads = [torch.zeros(1) if state.grad is None else state.grad for state in states]
                expected[0, : len(states), at] = torch.stack([grad.square().sum() for grad in grads])
            torch.testing.assert_close(norms, expected, rtol=1e-9, atol=1e-25)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("pooling", ["mean", "steps"])
def test_a_state_that_every_step_pools_has_a_gradient_at_every_step(pooling):
    data = Data()
    for cell in ("gru", "linear", "peephole_lstm"):
        net = replace(NET, cell=cell, pooling=pooling)
        sample = data.sample(np.arange(9))
        if pooling == "steps":
            sample = replace(sample, targets=np.arange(data.inputs.lengths[:9].sum()) % CLASSES)
        (record,) = records_of(net, RECIPE, data, [data.member(train=sample)])
        whole = torch.stack(list(record.tensor_gradient_norms.values())).square().sum(0).sqrt()
        torch.testing.assert_close(record.gradient_norms, whole)
        (states,) = record.state_gradient_norms
        inside = torch.arange(states.h.shape[1])[:, None] < record.lengths[0] * (record.series[0] >= 0)
        assert ((states.h[0] > 0) == inside).all()
        assert (states.c is None) == (cell != "peephole_lstm")


def members_of_other_sizes(data: Data) -> list[Member]:
    """So that not all of them take each step."""
    sizes = (41, 17, 33)
    return [data.member(np.arange(n), seed=seed, dropout=0.3 * (seed == 1)) for seed, n in enumerate(sizes)]


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_whole_steps_have_the_records_of_autograd_to_the_bit(cell, dtype, monkeypatch):
    data, net, recipe = Data(dtype), replace(NET, cell=cell), replace(RECIPE, dtype=dtype)
    members = members_of_other_sizes(data)
    monkeypatch.setattr(passes, "CALL_BYTES", 1)  # a step per call
    single = records_of(net, recipe, data, members)
    monkeypatch.undo()
    whole = records_of(net, recipe, data, members)
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    for others in (single, records_of(net, recipe, data, members)):
        assert len(whole) == len(others) == 3
        for one, other in zip(whole, others, strict=True):
            assert_same_record(one, other)


def assert_same_record(one: StepRecord, other: StepRecord) -> None:
    assert (one.epoch, one.step, one.members) == (other.epoch, other.step, other.members)
    active = one.active
    assert torch.equal(active, other.active)
    assert torch.equal(one.series, other.series)
    assert torch.equal(one.lengths, other.lengths)
    assert torch.equal(one.gradient_norms[active], other.gradient_norms[active])
    for name, norms in one.tensor_gradient_norms.items():
        assert norms.dtype == torch.float64
        assert torch.equal(norms[active], other.tensor_gradient_norms[name][active]), name
    for own, others in zip(one.state_gradient_norms, other.state_gradient_norms, strict=True):
        for norms, wanted in ((own.h, others.h), (own.c, others.c)):
            assert (norms is None) == (wanted is None)
            assert norms is None or torch.equal(norms[active], wanted[active])


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("changed", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("drawn", [{}, {"dropout": 0.3}, {"noise": {"zoneout": 0.2}}], ids=str)
def test_watching_changes_no_bit(changed, drawn):
    data, net = Data(torch.float32), replace(NET, cell="lstm", **changed)
    recipe = replace(RECIPE, dtype=torch.float32)
    members = [data.member(np.arange(n), seed=n, max_epochs=2, **drawn) for n in (41, 20)]
    listener = Listener()
    watched = train(net, recipe, data.inputs, members, observers=[listener])
    assert_same_results(watched, train(net, recipe, data.inputs, members))
    assert [(record.epoch, record.step) for record in listener.records] == [(e, s) for e in (0, 1) for s in range(3)]


@pytest.mark.usefixtures("either_path")
def test_a_members_norms_are_the_same_alone_or_in_company():
    data = Data()
    members = [data.member(np.arange(n), seed=n, max_epochs=1, noise={"zoneout": 0.1}) for n in (41, 37, 25)]
    together = records_of(NET, RECIPE, data, members)
    for m, member in enumerate(members):
        for alone, record in zip(records_of(NET, RECIPE, data, [member]), together, strict=False):
            rows = min(alone.series.shape[1], record.series.shape[1])
            time = alone.state_gradient_norms[0].h.shape[1]
            assert torch.equal(alone.series[0, :rows], record.series[m, :rows])
            whole = record.state_gradient_norms[0].h[m]
            assert torch.equal(alone.state_gradient_norms[0].h[0, :, :rows], whole[:time, :rows])
            assert not whole[time:].any()
            for name, norms in alone.tensor_gradient_norms.items():
                assert torch.equal(norms[0], record.tensor_gradient_norms[name][m])


@pytest.mark.usefixtures("either_path")
def test_what_nobody_needs_is_not_there():
    data = Data()
    for needs in (frozenset(), frozenset({"tensor_gradient_norms"}), frozenset({"state_gradient_norms"})):
        record = records_of(NET, RECIPE, data, [data.member(np.arange(9))], needs=needs)[0]
        assert (record.tensor_gradient_norms is not None) == ("tensor_gradient_norms" in needs)
        assert (record.state_gradient_norms is not None) == ("state_gradient_norms" in needs)


def assert_same_results(ones: list[Trained], others: list[Trained]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.history == other.history
        for name, weight in one.weights.items():
            assert torch.equal(weight, other.weights[name]), name
