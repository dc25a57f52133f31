"""The loop itself: one member against a plain torch loop, and members that do not notice each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime.errors import DivergenceError
from throughtime.nn import Architecture, SequenceNetwork, initial_weights, is_bias
from throughtime.training import (
    EpochReports,
    Inputs,
    Member,
    Purpose,
    Recipe,
    Sample,
    Trained,
    derived_seed,
    predict,
    train,
)
from throughtime.training.batches import epoch_order

TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
N, CHANNELS, CLASSES = 41, 3, 4

RECIPE = Recipe("cross_entropy", "adam", "constant", 16, torch.float64, "cpu")
NET = Architecture("gru", CHANNELS, 6, 1, False, "last", CLASSES)


class Data:
    """Ragged series, their classes, and values that follow from them."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        rng = np.random.default_rng(0)
        lengths = rng.integers(2, 9, N)
        self.values = rng.normal(size=(lengths.sum() + 1, CHANNELS))
        self.values[-1] = np.nan
        self.classes = np.arange(N) % CLASSES
        # something to learn, so that the loss falls and a minimum is passed
        self.values[:-1] += np.repeat(self.classes, lengths)[:, None] * np.array([0.6, -0.4, 0.0])
        self.inputs = Inputs(torch.from_numpy(self.values).to(dtype), np.cumsum(lengths) - lengths, lengths)

    def series(self, row: int) -> Tensor:
        start = self.inputs.starts[row]
        return self.inputs.values[start : start + self.inputs.lengths[row]]

    def sample(self, rows: np.ndarray, weights: np.ndarray | None = None) -> Sample:
        return Sample(rows, self.classes[rows], np.ones(len(rows)) if weights is None else weights)

    def member(self, rows: np.ndarray | None = None, **changed: object) -> Member:
        plain = Member(
            seed=3,
            train=self.sample(np.arange(N) if rows is None else rows),
            shift=np.zeros(CHANNELS),
            scale=np.ones(CHANNELS),
            lr=0.01,
            weight_decay=0.0,
            momentum=0.9,
            dropout=0.0,
            clip_norm=np.inf,
            max_epochs=10,
        )
        return replace(plain, **changed)


class PlainLoop:
    """What a person would write with torch alone for one member."""

    def __init__(self, data: Data, net: Architecture, recipe: Recipe, member: Member) -> None:
        self.data, self.net, self.recipe, self.member = data, net, recipe, member
        sizes = (net.n_inputs, net.hidden_size, net.num_layers)
        self.layers = TORCH[net.cell](*sizes, bidirectional=net.bidirectional, dtype=recipe.dtype)
        self.readout = nn.Linear(net.hidden_size * (1 + net.bidirectional), net.n_outputs, dtype=recipe.dtype)
        start = initial_weights(net, member.init, derived_seed(member.seed, Purpose.INITIAL_WEIGHTS), recipe.dtype)
        self.layers.load_state_dict({n.removeprefix("recurrent."): w for n, w in start.items() if "recurrent" in n})
        self.readout.load_state_dict({n.removeprefix("readout."): w for n, w in start.items() if "readout" in n})
        self.named = {"recurrent." + n: w for n, w in self.layers.named_parameters()}
        self.named |= {"readout." + n: w for n, w in self.readout.named_parameters()}

    def outputs(self, rows: np.ndarray) -> Tensor:
        packed = pack_padded_sequence(
            nn.utils.rnn.pad_sequence([self.data.series(row) for row in rows]),
            torch.from_numpy(self.data.inputs.lengths[rows]),
            enforce_sorted=False,
        )
        _, end = self.layers(packed)
        h_n = end[0] if isinstance(end, tuple) else end
        last = h_n[-(1 + self.net.bidirectional) :]
        return self.readout(last.transpose(0, 1).flatten(1))

    def losses(self, rows: np.ndarray) -> Tensor:
        return functional.cross_entropy(self.outputs(rows), torch.from_numpy(self.data.classes[rows]), reduction="none")

    def objective(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """The loss of a batch, and with it lambda/(2n) of the squared weights, biases left out."""
        sample = self.member.train
        weights = torch.from_numpy(sample.weights[positions])
        loss = (self.losses(sample.rows[positions]) * weights).sum() / weights.sum()
        penalty = sum(w.square().sum() for name, w in self.named.items() if not is_bias(name))
        return loss, loss + self.member.weight_decay / (2 * sample.weights.sum()) * penalty

    def run(self) -> list[float]:
        """Each epoch's mean loss while the weights move."""
        rule = {
            "adam": lambda p: torch.optim.Adam(p, lr=self.member.lr),
            "adamw": lambda p: torch.optim.AdamW(p, lr=self.member.lr, weight_decay=0),
            "sgd": lambda p: torch.optim.SGD(p, lr=self.member.lr, momentum=self.member.momentum),
        }[self.recipe.optimizer](self.named.values())
        curve = []
        size = self.recipe.batch_size
        for epoch in range(self.member.max_epochs):
            order = epoch_order([self.member], epoch)[0]
            total = 0.0
            for begin in range(0, len(self.member.train.rows), size):
                batch = order[begin : begin + size]
                batch = batch[batch >= 0]
                loss, objective = self.objective(batch)
                rule.zero_grad()
                objective.backward()
                # clip_grad_norm_, but for the 1e-6 that torch adds to the norm
                norm = nn.utils.get_total_norm(w.grad for w in self.named.values())
                for weight in self.named.values():
                    weight.grad *= min(1.0, self.member.clip_norm / norm.item())
                rule.step()
                total += loss.item() * self.member.train.weights[batch].sum()
            curve.append(total / self.member.train.weights.sum())
        return curve


def curve_of(trained: Trained) -> list[float]:
    return [record.train_loss for record in trained.history]


def same_bits(one: Trained, other: Trained) -> bool:
    return (
        one.history == other.history
        and one.best_epoch == other.best_epoch
        and one.weights.keys() == other.weights.keys()
        and all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    )


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str)
def test_one_member_follows_the_curve_of_a_plain_torch_loop(cell, dtype, tolerance):
    # 50 steps: float32's 1e-7 grows as the weights part, to less than the 1e-4 that the mission allows
    data, net, recipe = Data(dtype), replace(NET, cell=cell), replace(RECIPE, dtype=dtype, batch_size=9)
    member = data.member(clip_norm=1.0)
    plain = PlainLoop(data, net, recipe, member)
    expected = plain.run()
    (found,) = train(net, recipe, data.inputs, [member])
    assert len(expected) * -(-N // 9) == 50
    assert curve_of(found) == pytest.approx(expected, rel=tolerance)
    assert expected[-1] < 0.9 * expected[0]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, True), (2, False)])
def test_stacked_and_two_way_networks_follow_the_plain_loop_under_each_optimizer(optimizer, num_layers, bidirectional):
    data = Data()
    net = replace(NET, num_layers=num_layers, bidirectional=bidirectional)
    recipe = replace(RECIPE, optimizer=optimizer)
    members = [data.member(seed=s, lr=lr, clip_norm=limit) for s, lr, limit in ((1, 0.1, np.inf), (2, 0.01, 0.3))]
    for member, found in zip(members, train(net, recipe, data.inputs, members), strict=True):
        plain = PlainLoop(data, net, recipe, member)
        # float64; thirty steps
        assert curve_of(found) == pytest.approx(plain.run(), rel=1e-9)
        for name, weight in plain.named.items():
            torch.testing.assert_close(found.weights[name], weight.detach(), rtol=1e-7, atol=1e-9)


def test_a_step_descends_the_objective_with_lambda_over_2n_on_weights_and_nothing_on_biases():
    data = Data()
    rows = np.arange(5, 22)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(rows))
    # one full batch and no momentum: the step is the objective's gradient
    recipe = replace(RECIPE, optimizer="sgd", batch_size=N)
    member = data.member(train=data.sample(rows, weights), momentum=0.0, weight_decay=7.0, max_epochs=1, lr=0.5)
    company = data.member(weight_decay=100.0, max_epochs=1)
    _, found = train(NET, recipe, data.inputs, [company, member])
    plain = PlainLoop(data, NET, recipe, member)
    _, objective = plain.objective(np.arange(len(rows)))
    grads = torch.autograd.grad(objective, list(plain.named.values()))
    for (name, start), grad in zip(plain.named.items(), grads, strict=True):
        # float64, sums of 17 terms
        torch.testing.assert_close(found.weights[name], (start - 0.5 * grad).detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_is_autograds_gradient_of_the_stated_objective_step_by_step(optimizer):
    data, recipe = Data(), replace(RECIPE, optimizer=optimizer)
    member = data.member(rows=np.arange(25), weight_decay=3.0, max_epochs=8)
    (found,) = train(NET, recipe, data.inputs, [member])
    # float64; sixteen steps
    assert curve_of(found) == pytest.approx(PlainLoop(data, NET, recipe, member).run(), rel=1e-9)
    without = train(NET, recipe, data.inputs, [replace(member, weight_decay=0.0)])
    assert curve_of(found) != pytest.approx(curve_of(without[0]), rel=1e-4)


def test_adamw_takes_torchs_decoupled_decay_as_it_is_on_weights_alone():
    data, recipe = Data(), replace(RECIPE, optimizer="adamw", batch_size=N)
    plain, decayed = train(
        NET, recipe, data.inputs, [data.member(weight_decay=decay, max_epochs=1, lr=0.1) for decay in (0.0, 0.3)]
    )
    start = initial_weights(NET, "torch", derived_seed(3, Purpose.INITIAL_WEIGHTS), torch.float64)
    for name, weight in plain.weights.items():
        expected = weight if is_bias(name) else weight - 0.1 * 0.3 * start[name]
        torch.testing.assert_close(decayed.weights[name], expected, rtol=1e-12, atol=1e-14)


def test_the_rate_of_each_epoch_is_the_schedules():
    data = Data()
    recipe = replace(RECIPE, lr_schedule="cosine")
    for trained, epochs in zip(
        train(NET, recipe, data.inputs, [data.member(max_epochs=epochs, lr=0.02) for epochs in (2, 5)]),
        (2, 5),
        strict=True,
    ):
        expected = [0.01 * (1 + np.cos(np.pi * epoch / epochs)) for epoch in range(epochs)]
        assert [record.lr for record in trained.history] == pytest.approx(expected, rel=1e-12)


def test_records_hold_the_gradients_norm_before_clipping_and_the_share_of_clipped_steps():
    data, recipe = Data(), replace(RECIPE, batch_size=N)
    limits = (1e-6, np.inf)
    members = [data.member(clip_norm=limit, max_epochs=1) for limit in limits]
    plain = PlainLoop(data, NET, recipe, members[0])
    loss, _ = plain.objective(np.arange(N))
    grads = torch.autograd.grad(loss, list(plain.named.values()))
    norm = torch.cat([grad.flatten() for grad in grads]).norm().item()
    for trained, share in zip(train(NET, recipe, data.inputs, members), (1.0, 0.0), strict=True):
        assert trained.history[0].gradient_norm == pytest.approx(norm, rel=1e-12)
        assert trained.history[0].clipped == share
        assert trained.history[0].train_loss == pytest.approx(loss.item(), rel=1e-12)


def overfitting(data: Data, **changed: object) -> Member:
    """Few series, many epochs: the validation loss turns."""
    validation = data.sample(np.arange(20, N))
    plain = data.member(rows=np.arange(8), lr=0.05, validation=validation, max_epochs=60, patience=4)
    return replace(plain, **changed)


def test_early_stopping_ends_after_its_patience_and_gives_the_best_epochs_weights():
    data = Data()
    (stopped,) = train(NET, RECIPE, data.inputs, [overfitting(data)])
    validation = [record.validation_loss for record in stopped.history]
    assert stopped.best_epoch == int(np.argmin(validation))
    assert len(validation) == stopped.best_epoch + 1 + 4
    assert len(validation) < 60
    # the same member stopped there by hand: at a constant rate nothing else differs
    by_hand = overfitting(data, patience=None, validation=None, max_epochs=stopped.best_epoch + 1)
    (short,) = train(NET, RECIPE, data.inputs, [by_hand])
    for name, weight in short.weights.items():
        assert torch.equal(weight, stopped.weights[name])


def test_the_validation_loss_is_that_of_the_weights_after_the_epoch_without_dropout():
    data = Data()
    member = overfitting(data, dropout=0.4)
    (trained,) = train(NET, RECIPE, data.inputs, [member])
    plain = PlainLoop(data, NET, RECIPE, member)
    for name, weight in plain.named.items():
        weight.data.copy_(trained.weights[name])
    best = trained.history[trained.best_epoch].validation_loss
    assert best == pytest.approx(plain.losses(member.validation.rows).mean().item(), rel=1e-12)


def test_watched_series_are_noted_and_change_nothing():
    data = Data()
    (trained,) = train(NET, RECIPE, data.inputs, [data.member(rows=np.arange(20))])
    evaluated = data.member(rows=np.arange(20), eval=data.sample(np.arange(20, N)))
    (noted,) = train(NET, RECIPE, data.inputs, [evaluated])
    for name, weight in trained.weights.items():
        assert torch.equal(weight, noted.weights[name])
    assert curve_of(trained) == curve_of(noted)
    assert all(record.eval_loss is None for record in trained.history)
    plain = PlainLoop(data, NET, RECIPE, evaluated)
    for name, weight in plain.named.items():
        weight.data.copy_(noted.weights[name])
    expected = plain.losses(evaluated.eval.rows).mean().item()
    assert noted.history[-1].eval_loss == pytest.approx(expected, rel=1e-12)


def test_a_member_that_diverges_fails_alone():
    # outputs of this rate overflow float64's squares
    data = Data()
    net, recipe = replace(NET, n_outputs=1), replace(RECIPE, loss="squared_error", optimizer="sgd")
    values = data.classes.astype(np.float64)
    members = [
        data.member(seed=seed, lr=lr, train=Sample(np.arange(N), values, np.ones(N)))
        for seed, lr in ((1, 0.01), (2, 1e160), (3, 0.02))
    ]
    together = train(net, recipe, data.inputs, members)
    without = train(net, recipe, data.inputs, [members[0], members[2]])
    assert isinstance(together[1].failure, DivergenceError)
    assert "smaller lr (now 1e+160)" in str(together[1].failure)
    assert len(together[1].history) < 10
    for found, expected in zip((together[0], together[2]), without, strict=True):
        assert found.failure is None
        assert same_bits(found, expected)
    (alone,) = train(net, recipe, data.inputs, [members[1]])
    assert str(alone.failure) == str(together[1].failure)


def test_a_member_that_overflows_on_padding_only_is_not_the_worse_for_company():
    # Its weights end the epoch so large that the square of any output overflows: alone nothing more is computed with
    # them, beside a member with more steps an epoch they still see batches of padding.
    data = Data()
    net, recipe = replace(NET, n_outputs=1), replace(RECIPE, loss="squared_error", optimizer="sgd", batch_size=8)
    values = data.classes.astype(np.float64)

    def member(rows: np.ndarray, lr: float, epochs: int) -> Member:
        return data.member(train=Sample(rows, values[rows], np.ones(len(rows))), lr=lr, max_epochs=epochs)

    small, large = member(np.arange(8), 1e160, 1), member(np.arange(N), 0.01, 3)
    (alone,) = train(net, recipe, data.inputs, [small])
    assert alone.failure is None
    assert max(weight.abs().max() for weight in alone.weights.values()) > 1e155
    company, _ = train(net, recipe, data.inputs, [small, large])
    assert company.failure is None
    assert same_bits(alone, company)


def test_members_stop_at_their_own_epoch_with_the_bits_they_have_alone():
    data = Data()
    members = [data.member(seed=seed, max_epochs=epochs) for seed, epochs in ((1, 3), (2, 1), (3, 6))]
    members.append(overfitting(data))
    together = train(NET, RECIPE, data.inputs, members)
    assert [len(trained.history) for trained in together[:3]] == [3, 1, 6]
    for member, found in zip(members, together, strict=True):
        (alone,) = train(NET, RECIPE, data.inputs, [member])
        assert same_bits(alone, found)


def test_dropout_of_one_member_leaves_the_others_alone():
    data = Data()
    net = replace(NET, num_layers=2)
    members = [data.member(dropout=p, max_epochs=3) for p in (0.0, 0.5)]
    together = train(net, RECIPE, data.inputs, members)
    for member, found in zip(members, together, strict=True):
        assert same_bits(train(net, RECIPE, data.inputs, [member])[0], found)
    assert not same_bits(*together)


def test_unobserved_steps_are_left_out_of_the_loss_and_of_n():
    data = Data()
    net = replace(NET, pooling="steps", n_outputs=1)
    recipe = replace(RECIPE, loss="squared_error", optimizer="sgd", batch_size=N)
    rng = np.random.default_rng(1)
    rows = np.array([4, 0, 7, 2])
    lengths = data.inputs.lengths[rows]
    targets = rng.normal(size=lengths.sum())
    targets[rng.random(len(targets)) < 0.4] = np.nan
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    member = data.member(train=Sample(rows, targets, weights), momentum=0.0, weight_decay=5.0, max_epochs=1, lr=0.1)
    (found,) = train(net, recipe, data.inputs, [member])

    module = SequenceNetwork(net, dtype=torch.float64)
    start = initial_weights(net, "torch", derived_seed(3, Purpose.INITIAL_WEIGHTS), torch.float64)
    module.load_state_dict(start, strict=False)
    outputs = torch.cat([module(data.series(row)[None])[0, :, 0] for row in rows])
    seen = torch.from_numpy(~np.isnan(targets))
    each = torch.from_numpy(np.repeat(weights, lengths))[seen]
    loss = (each * (outputs[seen] - torch.from_numpy(targets)[seen]).square()).sum() / each.sum()
    assert found.history[0].train_loss == pytest.approx(loss.item(), rel=1e-12)
    named = dict(module.named_parameters())
    penalty = sum(weight.square().sum() for name, weight in named.items() if not is_bias(name))
    objective = loss + 5.0 / (2 * each.sum()) * penalty
    for name, grad in zip(named, torch.autograd.grad(objective, list(named.values())), strict=True):
        torch.testing.assert_close(found.weights[name], start[name] - 0.1 * grad, rtol=1e-12, atol=1e-14)


def test_each_epoch_is_reported_with_who_still_runs():
    data = Data()
    told = []
    members = [data.member(seed=1, max_epochs=1), overfitting(data, seed=2)]
    results = train(NET, RECIPE, data.inputs, members, observers=[EpochReports(told.append)])
    assert [each.epoch for each in told] == list(range(1, len(results[1].history) + 1))
    assert [each.running for each in told] == [1] * (len(told) - 1) + [0]
    assert {(each.members, each.max_epochs) for each in told} == {(2, 60)}
    first, last = told[0], told[-1]
    assert first.train_loss == pytest.approx(np.mean([trained.history[0].train_loss for trained in results]))
    assert first.validation_loss == results[1].history[0].validation_loss
    assert last.train_loss == results[1].history[-1].train_loss


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "steps"])
def test_predictions_of_all_members_are_their_plain_modules_in_the_order_asked_for(pooling):
    data = Data()
    net = replace(NET, pooling=pooling)
    seeds = (5, 6, 7)
    stacks = [initial_weights(net, "torch", seed, torch.float64) for seed in seeds]
    weights = {name: torch.stack([stack[name] for stack in stacks]) for name in stacks[0]}
    shift, scale = torch.rand(3, CHANNELS, dtype=torch.float64), torch.rand(3, CHANNELS, dtype=torch.float64) + 1
    rows = [np.array([3, 3, 0]), np.arange(N)[::-1], np.zeros(0, dtype=np.int64)]
    found = predict(net, weights, data.inputs, rows, shift, scale)
    assert found[2].shape == (0, CLASSES)
    for m in (0, 1):
        module = SequenceNetwork(net, dtype=torch.float64)
        module.load_state_dict({name: stack[m] for name, stack in weights.items()}, strict=False)
        module.shift.copy_(shift[m])
        module.scale.copy_(scale[m])
        with torch.no_grad():
            outputs = [module(data.series(row)[None])[0].reshape(-1, CLASSES) for row in rows[m]]
        # float64, sums of six terms
        np.testing.assert_allclose(found[m], torch.cat(outputs).numpy(), rtol=1e-12, atol=1e-13)


def test_nobody_asked_for_a_prediction_gets_none():
    data = Data()
    weights = {name: w[None] for name, w in initial_weights(NET, "torch", 0, torch.float64).items()}
    ones = torch.ones(1, CHANNELS, dtype=torch.float64)
    (found,) = predict(NET, weights, data.inputs, [np.zeros(0, dtype=np.int64)], ones, ones)
    assert found.shape == (0, CLASSES)
