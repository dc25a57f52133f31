"""Perturbations: a member's own, in one object each, and nobody else's."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, CLASSES, NET, RECIPE, Data, N, PlainLoop, curve_of, same_bits

from throughtime.errors import ParameterError
from throughtime.nn import FactoryNetwork, is_bias
from throughtime.training import Member, Perturbation, Purpose, Series, stream, train
from throughtime.training.batches import epoch_order


@dataclass(frozen=True)
class Jitter(Perturbation):
    """Gaussian noise on every value."""

    deviation: float
    key: ClassVar[int] = 10

    def transform(self, series, generator):
        noise = self.deviation * generator.standard_normal(tuple(series.x.shape))
        return replace(series, x=series.x + torch.from_numpy(noise).to(series.x))


@dataclass(frozen=True)
class RandomCrop(Perturbation):
    """A window of each series, half of its steps, from anywhere in it, with the targets of its steps."""

    key: ClassVar[int] = 11

    def transform(self, series, generator):
        x, lengths = series.x, series.lengths
        shorter = (lengths + 1) // 2
        begins = generator.integers(0, (lengths - shorter + 1).numpy())
        steps = (torch.from_numpy(begins) + torch.arange(int(shorter.max()))[:, None]).clamp(max=len(x) - 1)

        def of_steps(values):
            return None if values is None else values.gather(0, steps[..., None].expand(-1, -1, values.shape[2]))

        moved = {"x": of_steps(x), "missing": of_steps(series.missing)}
        if series.by_step:
            moved |= {"targets": series.targets.gather(0, steps), "weights": series.weights.gather(0, steps)}
        return replace(series, lengths=shorter, **moved)


@dataclass(frozen=True)
class Lasso(Perturbation):
    """An L1 penalty on weights."""

    strength: float
    key: ClassVar[int] = 12

    def penalty(self, weights):
        return self.strength * sum(w.abs().sum() for name, w in weights.items() if not is_bias(name))


@dataclass(frozen=True)
class FirstUnits(Perturbation):
    """Silences all but the first units of every layer; at random, a whole series."""

    count: int
    key: ClassVar[int] = 13

    def mask(self, _layer, shape, generator):
        mask = (generator.random(shape[-2]) < 0.8)[:, None] * np.ones(shape)
        mask[..., self.count :] = 0
        return mask


PERTURBATIONS = {
    "jitter": (Jitter(0.3),),
    "crop": (RandomCrop(),),
    "lasso": (Lasso(0.05),),
    "mask": (FirstUnits(4),),
    "all": (RandomCrop(), Jitter(0.2), Lasso(0.01), FirstUnits(5)),
}


def company(data: Data, perturbations: tuple[Perturbation, ...], **changed: object) -> list[Member]:
    """A perturbed member between plain ones of other sizes and longer series."""
    rows = np.argsort(data.inputs.lengths)
    members = [
        data.member(rows[10:], seed=1, max_epochs=4),
        data.member(rows[:21], seed=2, max_epochs=3, perturbations=perturbations),
        data.member(rows[-5:], seed=3, max_epochs=2, dropout=0.3),
        data.member(rows, seed=4, max_epochs=3, perturbations=perturbations[:1]),
    ]
    return [replace(member, **changed) for member in members]


@pytest.mark.parametrize("net", [NET, replace(NET, num_layers=2, bidirectional=True, pooling="mean")], ids=["1", "2"])
@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.usefixtures("either_path")
def test_a_perturbed_member_is_the_same_alone_and_with_others_whatever_the_padding(name, net):
    data = Data()
    members = company(data, PERTURBATIONS[name])
    together = train(net, RECIPE, data.inputs, members)
    for member, found in zip(members, together, strict=True):
        (alone,) = train(net, RECIPE, data.inputs, [member])
        assert same_bits(alone, found)
    (plain,) = train(net, RECIPE, data.inputs, [replace(members[1], perturbations=())])
    assert not same_bits(plain, together[1])


def test_what_a_perturbation_sees_has_nothing_of_other_members():
    seen: list[tuple] = []

    class Sees(Perturbation):
        key = 0

        def transform(self, series, _generator):
            x, lengths = series.x, series.lengths
            assert x.shape[:2] == (lengths.max(), len(lengths))
            of_targets = series.targets.tolist(), series.targets.stride(), series.weights.tolist()
            seen.append((x.numpy().tobytes(), x.stride(), lengths.tolist(), of_targets))

        def mask(self, layer, shape, _generator):
            seen.append((layer, shape))

        def penalty(self, weights):
            seen.append({name: (w.stride(), w.detach().numpy().tobytes()) for name, w in weights.items()})

    data, net = Data(), replace(NET, num_layers=2)
    members = company(data, (Sees(),))
    members[3] = replace(members[3], perturbations=())
    train(net, RECIPE, data.inputs, members)
    together, seen[:] = list(seen), []
    train(net, RECIPE, data.inputs, [members[1]])
    # 21 series in batches of 16, three epochs: two layers' masks, one look at inputs and weights each
    assert len(seen) == 2 * 3 * 4
    assert together == seen


def test_the_neighbors_of_a_perturbed_member_keep_their_bits():
    data = Data()
    members = company(data, ())
    plain = train(NET, RECIPE, data.inputs, members)
    members[1] = replace(members[1], perturbations=PERTURBATIONS["all"])
    perturbed = train(NET, RECIPE, data.inputs, members)
    assert [same_bits(one, other) for one, other in zip(plain, perturbed, strict=True)] == [True, False, True, True]


def test_cropped_series_train_as_the_windows_that_the_members_stream_draws():
    data, crop = Data(), RandomCrop()
    member = data.member(max_epochs=1, perturbations=(crop,))
    recipe = replace(RECIPE, batch_size=9)
    windows = {}
    order = epoch_order([member], 0)[0]
    for step, first in enumerate(range(0, N, 9)):
        rows = order[first : first + 9]
        lengths = data.inputs.lengths[rows]
        shorter = (lengths + 1) // 2
        # key (perturbation, epoch, step), the series in the order of the epoch
        begins = stream(member.seed, Purpose.PERTURBATION, crop.key, 0, step).integers(0, lengths - shorter + 1)
        windows |= {row: slice(b, b + n) for row, b, n in zip(rows, begins, shorter, strict=True)}
    assert any(window.start > 0 for window in windows.values())
    by_hand = Data()
    by_hand.series = lambda row: data.series(row)[windows[row]]
    by_hand.inputs = replace(data.inputs, lengths=(data.inputs.lengths + 1) // 2)
    plain = PlainLoop(by_hand, NET, recipe, member)
    expected = plain.run()
    (found,) = train(NET, recipe, data.inputs, [member])
    # float64; five steps
    assert curve_of(found) == pytest.approx(expected, rel=1e-12)
    for name, weight in plain.named.items():
        torch.testing.assert_close(found.weights[name], weight.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [np.inf, 0.05])
def test_a_penalty_is_a_term_of_the_objective_whose_gradient_is_clipped_with_the_rest(clip_norm):
    data, strength = Data(), 0.05
    recipe = replace(RECIPE, optimizer="sgd", batch_size=N)
    member = data.member(max_epochs=1, momentum=0.0, lr=0.5, clip_norm=clip_norm, perturbations=(Lasso(strength),))
    (found,) = train(NET, recipe, data.inputs, [member])
    plain = PlainLoop(data, NET, recipe, member)
    loss, _ = plain.objective(np.arange(N))
    lasso = strength * sum(w.abs().sum() for name, w in plain.named.items() if not is_bias(name))
    grads = torch.autograd.grad(loss + lasso, list(plain.named.values()))
    norm = torch.cat([grad.flatten() for grad in grads]).norm().item()
    for (name, start), grad in zip(plain.named.items(), grads, strict=True):
        step = 0.5 * min(1.0, clip_norm / norm) * grad
        # float64, sums of 41 terms
        torch.testing.assert_close(found.weights[name], (start - step).detach(), rtol=1e-12, atol=1e-14)
    assert found.history[0].gradient_norm == pytest.approx(norm, rel=1e-12)
    assert found.history[0].train_loss == pytest.approx(loss.item(), rel=1e-12)


def test_a_mask_multiplies_what_the_output_layer_is_handed():
    data, recipe = Data(), replace(RECIPE, optimizer="sgd", batch_size=N)

    class Half(Perturbation):
        key = 0

        def mask(self, _layer, shape, _generator):
            return np.broadcast_to(np.arange(shape[-1]) < 3, shape).astype(float)

    member = data.member(max_epochs=1, momentum=0.0, perturbations=(Half(),))
    plain = PlainLoop(data, NET, recipe, member)
    with torch.no_grad():
        plain.readout.weight[:, 3:] = 0
    expected = plain.losses(np.arange(N)).mean().item()
    (found,) = train(NET, recipe, data.inputs, [member])
    assert found.history[0].train_loss == pytest.approx(expected, rel=1e-12)


def test_each_perturbation_of_a_member_has_a_stream_of_its_own_and_others_do_not_move_it():
    drawn = []

    @dataclass(frozen=True)
    class Noted(Perturbation):
        key: int

        def transform(self, _series, generator):
            drawn.append((self.key, generator.integers(2**62)))

    data = Data()
    both = data.member(max_epochs=2, perturbations=(Noted(1), Noted(2)))
    train(NET, RECIPE, data.inputs, [both])
    together, drawn[:] = list(drawn), []
    train(NET, RECIPE, data.inputs, [replace(both, perturbations=(Noted(2),))])
    assert [pair for pair in together if pair[0] == 2] == drawn
    assert len({number for _, number in together}) == len(together) == 2 * 2 * 3


def test_perturbations_act_one_after_the_other():
    seen = []

    class Halves(RandomCrop):
        key = 1

    class Sees(Perturbation):
        key = 2

        def transform(self, series, _generator):
            seen.append((len(series.x), series.lengths))

    data = Data()
    member = data.member(max_epochs=1, perturbations=(Sees(), Halves()))
    train(NET, replace(RECIPE, batch_size=N), data.inputs, [member])
    train(NET, replace(RECIPE, batch_size=N), data.inputs, [replace(member, perturbations=(Halves(), Sees()))])
    (longest, before), (longest_after, after) = seen
    assert torch.equal(after, (before + 1) // 2)
    assert (longest, longest_after) == (before.max(), after.max())


def test_losses_that_are_evaluated_are_not_perturbed():
    data = Data()
    validation = data.sample(np.arange(20, N))
    plain = data.member(np.arange(20), lr=0.0, max_epochs=1, validation=validation, eval=validation)
    perturbed = replace(plain, perturbations=PERTURBATIONS["all"])
    one, other = (train(NET, RECIPE, data.inputs, [member])[0].history[0] for member in (plain, perturbed))
    assert one.train_loss != other.train_loss
    assert (one.validation_loss, one.eval_loss) == (other.validation_loss, other.eval_loss)


def by_step(data: Data, perturbation: Perturbation) -> Member:
    rows = np.arange(9)
    targets = np.arange(data.inputs.lengths[rows].sum()) % CLASSES
    sample = replace(data.sample(rows), targets=targets)
    return data.member(train=sample, max_epochs=2, perturbations=(perturbation,))


def test_targets_of_steps_move_along_with_them():
    data, net, crop = Data(), replace(NET, pooling="steps"), RandomCrop()
    member = by_step(data, crop)
    members = [member, by_step(data, Jitter(0.0)), by_step(Data(), Jitter(0.3))]
    together = train(net, RECIPE, data.inputs, members)
    for one, found in zip(members, together, strict=True):
        assert same_bits(train(net, RECIPE, data.inputs, [one])[0], found)
    # by hand: the windows as series of their own, a batch of all of them
    lengths, starts = data.inputs.lengths[:9], data.inputs.starts[:9]
    shorter = (lengths + 1) // 2
    order = epoch_order([member], 0)[0]
    begins = np.empty(9, dtype=int)
    generator = stream(member.seed, Purpose.PERTURBATION, crop.key, 0, 0)
    begins[order] = generator.integers(0, (lengths - shorter + 1)[order])
    windows = [slice(b, b + n) for b, n in zip(begins, shorter, strict=True)]
    whole = np.split(member.train.targets, np.cumsum(lengths)[:-1])
    targets = np.concatenate([steps[window] for steps, window in zip(whole, windows, strict=True)])
    inputs = replace(data.inputs, starts=starts + begins, lengths=shorter)
    plain = replace(member, train=replace(member.train, targets=targets), max_epochs=1, perturbations=())
    assert train(net, RECIPE, inputs, [plain])[0].history[0].train_loss == together[0].history[0].train_loss


def series_of(rows: int = 16, time: int = 3, **changed: object) -> Series:
    """What a perturbation might give for the first batch of the data."""
    plain = Series(
        torch.zeros(time, rows, CHANNELS, dtype=torch.float64),
        torch.full((rows,), time),
        torch.zeros(rows, dtype=torch.int64),
        torch.ones(rows, dtype=torch.float64),
    )
    return replace(plain, **changed)


BROKEN_SERIES = {
    "needs to give a Series or None, got Tensor; dataclasses.replace": lambda: torch.zeros(1),
    r"needs to give x of \(16, 3\) .*, got \(3, 2, 3\)": lambda: series_of(2),
    "needs to give finite x up to each series' end": lambda: series_of(
        x=torch.full((3, 16, CHANNELS), torch.nan, dtype=torch.float64)
    ),
    r"lengths of shape \(16,\), torch.int64 and cpu, got of shape \(16,\), torch.float32": lambda: series_of(
        lengths=torch.ones(16)
    ),
    "lengths from 1 to the 3 steps of x, got 0 to 15": lambda: series_of(lengths=torch.arange(16)),
    r"targets of shape \(16,\), torch.int64 and cpu, got of shape \(15,\)": lambda: series_of(
        targets=torch.zeros(15, dtype=torch.int64)
    ),
    "classes from 0 to 3, got 4 to 4": lambda: series_of(targets=torch.full((16,), 4)),
    "weights of at least 0, got -1": lambda: series_of(weights=torch.full((16,), -1.0, dtype=torch.float64)),
    "missing as None, got of shape": lambda: series_of(missing=torch.zeros(3, 16, CHANNELS, dtype=torch.bool)),
}


@pytest.mark.parametrize("message", BROKEN_SERIES)
@pytest.mark.usefixtures("types_unchecked")
def test_series_that_do_not_fit_are_refused(message):
    data = Data()
    broken = type("Broken", (Perturbation,), {"key": 0, "transform": lambda *_: BROKEN_SERIES[message]()})()
    with pytest.raises(ParameterError, match=message):
        train(NET, RECIPE, data.inputs, [data.member(perturbations=(broken,))])


def giving(**methods: object) -> Perturbation:
    """A perturbation that gives constants."""
    made = type(
        "Broken", (Perturbation,), {name: lambda *_, v=value: v for name, value in methods.items()} | {"key": 0}
    )
    return made()


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"mask": np.full((16, 6), np.inf)}, "Broken.mask needs to give finite numbers, got NaN or inf"),
        ({"mask": np.ones(3)}, r"Broken.mask needs to give an array of shape \(16, 6\), got \(3,\)"),
        ({"penalty": torch.zeros(2)}, r"Broken.penalty needs to give one number, got \(2,\)"),
        ({"penalty": 0.5}, "Broken.penalty needs to give one number, got float"),
    ],
)
def test_what_does_not_fit_is_refused(methods, message):
    data = Data()
    with pytest.raises(ParameterError, match=message):
        train(NET, RECIPE, data.inputs, [data.member(perturbations=(giving(**methods),))])


def test_keys_tell_the_perturbations_of_a_member_apart():
    data = Data()
    with pytest.raises(ParameterError, match=r"need keys that differ, got \[10, 10\]"):
        train(NET, RECIPE, data.inputs, [data.member(perturbations=(Jitter(0.1), Jitter(0.2)))])
    with pytest.raises(ParameterError, match="Perturbation needs a key that is a whole number from 0 up, got None"):
        train(NET, RECIPE, data.inputs, [data.member(perturbations=(Perturbation(),))])


@pytest.mark.parametrize("stranger", [Jitter, "jitter", None])
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_perturbation_is_refused(stranger):
    data = Data()
    with pytest.raises(ParameterError, match="perturbations of a member need to be a Perturbation each, got "):
        train(NET, RECIPE, data.inputs, [data.member(perturbations=(stranger,))])


class Last(torch.nn.Module):
    """A network of a user's own."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.readout = torch.nn.Linear(channels, outputs)

    def forward(self, x: torch.Tensor, _lengths: torch.Tensor) -> torch.Tensor:
        return self.readout(x.sum(1))


def test_a_network_of_ones_own_takes_inputs_and_penalties_but_has_no_place_for_masks():
    data, net = Data(), FactoryNetwork(Last, CHANNELS, CLASSES, "last")
    members = company(data, (RandomCrop(), Jitter(0.2), Lasso(0.01)), dropout=0.0)
    together = train(net, RECIPE, data.inputs, members)
    for member, found in zip(members, together, strict=True):
        np.testing.assert_allclose(curve_of(train(net, RECIPE, data.inputs, [member])[0]), curve_of(found), rtol=1e-12)
    with pytest.raises(ParameterError, match="masks need the built-in network's layers"):
        train(net, RECIPE, data.inputs, [data.member(perturbations=(FirstUnits(1),))])


class BeyondTheEnd(Perturbation):
    """Writes where no series is."""

    key = 0

    def transform(self, series, _generator):
        beyond = torch.arange(len(series.x) + 2)[:, None] >= series.lengths
        return replace(series, x=torch.cat([series.x, series.x[:2]]).masked_fill(beyond[..., None], 1e3))


def test_what_a_perturbation_leaves_beyond_a_series_end_is_zero_again():
    data, net = Data(), FactoryNetwork(Last, CHANNELS, CLASSES, "last")  # which adds up all steps
    plain = data.member(max_epochs=2)
    (expected,) = train(net, RECIPE, data.inputs, [plain])
    (found,) = train(net, RECIPE, data.inputs, [replace(plain, perturbations=(BeyondTheEnd(),))])
    assert same_bits(found, expected)
