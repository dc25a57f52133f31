"""Truncated BPTT against a plain torch loop that detaches, against full BPTT, and among other members."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_passes import assert_same_results
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.nn import Architecture, initial_weights
from throughtime.training import Inputs, Member, Observer, Perturbation, Purpose, Recipe, Sample, derived_seed, train
from throughtime.training.batches import dropout_masks, epoch_order, noise_masks

TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LENGTHS = np.array([23, 5, 17, 1, 11, 30, 8])
CHANNELS = 3

BY_STEP = Recipe("squared_error", "sgd", "constant", 4, torch.float64, "cpu", bptt="truncated", k1=4, k2=4)
BY_SERIES = replace(BY_STEP, k1=None, k2=6)
NET = Architecture("gru", CHANNELS, 6, 1, False, "steps", 1)


class Data:
    """Ragged series with a target each step, some unobserved, and one per series."""

    def __init__(self, lengths: np.ndarray = LENGTHS, dtype: torch.dtype = torch.float64) -> None:
        rng = np.random.default_rng(0)
        self.lengths = lengths
        values = rng.normal(size=(lengths.sum() + 1, CHANNELS))
        values[-1] = np.nan
        self.inputs = Inputs(torch.from_numpy(values).to(dtype), np.cumsum(lengths) - lengths, lengths)
        self.by_step = [rng.normal(size=n) for n in lengths]
        for steps in self.by_step:
            steps[1:][rng.random(len(steps) - 1) < 0.2] = np.nan
        self.by_series = rng.normal(size=len(lengths))

    def series(self, row: int) -> Tensor:
        start = self.inputs.starts[row]
        return self.inputs.values[start : start + self.lengths[row]]

    def member(self, by_step: bool, rows: np.ndarray | None = None, **changed: object) -> Member:
        rows = np.arange(len(self.lengths)) if rows is None else rows
        targets = np.concatenate([self.by_step[row] for row in rows]) if by_step else self.by_series[rows]
        plain = Member(
            seed=3,
            train=Sample(rows, targets, np.linspace(0.5, 2, len(rows))),
            shift=np.zeros(CHANNELS),
            scale=np.ones(CHANNELS),
            lr=0.1,
            weight_decay=0.0,
            momentum=0.0,
            dropout=0.0,
            clip_norm=np.inf,
            max_epochs=2,
        )
        return replace(plain, **changed)


class PlainLoop:
    """What a person would write with torch alone: one step at a time, states detached by hand."""

    def __init__(self, data: Data, net: Architecture, recipe: Recipe, member: Member) -> None:
        self.data, self.net, self.recipe, self.member = data, net, recipe, member
        self.layers = TORCH[net.cell](net.n_inputs, net.hidden_size, net.num_layers, dtype=recipe.dtype)
        self.readout = nn.Linear(net.hidden_size, 1, dtype=recipe.dtype)
        start = initial_weights(net, member.init, derived_seed(member.seed, Purpose.INITIAL_WEIGHTS), recipe.dtype)
        self.layers.load_state_dict({n.removeprefix("recurrent."): w for n, w in start.items() if "recurrent" in n})
        self.readout.load_state_dict({n.removeprefix("readout."): w for n, w in start.items() if "readout" in n})
        self.named = {"recurrent." + n: w for n, w in self.layers.named_parameters()}
        self.named |= {"readout." + n: w for n, w in self.readout.named_parameters()}
        self.rule = torch.optim.SGD(self.named.values(), lr=member.lr)

    def run(self) -> dict[str, Tensor]:
        for epoch in range(self.member.max_epochs):
            order = epoch_order([self.member], epoch)[0]
            for begin in range(0, len(order), self.recipe.batch_size):
                batch = order[begin : begin + self.recipe.batch_size]
                (self.by_series if self.recipe.k1 is None else self.by_step)(batch)
        return {name: weight.detach() for name, weight in self.named.items()}

    def step(self, x: Tensor, state: object) -> tuple[Tensor, object]:
        y, state = self.layers(x[None, None], state)
        return y[0, 0], state

    def update(self, losses: list[Tensor], weights: list[float]) -> None:
        if weights:
            self.rule.zero_grad()
            (sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)).backward()
            self.rule.step()

    def by_step(self, batch: np.ndarray) -> None:
        k1, k2, sample = self.recipe.k1, self.recipe.k2, self.member.train
        states: list[dict[int, object]] = [{0: None} for _ in batch]
        for first in range(0, max(self.data.lengths[sample.rows[batch]]), k1):
            begin, losses, weights = max(0, first + k1 - k2), [], []
            for own, position in zip(states, batch, strict=True):
                row = sample.rows[position]
                x, targets, state = self.data.series(row), self.data.by_step[row], own.get(begin)
                for t in range(begin, min(first + k1, len(x))):
                    y, state = self.step(x[t], state)
                    own[t + 1] = detached(state)
                    if t >= first and not np.isnan(targets[t]):
                        losses.append((self.readout(y)[0] - targets[t]) ** 2)
                        weights.append(sample.weights[position])
            self.update(losses, weights)

    def by_series(self, batch: np.ndarray) -> None:
        losses, sample = [], self.member.train
        for position in batch:
            row = sample.rows[position]
            x, state, outputs = self.data.series(row), None, []
            for t, values in enumerate(x):
                y, state = self.step(values, state)
                if t < len(x) - self.recipe.k2:
                    y, state = y.detach(), detached(state)
                outputs.append(y)
            every = torch.stack(outputs)
            pooled = {"last": every[-1], "mean": every.mean(0), "max": every.amax(0)}[self.net.pooling]
            losses.append((self.readout(pooled)[0] - self.data.by_series[row]) ** 2)
        self.update(losses, list(sample.weights[batch]))


def detached(state: object) -> object:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def assert_follows_plain_loop(net: Architecture, recipe: Recipe) -> None:
    data = Data()
    member = data.member(recipe.k1 is not None)
    (found,) = train(net, recipe, data.inputs, [member])
    assert found.failure is None
    for name, expected in PlainLoop(data, net, recipe, member).run().items():
        torch.testing.assert_close(found.weights[name], expected, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (4, 4), (3, 7), (5, 6), (1, 4), (2, 29), (30, 30), (40, 55)])
def test_an_update_per_window_is_that_of_a_loop_that_detaches(k1, k2):
    assert_follows_plain_loop(NET, replace(BY_STEP, k1=k1, k2=k2))


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", TORCH)
def test_windows_carry_every_state_of_every_layer(cell, layers):
    assert_follows_plain_loop(replace(NET, cell=cell, num_layers=layers), replace(BY_STEP, k1=3, k2=5))


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", TORCH)
def test_one_loss_per_series_reaches_its_last_steps_alone(cell, pooling, monkeypatch):
    from throughtime.training import truncation

    net = replace(NET, cell=cell, num_layers=2, pooling=pooling)
    assert_follows_plain_loop(net, BY_SERIES)
    monkeypatch.setattr(truncation, "HEAD_STEPS", 8)
    assert_follows_plain_loop(net, BY_SERIES)


NOISE = {"dropout": 0.3, "noise": {"variational_dropout": 0.2, "recurrent_dropout": 0.2, "zoneout": 0.2}}


def test_each_window_draws_anew_what_is_drawn_at_each_step_and_keeps_what_is_the_same_at_all():
    rates = {"variational_dropout": 0.5, "recurrent_dropout": 0.5, "zoneout": 0.5, "candidate_dropout": 0.5}
    members = [Data().member(True, dropout=0.5, noise=rates)]
    place = NET, members, 0, 0, 8, 4, torch.zeros(1)
    ((first,), (second,)) = (dropout_masks(*place, window=window) for window in (0, 1))
    assert not torch.equal(first, second)
    (inputs, (inside,)), (other_inputs, (other,)) = (noise_masks(*place, window=window) for window in (0, 1))
    assert torch.equal(inputs[0], other_inputs[0])
    assert torch.equal(inside.recurrent, other.recurrent)
    assert not torch.equal(inside.zoneout_h, other.zoneout_h)
    assert not torch.equal(inside.candidate, other.candidate)


@pytest.mark.parametrize("pooling", ["steps", "mean"])
def test_however_long_a_series_no_run_takes_more_steps_than_k2_or_a_piece_of_its_head(pooling, monkeypatch):
    from throughtime.training import truncation

    seen: list[tuple[int, bool]] = []
    run = truncation.run_recurrence

    def noted(net, weights, x, *rest, **options):
        seen.append((x.shape[1], torch.is_grad_enabled()))
        return run(net, weights, x, *rest, **options)

    monkeypatch.setattr(truncation, "run_recurrence", noted)
    data, by_step = Data(np.array([3000])), pooling == "steps"
    recipe = replace(BY_STEP, k1=50 if by_step else None, k2=60)
    train(replace(NET, pooling=pooling), recipe, data.inputs, [data.member(by_step, max_epochs=1)])
    assert max(steps for steps, differentiated in seen if differentiated) == 60
    assert max(steps for steps, _ in seen) <= truncation.HEAD_STEPS
    assert sum(differentiated for _, differentiated in seen) == (60 if by_step else 1)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("drawn", [{}, NOISE], ids=["plain", "noisy"])
@pytest.mark.parametrize("pooling", ["steps", "last", "mean", "max"])
def test_a_window_as_long_as_the_series_trains_as_full_bptt_to_the_bit(pooling, drawn):
    data, net = Data(dtype=torch.float32), replace(NET, cell="lstm", num_layers=2, pooling=pooling)
    by_step = pooling == "steps"
    members = [data.member(by_step, seed=seed, **drawn) for seed in range(2)]
    longest = int(LENGTHS.max())
    full = replace(BY_STEP, bptt="full", k1=None, k2=None, dtype=torch.float32, optimizer="adam")
    whole = train(net, full, data.inputs, members)
    for k1, k2 in ((longest, longest), (longest, longest + 9), (longest + 1, 3 * longest)):
        recipe = replace(full, bptt="truncated", k1=k1 if by_step else None, k2=k2)
        assert_same_results(train(net, recipe, data.inputs, members), whole)


@pytest.mark.usefixtures("either_path", "types_unchecked")
@pytest.mark.parametrize(
    ("pooling", "cell", "k1", "k2", "dtype"),
    [
        ("steps", "lstm", 4, 4, torch.float32),
        ("steps", "gru", 3, 7, torch.float64),
        ("steps", "linear", 2, 3, torch.float32),
        ("last", "lstm", None, 6, torch.float64),
        ("mean", "gru", None, 4, torch.float32),
        ("max", "rnn", None, 3, torch.float32),
    ],
)
def test_a_member_trains_the_same_alone_or_beside_longer_series(pooling, cell, k1, k2, dtype, monkeypatch):
    from throughtime.training import truncation

    monkeypatch.setattr(truncation, "HEAD_STEPS", 8)
    data, by_step = Data(dtype=dtype), pooling == "steps"
    rows = ([1, 3, 6], [4, 6, 1, 3, 0], [5, 0], [3])
    some = {"dropout": 0.3, "noise": {"variational_dropout": 0.2, "zoneout": 0.2}}  # masked states train apart
    members = [
        data.member(by_step, np.array(own), seed=seed, max_epochs=1 + seed % 2, **(some if seed in (1, 3) else {}))
        for seed, own in enumerate(rows)
    ]
    net = replace(NET, cell=cell, num_layers=1 + (k2 % 2), pooling=pooling)
    recipe = replace(BY_STEP, dtype=dtype, optimizer="adam", k1=k1, k2=k2, padded_rows=4)
    alone = [train(net, recipe, data.inputs, [member])[0] for member in members]
    assert_same_results(train(net, recipe, data.inputs, members[::-1]), alone[::-1])


@pytest.mark.usefixtures("either_path")
def test_a_state_that_would_overflow_beyond_the_end_of_its_series_reaches_no_gradient(monkeypatch):
    from throughtime.training import lockstep

    start = lockstep.initial_weights

    def growing(*arguments):
        weights = {name: torch.zeros_like(weight) for name, weight in start(*arguments).items()}
        weights["recurrent.weight_ih_l0"] += 1
        weights["recurrent.weight_hh_l0"] += 4 * torch.eye(6)
        return weights

    monkeypatch.setattr(lockstep, "initial_weights", growing)
    data = Data(np.array([2, 20]))
    data.inputs.values[:2], data.by_step[0][:] = 1e306, np.nan
    data.inputs.values[2:-1] = 0  # so that this series stays at zero
    net, recipe = replace(NET, cell="rnn", nonlinearity="relu"), replace(BY_STEP, k1=2, k2=2)
    (found,) = train(net, recipe, data.inputs, [data.member(True, max_epochs=1)])
    assert found.failure is None


def test_a_window_without_an_observed_target_moves_nothing():
    data = Data(np.array([12]))
    data.by_step[0][:8] = np.nan
    member = data.member(True, max_epochs=1, momentum=0.9, weight_decay=0.1)
    noted: list[bool] = []

    class Note(Observer):
        def on_step(self, record):
            noted.append(bool(record.active[0]))

    train(NET, BY_STEP, data.inputs, [member], observers=[Note()])
    assert noted == [False, False, True]


class Deltas(Observer):
    """Keeps every record with the norms at the states."""

    needs = frozenset({"state_gradient_norms", "tensor_gradient_norms"})

    def __init__(self) -> None:
        self.records = []

    def on_step(self, record):
        self.records.append(record)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("pooling", ["steps", "last"])
def test_records_have_the_norms_of_the_steps_that_a_gradient_reaches(pooling):
    data, net, by_step = Data(), replace(NET, pooling=pooling, num_layers=2), pooling == "steps"
    recipe, watch = replace(BY_STEP, k1=3 if by_step else None, k2=5), Deltas()
    watched = train(net, recipe, data.inputs, [data.member(by_step)], observers=[watch])
    assert_same_results(train(net, recipe, data.inputs, [data.member(by_step)]), watched)
    for record in watch.records:
        assert int(record.lengths.max()) <= 5
        for norms in record.state_gradient_norms:
            inside = torch.arange(norms.h.shape[1])[:, None] < record.lengths[:, None]
            assert norms.h.shape[1] <= 5
            assert not norms.h[~inside].any()
            if record.active[0]:
                assert norms.h[inside].any()


def test_a_perturbations_mask_is_refused():
    class Masked(Perturbation):
        key = 0

        def mask(self, _layer, shape, _generator):
            return np.ones(shape)

    data = Data()
    with pytest.raises(ParameterError, match="mask is of whole series and needs another bptt, got 'truncated'"):
        train(NET, BY_STEP, data.inputs, [data.member(True, perturbations=(Masked(),))])
