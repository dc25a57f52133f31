"""Noise on the inputs: its law, each member's own stream, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, NET, RECIPE, Data, N, PlainLoop, same_bits

from throughtime.kernels.native import NativeBackend
from throughtime.training import Member, passes, train
from throughtime.training.batches import epoch_order, input_noise, load_batches
from throughtime.training.group import stack_members

LIKE = torch.zeros(1, dtype=torch.float64)


def noisy(deviation: float, seed: int = 3, **changed: object) -> Member:
    return Data().member(seed=seed, input_noise=deviation, **changed)


def drawn(
    members: list[Member], epoch: int = 0, steps: range = range(1), time: int = 40, rows: int = 30
) -> torch.Tensor:
    own_steps = np.full((len(members), len(steps), rows), time)
    noise = input_noise(members, epoch, steps, own_steps, CHANNELS, LIKE)
    assert noise is not None
    return noise.noise


def test_noise_is_normal_with_the_stated_deviation_and_independent_in_time_series_and_channel():
    (values,) = drawn([noisy(0.3)], time=120, rows=50)[0]
    n = values.numel()
    assert abs(values.mean()) < 4 * 0.3 / n**0.5
    assert abs(values.std() / 0.3 - 1) < 4 / (2 * n) ** 0.5
    kurtosis = ((values / 0.3) ** 4).mean()
    assert abs(kurtosis - 3) < 4 * (96 / n) ** 0.5
    for axis, size in enumerate(values.shape):
        one, other = values.narrow(axis, 0, size - 1), values.narrow(axis, 1, size - 1)
        assert abs((one * other).mean()) < 4 * 0.09 / one.numel() ** 0.5


def test_noise_is_new_at_each_step_and_each_epoch_and_follows_from_the_members_seed():
    each = [
        drawn([noisy(1.0)]), drawn([noisy(1.0)], epoch=1), drawn([noisy(1.0)], steps=range(1, 2)),
        drawn([noisy(1.0, seed=4)]),
    ]  # fmt: skip
    for place, one in enumerate(each):
        assert not any(torch.equal(one, other) for other in each[:place])
    assert torch.equal(drawn([noisy(1.0)]), each[0])
    assert torch.equal(drawn([noisy(0.25)]), 0.25 * each[0])  # one stream, whatever the deviation
    assert torch.equal(drawn([noisy(1.0)], steps=range(2))[:, 1:], each[2])


def test_without_deviation_nothing_is_drawn_and_a_neighbor_has_none():
    assert input_noise([noisy(0.0)], 0, range(1), np.full((1, 1, 3), 4), CHANNELS, LIKE) is None
    noise = input_noise([noisy(0.0), noisy(0.5)], 0, range(1), np.full((2, 1, 3), 4), CHANNELS, LIKE)
    assert noise.of_member.tolist() == [-1, 0]
    assert len(noise.noise) == 1


def test_a_members_noise_has_nothing_of_the_padding_that_others_ask_for():
    member, own_steps = noisy(1.0), np.array([[[5, 2, 0]]])
    (alone,) = input_noise([member], 0, range(1), own_steps, CHANNELS, LIKE).noise
    longer = np.concatenate([own_steps, [[[9, 9, 9]]]])
    company = input_noise([member, noisy(1.0, seed=8)], 0, range(1), longer, CHANNELS, LIKE).noise
    assert torch.equal(company[0, :, :5], alone[:, :5])
    assert not company[0, :, 5:].any()
    assert not company[0, :, :, 2].any()


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("changed", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_noisy_members_have_the_same_bits_alone_among_others_and_either_way(changed, dtype, monkeypatch):
    data, net, recipe = Data(dtype), replace(NET, **changed), replace(RECIPE, dtype=dtype)
    data.inputs.values[5, 1] = torch.nan
    members = [
        data.member(np.arange(n), seed=n, input_noise=own, dropout=dropout, max_epochs=3)
        for n, own, dropout in ((41, 0.3, 0.2), (41, 0.0, 0.0), (17, 0.0, 0.5), (30, 1.0, 0.0), (5, 0.1, 0.0))
    ]
    together = train(net, recipe, data.inputs, members)
    for one, member in zip(together, members, strict=True):
        assert same_bits(one, train(net, recipe, data.inputs, [member])[0])
    monkeypatch.setattr(passes, "CALL_BYTES", 1)  # so that it is drawn for a step at a time
    for one, other in zip(together, train(net, recipe, data.inputs, members), strict=True):
        assert same_bits(one, other)
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    for one, other in zip(together, train(net, recipe, data.inputs, members), strict=True):
        assert same_bits(one, other)


@pytest.mark.usefixtures("either_path")
def test_a_step_is_taken_on_the_series_with_their_noise():
    data = Data()
    recipe = replace(RECIPE, optimizer="sgd", batch_size=N)  # one full batch, no momentum: the loss's gradient
    member = data.member(input_noise=0.5, momentum=0.0, max_epochs=1, lr=1.0)
    (found,) = train(NET, recipe, data.inputs, [member])
    order = epoch_order([member], 0)[0]
    noise = input_noise([member], 0, range(1), data.inputs.lengths[order][None, None], CHANNELS, LIKE).noise[0, 0]
    plain = PlainLoop(data, NET, recipe, member)
    for place, row in enumerate(order):
        series = data.series(row)
        series += noise[: len(series), place]
    loss = plain.losses(np.arange(N)).mean()
    for (name, start), grad in zip(
        plain.named.items(), torch.autograd.grad(loss, list(plain.named.values())), strict=True
    ):
        torch.testing.assert_close(found.weights[name], (start - grad).detach(), rtol=1e-12, atol=1e-14)
    assert found.history[0].train_loss == pytest.approx(loss.item(), rel=1e-12)


def test_losses_that_are_evaluated_have_no_noise():
    data, sample = Data(), Data().sample(np.arange(N))
    member = data.member(lr=1e-300, max_epochs=1, validation=sample, eval=sample, patience=1, input_noise=2.0)
    (record,) = train(NET, RECIPE, data.inputs, [member])[0].history
    wanted = PlainLoop(data, NET, RECIPE, member).losses(np.arange(N)).mean().item()
    assert record.validation_loss == pytest.approx(wanted, rel=1e-12)
    assert record.eval_loss == pytest.approx(wanted, rel=1e-12)
    assert record.train_loss != pytest.approx(wanted, rel=1e-3)


@pytest.mark.usefixtures("either_path")
def test_what_is_missing_its_flags_and_static_columns_have_no_noise():
    data = Data()
    channels = data.inputs.values[:, :1]
    channels[[2, 7]] = torch.nan
    flagged = torch.cat([channels, channels.isnan().double(), torch.rand_like(channels)], 1)
    flagged[-1] = torch.nan
    inputs = replace(data.inputs, values=flagged, static=torch.rand(N, 1, dtype=torch.float64), flagged=True)
    member = data.member(shift=np.zeros(4), scale=np.ones(4), input_noise=1.0)
    group = stack_members(replace(NET, n_inputs=4), RECIPE, inputs, [member])

    def batch(noise):
        given = inputs, group.samples["train"], np.arange(N)[None], N, group.shift, group.scale, torch.float64
        return next(load_batches(*given, lambda _, own_steps: noise(own_steps))).x

    def own(own_steps):
        noise = input_noise([member], 0, range(1), own_steps[:, None], inputs.n_channels, LIKE)
        return noise._replace(noise=noise.noise[:, 0])

    plain, with_noise = batch(lambda _: None), batch(own)
    changed = plain != with_noise
    assert not changed[..., 1:].any()
    inside = torch.arange(plain.shape[1])[:, None] < torch.from_numpy(inputs.lengths)
    assert int(changed[0, ..., 0].sum()) == int(inside.sum()) - 2
    assert not changed[0, ..., 0][~inside].any()
