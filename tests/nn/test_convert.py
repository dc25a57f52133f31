"""``convert`` swaps recurrent layers for ours and back, and nothing else changes."""

import copy

import pytest
import torch
from pairs import EXACT, PAIRS, assert_same, pair
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from throughtime.nn import GRU, LSTM, RNN, convert

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Tagger(nn.Module):
    """Layers at several depths, one of them used twice under two names, one in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.first = nn.LSTM(8, 4, 2, bidirectional=True, batch_first=True, dropout=0.3)
        self.blocks = nn.ModuleList([nn.ModuleDict({"rnn": nn.GRU(8, 8, batch_first=True)}) for _ in range(2)])
        self.again = self.blocks[0]["rnn"]
        self.last = nn.RNN(8, 5, nonlinearity="relu", batch_first=True, bias=False)

    def forward(self, x):
        y, _ = self.first(self.embed(x))
        for block in self.blocks:
            y, _ = block["rnn"](y)
        y, _ = self.again(y)
        return self.last(y)[0]


def kinds(model):
    return [type(part) for part in model.modules() if isinstance(part, nn.RNNBase | RNN | GRU | LSTM)]


def test_a_model_computes_the_same_with_our_layers_and_with_torchs_again():
    model = Tagger().double().eval()
    x = torch.randn(6, 7, 3, dtype=torch.float64)
    expected, text, names = model(x), repr(model), list(model.state_dict())
    weights = list(model.parameters())
    assert convert(model) is model
    assert kinds(model) == [LSTM, GRU, GRU, RNN]
    torch.testing.assert_close(model(x), expected, **EXACT)
    assert convert(model, to="torch") is model
    assert kinds(model) == [nn.LSTM, nn.GRU, nn.GRU, nn.RNN]
    assert torch.equal(model(x), expected)
    assert (repr(model), list(model.state_dict())) == (text, names)
    assert all(one is other for one, other in zip(model.parameters(), weights, strict=True))


def test_a_layer_used_twice_stays_one():
    model = convert(Tagger())
    assert model.again is model.blocks[0]["rnn"]
    assert type(model.again) is GRU
    block = nn.Sequential(nn.GRU(3, 3))
    shared = convert(nn.ModuleList([block, block]))
    assert shared[0][0] is shared[1][0]
    assert type(shared[0][0]) is GRU


@pytest.mark.parametrize("cell", PAIRS)
def test_every_option_goes_over_and_comes_back(cell):
    _, theirs = pair(cell, 3, 4, 2, bias=False, batch_first=True, dropout=0.25, bidirectional=True)
    theirs.train(mode=False)
    ours = convert(theirs)
    assert type(ours) is PAIRS[cell][0]
    assert repr(ours) == repr(theirs)
    assert not ours.training
    back = convert(ours, to="torch")
    assert type(back) is type(theirs)
    x = torch.randn(2, 5, 3)
    assert_same(back(x), theirs(x), rtol=0, atol=0)


def test_an_optimizer_a_frozen_weight_and_a_users_own_attribute_go_on():
    model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4))
    model[1].weight_hh_l0.requires_grad_(False)
    model[1].tag = "encoder"
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    convert(model)
    assert not model[1].weight_hh_l0.requires_grad
    assert model[1].tag == "encoder"
    before = model[1].weight_ih_l0.clone()
    model(torch.randn(5, 2, 3))[0].square().sum().backward()
    optimizer.step()
    assert not torch.equal(model[1].weight_ih_l0, before)
    convert(model, to="torch")
    # torch's own layer reads the stepped weights too, in training and after a move
    fresh = copy.deepcopy(model)
    x = torch.randn(5, 2, 3)
    assert_same(model(x), fresh(x), rtol=0, atol=0)
    assert_same(model.double()(x.double()), fresh.double()(x.double()), rtol=0, atol=0)


def test_hooks_fire_after_a_conversion_and_their_handles_still_remove_them():
    model = nn.Sequential(nn.GRU(3, 4))
    seen = []
    handle = model[0].register_forward_hook(lambda *_: seen.append("after"))
    model[0].register_forward_pre_hook(lambda *_: seen.append("before"))
    x = torch.randn(5, 2, 3)
    for to in ("throughtime", "torch"):
        convert(model, to=to)
        model(x)
    assert seen == ["before", "after"] * 2
    handle.remove()
    model(x)
    assert seen == ["before", "after"] * 2 + ["before"]


def test_a_lone_layers_dropout_warns_no_second_time():
    with pytest.warns(UserWarning, match="num_layers=1"):
        model = nn.Sequential(nn.GRU(3, 4, dropout=0.5))
    assert convert(model)[0].dropout == 0.5


class Negated(nn.GRU):
    """A third party's: what it computes is not torch's."""

    def forward(self, x, hx=None):
        return super().forward(-x, hx)


class Doubled(GRU):
    """The same on ours."""

    def forward(self, x, hx=None, lengths=None, return_states=False):
        return super().forward(2 * x, hx, lengths, return_states)


def test_subclasses_are_passed_over_and_named():
    model = nn.Sequential(nn.GRU(3, 3), nn.ModuleDict({"odd": Negated(3, 4)}))
    with pytest.warns(UserWarning, match=r"^convert swapped 1 of 2 recurrent layers; .*: Negated at '1\.odd'$"):
        convert(model)
    assert kinds(model) == [GRU, Negated]
    with pytest.warns(UserWarning, match=r"swapped 0 of 1 recurrent layers; .*: Negated at ''$"):
        assert type(convert(model[1]["odd"])) is Negated
    back = nn.Sequential(Doubled(3, 4), GRU(4, 4))
    with pytest.warns(UserWarning, match=r"swapped 1 of 2 recurrent layers; .*: Doubled at '0'$"):
        convert(back, to="torch")
    assert kinds(back) == [Doubled, nn.GRU]
    # ours is ours already, torch's is torch's
    convert(nn.Sequential(Doubled(3, 4)))
    convert(nn.Sequential(Negated(3, 4)), to="torch")


def test_a_parametrized_layer_is_passed_over_until_its_parametrization_is_removed():
    model = nn.Sequential(nn.LSTM(3, 4))
    parametrizations.weight_norm(model[0], "weight_hh_l0")
    expected = model(x := torch.randn(5, 2, 3))
    with pytest.warns(UserWarning, match="ParametrizedLSTM .remove its parametrization, convert, and put it on again."):
        convert(model)
    assert_same(model(x), expected, rtol=0, atol=0)
    parametrize.remove_parametrizations(model[0], "weight_hh_l0")
    assert kinds(convert(model)) == [LSTM]
    parametrizations.weight_norm(model[0], "weight_hh_l0")
    assert_same(model(x), expected, rtol=1e-5, atol=1e-5)  # float32's epsilon is 1.2e-7, sums of 7 terms over 5 steps


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_scripted_layer_is_passed_over():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.GRU(3, 4)

        def forward(self, x):
            return self.encode(x)[0]

    with pytest.warns(UserWarning, match=r"0 of 1 .*: GRU .scripted: convert before scripting. at 'encode'"):
        convert(torch.jit.script(Wrapped()))


def test_a_model_without_recurrent_layers_is_returned_without_a_word():
    model = nn.Sequential(nn.Linear(3, 4), nn.GRUCell(4, 4))
    assert convert(model) is model


@pytest.mark.parametrize("tool", [nn.utils.weight_norm, nn.utils.spectral_norm], ids=["weight_norm", "spectral_norm"])
@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated")
def test_weights_computed_by_hooks_go_over_and_come_back(tool):
    model = nn.Sequential(nn.GRU(3, 4)).eval()
    tool(model[0], "weight_hh_l0")
    expected = model(x := torch.randn(5, 2, 3))
    for to, cls in (("throughtime", GRU), ("torch", nn.GRU)):
        assert kinds(convert(model, to=to)) == [cls]
        assert_same(model(x), expected, rtol=1e-5, atol=1e-5)  # float32, sums of 7 terms over 5 steps


def test_pruned_weights_go_over_and_come_back():
    model = nn.Sequential(nn.GRU(3, 4))
    prune.l1_unstructured(model[0], "weight_hh_l0", 0.5)
    expected = model(x := torch.randn(5, 2, 3))
    for to, cls in (("throughtime", GRU), ("torch", nn.GRU)):
        assert kinds(convert(model, to=to)) == [cls]
        assert_same(model(x), expected, rtol=1e-5, atol=1e-5)  # float32, sums of 7 terms over 5 steps
    prune.remove(model[0], "weight_hh_l0")
    assert (model[0].weight_hh_l0 == 0).sum() == 24
    assert_same(model(x), expected, rtol=1e-5, atol=1e-5)


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.GRU(4, 4), nn.GRU(4, 4))
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    convert(model)
    assert model[1].weight_hh_l0 is model[0].weight_hh_l0
    assert len(list(model.parameters())) == 7


@pytest.mark.usefixtures("types_unchecked")
def test_noise_that_torch_lacks_is_refused_by_name_and_nothing_is_swapped():
    model = nn.Sequential(GRU(3, 4), nn.Sequential(LSTM(4, 4, zoneout=0.1)))
    with pytest.raises(ValueError, match=r"convert needs layers that torch has too, got zoneout in 1\.0"):
        convert(model, to="torch")
    assert kinds(model) == [GRU, LSTM]
    model[1][0].zoneout = 0.0
    model[0].draw = lambda like, shape, _rate: like.new_ones(shape)
    with pytest.raises(ValueError, match=r"convert needs layers that torch has too, got a draw of its own in 0"):
        convert(model, to="torch")
    assert kinds(model) == [GRU, LSTM]
    with pytest.raises(ValueError, match="to needs throughtime or torch, got 'jax'"):
        convert(model, to="jax")
