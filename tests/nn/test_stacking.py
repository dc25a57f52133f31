"""Stacked modules are each the module alone: outputs, gradients, training; their dropout follows each one's own key."""

import copy

import pytest
import torch
from pairs import EXACT, SINGLE, assert_same
from torch import nn

from throughtime.nn import GRU, stack
from throughtime.nn.keyed import uniforms


class Net(nn.Module):
    """What users write: torch's own layers, normalization without statistics, a buffer, tied weights."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.encode = nn.GRU(3, 8, 2, batch_first=True, bidirectional=True, dropout=dropout)
        self.norm = nn.LayerNorm(16)
        self.dropout = nn.Dropout(dropout)
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.rand(16))
        self.out = nn.Linear(16, 2)

    def forward(self, x):
        y = self.norm(self.encode(x)[0].mean(1)) * self.scale
        return self.out(self.second(self.dropout(torch.tanh(self.first(y)))))


@pytest.fixture
def nets():
    torch.manual_seed(0)
    return [Net().double() for _ in range(4)]


def test_outputs_and_gradients_are_those_of_each_module_alone(nets):
    together = stack(nets)
    x = torch.randn(4, 6, 5, 3, dtype=torch.float64)
    found = together(x)
    expected = torch.stack([net(own) for net, own in zip(nets, x, strict=True)])
    torch.testing.assert_close(found, expected, **EXACT)
    found.sin().sum().backward()
    expected.sin().sum().backward()
    for name, weight in together.module.named_parameters():
        theirs = torch.stack([net.get_parameter(name).grad for net in nets])
        torch.testing.assert_close(weight.grad, theirs, **EXACT)


def test_modules_trained_together_are_those_trained_alone_by_torch(nets):
    together = stack([net.float() for net in nets])
    alone = copy.deepcopy(nets)
    x, y = torch.randn(40, 5, 3), torch.randn(40, 2)

    def steps(model, inputs, targets, reduce):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(10):
            optimizer.zero_grad()
            reduce((model(inputs) - targets).square()).backward()
            optimizer.step()

    # each member's own mean: their sum has each one's gradient
    steps(together, x.expand(4, -1, -1, -1), y, lambda losses: losses.mean((1, 2)).sum())
    for net in alone:
        steps(net, x, y, torch.mean)
    for member, net in zip(together.members(), alone, strict=True):
        assert type(member.encode) is nn.GRU
        # float32, ten steps of Adam, which divides by the root of small squares: four digits
        assert_same(member.state_dict().values(), net.state_dict().values(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(member(x), net(x), rtol=1e-3, atol=1e-3)


def test_members_are_the_modules_that_were_given(nets):
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    for member, net in zip(stack(nets).members(), nets, strict=True):
        assert repr(member) == repr(net)
        assert torch.equal(member(x), net(x))
        assert member.second.weight is member.first.weight


def test_what_was_given_is_left_as_it_was(nets):
    before = copy.deepcopy(nets[0].state_dict())
    together = stack(nets)
    with torch.no_grad():
        for weight in together.parameters():
            weight.zero_()
    assert_same(nets[0].state_dict().values(), before.values(), rtol=0, atol=0)
    assert type(nets[0].encode) is nn.GRU
    assert type(nets[0].dropout) is nn.Dropout


def test_a_members_dropout_follows_from_its_key_and_not_from_its_company_or_place():
    torch.manual_seed(0)
    nets = [Net(dropout=0.5) for _ in range(3)]
    x = torch.randn(3, 6, 5, 3)
    keys = torch.tensor([7, 1 << 60, 3])
    y = stack(nets)(x, keys=keys)
    turned = stack(nets[::-1])(x.flip(0), keys=keys.flip(0)).flip(0)
    torch.testing.assert_close(turned, y, **SINGLE)
    for at in range(3):
        torch.testing.assert_close(stack(nets[at : at + 1])(x[at : at + 1], keys=keys[at : at + 1])[0], y[at], **SINGLE)
    assert not torch.allclose(stack(nets)(x, keys=keys + 1), y)
    # drawn anew when no keys are given, from torch's generator
    torch.manual_seed(4)
    one = stack(nets)(x)
    torch.manual_seed(4)
    assert torch.equal(stack(nets)(x), one)
    assert not torch.equal(stack(nets)(x), one)
    # and silent in evaluation
    torch.testing.assert_close(
        stack([net.eval() for net in nets])(x),
        torch.stack([net(own) for net, own in zip(nets, x, strict=True)]),
        **SINGLE,
    )


def test_each_dropout_of_a_module_and_each_call_of_one_has_masks_of_its_own():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other, self.weight = nn.Dropout(0.5), nn.Dropout(0.5), nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.one(x), self.one(x), self.other(x)

    masks = stack([Twice(), Twice()])(torch.ones(2, 50, 50))
    flat = torch.stack([mask.flatten(1) for mask in masks]).flatten(0, 1)
    # six masks of 2500 fair coins: agreement of any two is .5 +- .01; five of those
    agreement = ((flat[:, None] == flat[None]).double().mean(-1) - 0.5).abs()
    assert agreement[~torch.eye(6, dtype=torch.bool)].max() < 0.05
    again = stack([Twice(), Twice()])
    key = torch.tensor([1, 2])
    x = torch.ones(2, 5, 5)
    assert_same(again(x, keys=key), again(x, keys=key), rtol=0, atol=0)  # calls are counted anew


def test_a_mask_is_of_its_rate_uniform_and_unmoved_by_padding():
    key = torch.tensor(11)
    drawn = uniforms(key, (100, 40, 50))
    n = drawn.numel()
    assert abs(drawn.mean().item() - 0.5) < 5 * (1 / 12 / n) ** 0.5
    shares = torch.histc(drawn, 20, 0, 1) / n
    assert (shares - 0.05).abs().max().item() < 5 * (0.05 * 0.95 / n) ** 0.5
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for other in (drawn.roll(1, axis) for axis in range(3)):
        assert abs(torch.corrcoef(torch.stack([drawn.flatten(), other.flatten()]))[0, 1].item()) < 5 / n**0.5
    assert torch.equal(uniforms(key, (3, 70, 50))[:, :40], drawn[:3])
    assert not torch.equal(uniforms(key + 1, (3, 40, 50)), drawn[:3])


def test_splitmix_gives_its_published_numbers():
    # Java's SplittableRandom(1234567); the first outputs are in Rosetta Code's entry on SplitMix64
    from throughtime.nn.keyed import GOLDEN, scramble

    state = torch.tensor(1234567)
    found = []
    for _ in range(5):
        state = state + GOLDEN
        found.append(int(scramble(state)) % 2**64)
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


class Negated(nn.GRU):
    """A third party's layer, which ``torch.vmap`` does not take."""


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "running statistics, got BatchNorm1d at '1'"),
        (lambda: nn.InstanceNorm1d(3, track_running_stats=True), "running statistics, got InstanceNorm1d; LayerNorm"),
        (lambda: nn.Sequential(nn.AlphaDropout(0.1)), "only random module, got AlphaDropout at '0'"),
        (lambda: nn.Sequential(nn.Dropout1d(0.1)), "only random module, got Dropout1d at '0'"),
        (lambda: nn.Sequential(Negated(3, 4)), "layers of torch's own classes or of ours, got Negated at '0'"),
    ],
)
def test_what_cannot_be_stacked_is_refused_by_name(module, told):
    with pytest.raises(ValueError, match=told):
        stack([module(), module()])


def test_modules_of_different_shapes_and_none_at_all_are_refused():
    with pytest.raises(ValueError, match="one class and shape"):
        stack([nn.Linear(3, 4), nn.Linear(4, 4)])
    with pytest.raises(ValueError, match="one class and shape"):
        stack([nn.RNN(3, 4), GRU(3, 4)])
    with pytest.raises(ValueError, match="at least one module, got none"):
        stack([])


def test_normalization_without_statistics_of_its_own_is_taken():
    nets = [nn.Sequential(nn.InstanceNorm1d(3, affine=True), nn.GroupNorm(1, 3)) for _ in range(2)]
    x = torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(stack(nets)(x), torch.stack([n(own) for n, own in zip(nets, x, strict=True)]), **SINGLE)
