"""Batches of every member: the series' own values, targets, weights and random draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from throughtime.kernels import NO_NOISE
from throughtime.nn import Architecture
from throughtime.training import Inputs, Member, Sample
from throughtime.training.batches import (
    dropout_masks,
    epoch_order,
    expected_noise,
    load_batches,
    noise_masks,
    padded_places,
)
from throughtime.training.members import Batch, Samples, stack_samples, training_size

LENGTHS = np.array([4, 1, 7, 3, 5, 2])
STARTS = np.cumsum(LENGTHS) - LENGTHS
#: shift and scale that change nothing
PLAIN = torch.tensor([0.0, 1.0], dtype=torch.float64).view(2, 1, 1).expand(2, 2, 2).contiguous()
ROWS = [np.array([5, 0, 2]), np.array([1, 2, 3, 4])]


def inputs(static: bool = False) -> Inputs:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(LENGTHS.sum() + 1, 2))
    values[3, 1] = np.nan
    values[-1] = np.nan
    columns = torch.from_numpy(rng.normal(size=(len(LENGTHS), 3))) if static else None
    return Inputs(torch.from_numpy(values), STARTS, LENGTHS, columns)


def one_batch(given: Inputs, samples: Samples, positions: np.ndarray, *scaling: torch.Tensor) -> Batch:
    (batch,) = load_batches(given, samples, positions, positions.shape[1], *scaling)
    return batch


def member(n: int, seed: int = 0, dropout: float = 0.0) -> Member:
    sample = Sample(np.arange(n), np.zeros(n), np.ones(n))
    return Member(seed, sample, np.zeros(2), np.ones(2), 0.1, 0.0, 0.0, dropout, np.inf, 1)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("static", [False, True])
def test_a_batch_holds_each_members_own_series_standardized_its_own_way(static):
    given = inputs(static)
    channels = 5 if static else 2
    samples = stack_samples([Sample(rows, np.zeros(len(rows)), np.ones(len(rows))) for rows in ROWS], given, False)
    positions = np.array([[2, 0, -1], [3, 1, 0]])
    shift = torch.arange(2.0 * channels, dtype=torch.float64).view(2, channels)
    scale = shift + 1
    batch = one_batch(given, samples, positions, shift, scale)
    assert batch.x.shape == (2, 7, 3, channels)
    for m, at in np.ndindex(2, 3):
        if positions[m, at] < 0:
            assert not batch.inside[m, :, at].any()
            continue
        row = ROWS[m][positions[m, at]]
        length = LENGTHS[row]
        own = given.values[STARTS[row] : STARTS[row] + length]
        if static:
            own = torch.cat([own, given.static[row].expand(length, -1)], 1)
        assert torch.equal(batch.x[m, :length, at], ((own - shift[m]) / scale[m]).nan_to_num(0))
        assert not batch.x[m, length:, at].any()
        assert batch.lengths[m, at] == length
        assert batch.inside[m, :, at].tolist() == [True] * length + [False] * (7 - length)


def test_targets_and_weights_are_each_series_own_and_padding_weighs_nothing():
    given = inputs()
    own = [Sample(ROWS[0], np.array([7.0, np.nan, 9.0]), np.array([1.0, 2.0, 3.0]))]
    own.append(Sample(ROWS[1], np.arange(4.0), np.full(4, 0.5)))
    samples = stack_samples(own, given, False)
    batch = one_batch(given, samples, np.array([[2, 1, -1], [0, 3, 2]]), *PLAIN[:, :2])
    targets, weights = batch.targets, batch.weights
    assert targets.tolist() == [[9, 0, 7], [0, 3, 2]]
    assert weights.tolist() == [[3, 0, 0], [0.5, 0.5, 0.5]]
    assert [training_size(sample, given) for sample in own] == [4.0, 2.0]


def test_a_class_below_zero_is_not_observed():
    given = inputs()
    sample = Sample(ROWS[0], np.array([1, -1, 0]), np.array([1.0, 2.0, 4.0]))
    samples = stack_samples([sample], given, False)
    batch = one_batch(given, samples, np.array([[0, 1, 2]]), *PLAIN[:, :1])
    assert batch.weights.tolist() == [[1, 0, 4]]
    assert training_size(sample, given) == 5.0


def test_targets_each_step_follow_their_series_and_weigh_as_it_does():
    given = inputs()
    steps = [np.concatenate([np.arange(LENGTHS[row]) + 10.0 * row for row in rows]) for rows in ROWS]
    steps[1][2] = np.nan  # of series 2, step 1
    own = [Sample(rows, y, np.arange(1.0, len(rows) + 1)) for rows, y in zip(ROWS, steps, strict=True)]
    samples = stack_samples(own, given, True)
    positions = np.array([[1, -1, 0], [1, 0, 3]])
    batch = one_batch(given, samples, positions, *PLAIN[:, :2])
    targets, weights = batch.targets, batch.weights
    for m, at in np.ndindex(2, 3):
        if positions[m, at] < 0:
            assert not weights[m, :, at].any()
            continue
        row, weight = ROWS[m][positions[m, at]], positions[m, at] + 1.0
        for step in range(len(targets[m])):
            unobserved = step >= LENGTHS[row] or (m, row, step) == (1, 2, 1)
            assert weights[m, step, at] == (0 if unobserved else weight)
            assert unobserved or targets[m, step, at] == 10 * row + step
    assert training_size(own[0], given) == 1 * 2 + 2 * 4 + 3 * 7
    assert training_size(own[1], given) == 1 * 1 + 2 * 6 + 3 * 3 + 4 * 5


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("by_step", [False, True])
def test_the_batches_of_an_epoch_are_those_of_each_step_by_itself(by_step):
    given = inputs(static=True)
    targets = [np.arange(LENGTHS[rows].sum() if by_step else len(rows), dtype=float) for rows in ROWS]
    own = [Sample(rows, y, np.arange(1.0, len(rows) + 1)) for rows, y in zip(ROWS, targets, strict=True)]
    samples = stack_samples(own, given, by_step)
    order = np.array([[2, 0, 1, -1], [3, 1, 0, 2]])
    scaling = torch.zeros(2, 5, dtype=torch.float64), torch.ones(2, 5, dtype=torch.float64)
    for positions in (order, padded_places(order, 3, 3)):
        batches = list(load_batches(given, samples, positions, 3, *scaling))
        assert len(batches) == 2
        for step, batch in enumerate(batches):
            alone = one_batch(given, samples, positions[:, 3 * step : 3 * step + 3], *scaling)
            for name, part in vars(batch).items():
                assert np.array_equal(part, getattr(alone, name)), name


def test_an_epochs_steps_are_filled_up_to_their_rows():
    order = np.array([[4, 0, 2, 1, 3], [1, 0, -1, -1, -1]])
    assert padded_places(order, 3, 3).tolist() == [[4, 0, 2, 1, 3, -1], [1, 0, -1, -1, -1, -1]]
    assert padded_places(order[1:, :2], 8, 2).tolist() == [[1, 0]]
    assert padded_places(order[1:, :2], 10**12, 2).tolist() == [[1, 0]]  # without memory for so many
    assert padded_places(order[1:, :2], 10**12, 3).tolist() == [[1, 0, -1]]


def test_every_epoch_visits_each_series_once_in_an_order_of_the_members_own():
    members = [member(11, seed=1), member(5, seed=2), member(5, seed=1)]
    order = epoch_order(members, 0)
    assert order.shape == (3, 11)
    for row, size in zip(order, (11, 5, 5), strict=True):
        assert sorted(row[:size]) == list(range(size))
        assert (row[size:] == -1).all()
    assert np.array_equal(order[1, :5], epoch_order(members[1:2], 0)[0])  # alone or in company
    assert not np.array_equal(order[1, :5], order[2, :5])  # another seed
    assert not np.array_equal(order, epoch_order(members, 1))  # another epoch


NET = Architecture("gru", 2, 50, 2, True, "last", 1)
LIKE = torch.zeros(1, dtype=torch.float64)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_silences_the_stated_share_and_scales_the_survivors(p):
    between, last = dropout_masks(NET, [member(3, dropout=p)], 0, 0, 12, 8, LIKE)
    assert between.shape == (1, 12, 8, 100)
    assert last.shape == (1, 8, 100)
    for mask in (between, last):
        assert set(mask.unique().tolist()) == {0.0, 1 / (1 - p)}
        share = (mask == 0).double().mean().item()
        assert abs(share - p) < 4 * (p * (1 - p) / mask.numel()) ** 0.5
    # units, series and steps are silenced each on its own
    for axis in (1, 2, 3):
        assert (between.std(axis) > 0).double().mean() > 0.5
    by_step = dropout_masks(Architecture("gru", 2, 50, 1, False, "steps", 1), [member(3, dropout=p)], 0, 0, 12, 8, LIKE)
    assert by_step[0].shape == (1, 12, 8, 50)


def test_a_members_masks_are_its_own_in_any_company_and_time_and_new_at_each_step():
    one, other = member(3, seed=4, dropout=0.5), member(3, seed=5, dropout=0.3)
    alone = dropout_masks(NET, [one], 2, 1, 6, 8, LIKE)
    company = dropout_masks(NET, [other, member(3, seed=6), one], 2, 1, 6, 8, LIKE)
    for mine, theirs in zip(alone, company, strict=True):
        assert torch.equal(mine[0], theirs[2])
        assert not torch.equal(theirs[0] == 0, theirs[2] == 0)
        assert (theirs[1] == 1).all()  # a member without dropout is multiplied by one
    longer = dropout_masks(NET, [one], 2, 1, 9, 8, LIKE)
    assert torch.equal(alone[0], longer[0][:, :6])
    assert torch.equal(alone[1], longer[1])
    for epoch, step in ((3, 1), (2, 2), (1, 2)):
        assert not torch.equal(alone[0], dropout_masks(NET, [one], epoch, step, 6, 8, LIKE)[0])
    assert not torch.equal(alone[0][0, 0], alone[1][0])  # nor are two layers' masks the same


def test_without_dropout_no_masks_are_drawn():
    assert dropout_masks(NET, [member(3), member(3)], 0, 0, 6, 8, LIKE) == []


RATES = {
    "variational_dropout": 0.1,
    "recurrent_dropout": 0.5,
    "candidate_dropout": 0.3,
    "zoneout": 0.2,
    "cell_zoneout": 0.7,
}
DEEP = Architecture("lstm", 40, 50, 2, True, "last", 1)


def noisy(seed: int, **rates: float) -> Member:
    return replace(member(3, seed=seed), noise=rates)


def test_each_noise_has_the_stated_share_and_one_mask_through_time_where_its_paper_says():
    same, inside = noise_masks(DEEP, [noisy(1, **RATES)], 0, 0, 12, 8, LIKE)
    assert [mask.shape for mask in same] == [(1, 1, 8, 40), (1, 1, 8, 100)]
    assert len(inside) == 4
    for own in inside:
        assert [mask.shape for mask in own] == [(1, 8, 50), *[(1, 12, 8, 50)] * 3]
    by_kind = {
        "variational_dropout": same,
        **dict(zip(list(RATES)[1:], zip(*inside, strict=True), strict=True)),
    }
    every = [mask.flatten() for masks in by_kind.values() for mask in masks]
    for name, masks in by_kind.items():
        rate, whole = RATES[name], torch.cat([mask.flatten() for mask in masks])
        on, off = (1.0, 0.0) if "zoneout" in name else (0.0, 1 / (1 - rate))
        assert set(whole.unique().tolist()) == {on, off}
        share = (whole == on).double().mean().item()
        assert abs(share - rate) < 4 * (rate * (1 - rate) / len(whole)) ** 0.5
    # no two draws are of the same stream: at the same rate they would be the same mask
    same, inside = noise_masks(DEEP, [noisy(1, **dict.fromkeys(RATES, 0.5))], 0, 0, 1, 8, LIKE)
    every = [*same, *(own.recurrent for own in inside), *(own.candidate for own in inside)]
    every += [1 - own.zoneout_h for own in inside] + [1 - own.zoneout_c for own in inside]
    assert len({tuple(mask.flatten()[:320].gt(0).tolist()) for mask in every}) == 2 + 4 * 4


def test_a_members_noise_is_its_own_in_any_company_and_time_and_new_at_each_step():
    one, other = noisy(4, **RATES), noisy(5, zoneout=0.4)

    def drawn(members: list[Member], epoch: int, step: int, time: int) -> list[torch.Tensor]:
        same, inside = noise_masks(DEEP, members, epoch, step, time, 8, LIKE)
        return [*same, *(mask for own in inside for mask in own)]

    alone, longer = drawn([one], 2, 1, 6), drawn([one], 2, 1, 9)
    company, others = drawn([other, member(3), one], 2, 1, 6), [drawn([one], 3, 1, 6), drawn([one], 2, 2, 6)]
    for place, mask in enumerate(alone):
        assert torch.equal(mask[0], company[place][2])
        silent = 0.0 if set(mask.unique().tolist()) == {0.0, 1.0} else 1.0
        assert (company[place][1] == silent).all()  # ones where a member is multiplied, zeros where it keeps
        by_step = mask.dim() == 4 and mask.shape[1] > 1
        assert torch.equal(mask, longer[place][:, :6] if by_step else longer[place])
        assert not any(torch.equal(mask, later[place]) for later in others)


def test_without_noise_nothing_is_drawn_and_with_one_kind_nothing_else():
    assert noise_masks(DEEP, [member(3), member(3, dropout=0.5)], 0, 0, 6, 8, LIKE) == ([], [])
    same, inside = noise_masks(DEEP, [noisy(1, zoneout=0.5)], 0, 0, 6, 8, LIKE)
    assert same == []
    assert all(own._replace(zoneout_h=None) == NO_NOISE for own in inside)


def test_outside_training_zoneout_is_each_members_own_rate_and_all_else_silent():
    x = LIKE.new_zeros(3, 6, 8, 40)
    for own in expected_noise(DEEP, [RATES, {}, {"zoneout": 0.4}], x):
        assert own.recurrent is own.candidate is None
        assert torch.equal(own.zoneout_h, LIKE.new_tensor([0.2, 0.0, 0.4]).view(3, 1, 1, 1).expand(3, 6, 8, 50))
        assert torch.equal(own.zoneout_c, LIKE.new_tensor([0.7, 0.0, 0.0]).view(3, 1, 1, 1).expand(3, 6, 8, 50))
    assert expected_noise(DEEP, [{}, {}], x[:2]) == expected_noise(DEEP, (), x) == []
