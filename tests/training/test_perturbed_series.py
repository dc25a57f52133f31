"""What a member's network is fed after its series were changed: the inputs that series of that kind would have."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from throughtime.nn import Architecture
from throughtime.training import Inputs, Member, Perturbation, Recipe, Sample, Series, WindowSlice
from throughtime.training.batches import epoch_order, load_batches
from throughtime.training.group import Group, stack_members
from throughtime.training.members import Batch
from throughtime.training.perturbed_series import perturb_batch

N, CHANNELS, STATIC, SIZE = 23, 2, 1, 8
COLUMNS = 3 * CHANNELS + STATIC
RECIPE = Recipe("squared_error", "adam", "constant", SIZE, torch.float64, "cpu")
NET = Architecture("gru", COLUMNS, 4, 1, False, "last", 1)


def with_flags(x: np.ndarray) -> np.ndarray:
    """A series' channels, what is missing of them, and the steps since each was seen."""
    since = np.zeros(x.shape)
    for channel in range(x.shape[1]):
        count = 0
        for step in range(len(x)):
            count = count + 1 if np.isnan(x[step, channel]) else 0
            since[step, channel] = count
    return np.concatenate([x, np.isnan(x), since], 1)


class Data:
    """Ragged series that miss values, with a static feature, standardized by numbers of their own."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.lengths = rng.integers(1, 12, N)
        self.arrays = [rng.normal(size=(length, CHANNELS)) for length in self.lengths]
        for array in self.arrays:
            array[rng.random(array.shape) < 0.4] = np.nan
        self.static = rng.normal(size=(N, STATIC))
        self.shift, self.scale = rng.normal(size=COLUMNS), rng.uniform(0.5, 2, COLUMNS)
        values = np.concatenate([*map(with_flags, self.arrays), np.full((1, 3 * CHANNELS), np.nan)])
        starts = np.cumsum(self.lengths) - self.lengths
        self.inputs = Inputs(torch.from_numpy(values), starts, self.lengths, torch.from_numpy(self.static), True)

    def member(self, *perturbations: Perturbation, rows: Any = None) -> Member:
        rows = np.arange(N) if rows is None else rows
        sample = Sample(rows, rows * 1.0, np.ones(len(rows)))
        plain = Member(3, sample, self.shift, self.scale, 0.01, 0.0, 0.9, 0.0, np.inf, 1)
        return replace(plain, perturbations=perturbations)

    def network_inputs(self, row: int, steps: np.ndarray) -> np.ndarray:
        """What the network would be fed of a series that has only these of a row's steps."""
        static = np.broadcast_to(self.static[row], (len(steps), STATIC))
        raw = np.concatenate([with_flags(self.arrays[row][steps]), static], 1)
        return np.nan_to_num((raw - self.shift) / self.scale)


@dataclass(frozen=True)
class Reversed(Perturbation):
    """Each series from its end, and its steps noted."""

    key: ClassVar[int] = 5

    def transform(self, series: Series, _generator: np.random.Generator) -> Series:
        assert series.missing is not None
        steps = (series.lengths - 1 - torch.arange(len(series.x))[:, None]).clamp(min=0)
        at = steps[..., None].expand(-1, -1, CHANNELS)
        # what is written where a value is missing is not to be seen
        return replace(series, x=series.x.gather(0, at) + 1e3 * series.missing.gather(0, at),
                       missing=series.missing.gather(0, at))  # fmt: skip


def batches(data: Data, *members: Member) -> tuple[Group, list[Batch]]:
    group = stack_members(NET, RECIPE, data.inputs, members)
    order = epoch_order(members, 0)
    loaded = load_batches(data.inputs, group.samples["train"], order, SIZE, group.shift, group.scale, RECIPE.dtype)
    return group, list(loaded)


def test_flags_steps_since_and_static_features_are_those_of_the_changed_series():
    data = Data()
    group, loaded = batches(data, data.member(Reversed()), data.member())
    for step, batch in enumerate(loaded):
        found = perturb_batch(group, batch, 0, step)
        for m in range(2):
            for place, position in enumerate(batch.positions[m]):
                steps = np.arange(data.lengths[position])
                expected = data.network_inputs(position, steps if m else steps[::-1])
                # float64: the same formula in torch and numpy
                np.testing.assert_allclose(found.x[m, : len(steps), place], expected, rtol=1e-14, atol=1e-14)
                assert (found.x[m, len(steps) :, place] == 0).all()
                assert found.own_steps[m, place] == len(steps)
        assert torch.equal(found.targets, batch.targets)


def test_windows_count_the_steps_since_a_value_was_seen_from_their_own_start():
    data = Data()
    group, loaded = batches(data, data.member(WindowSlice(0.5)))
    starts = 0
    for step, batch in enumerate(loaded):
        found = perturb_batch(group, batch, 0, step)
        for place, position in enumerate(batch.positions[0]):
            kept = int(found.lengths[0, place])
            assert kept == max(1, -(-data.lengths[position] // 2))
            matches = [
                begin
                for begin in range(data.lengths[position] - kept + 1)
                if np.allclose(
                    found.x[0, :kept, place],
                    data.network_inputs(position, np.arange(begin, begin + kept)),
                    rtol=1e-14,
                    atol=1e-14,
                )
            ]
            assert matches
            starts += min(matches) > 0
    assert starts > 3


def test_what_a_perturbation_leaves_alone_keeps_its_bits():
    class Same(Perturbation):
        key = 6

        def transform(self, series: Series, _generator: np.random.Generator) -> Series:
            return replace(series)

    data = Data()
    group, loaded = batches(data, data.member(Same()), data.member(rows=np.arange(5)))
    for step, batch in enumerate(loaded):
        found = perturb_batch(group, batch, 0, step)
        assert found is not batch
        for name in ("x", "lengths", "targets", "weights"):
            assert torch.equal(getattr(found, name), getattr(batch, name)), name


@pytest.mark.parametrize("by_step", [False, True])
def test_other_targets_reach_the_loss_of_their_member_alone(by_step):
    class Doubled(Perturbation):
        key = 7

        def transform(self, series: Series, _generator: np.random.Generator) -> Series:
            assert series.by_step == by_step
            return replace(series, targets=2 * series.targets, weights=series.weights / 4)

    data = Data()
    members = [data.member(), data.member(Doubled())]
    if by_step:
        steps = np.arange(data.lengths.sum()) * 1.0
        members = [replace(member, train=replace(member.train, targets=steps)) for member in members]
    group = stack_members(replace(NET, pooling="steps" if by_step else "last"), RECIPE, data.inputs, members)
    order = epoch_order(members, 0)
    for step, batch in enumerate(
        load_batches(data.inputs, group.samples["train"], order, SIZE, group.shift, group.scale, RECIPE.dtype)
    ):
        found = perturb_batch(group, batch, 0, step)
        assert torch.equal(found.targets[0], batch.targets[0])
        assert torch.equal(found.weights[0], batch.weights[0])
        counts = batch.weights[1] > 0
        assert torch.equal(found.targets[1][counts], 2 * batch.targets[1][counts])
        assert torch.equal(found.weights[1], batch.weights[1] / 4)
