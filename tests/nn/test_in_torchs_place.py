"""Code written for torch's layers, third parties' too, works on ours as it does on torch's."""

import copy
import io
import sys

import pytest
import torch
from pairs import EXACT, PAIRS, assert_same, pair, start_of, tensors
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from throughtime.nn import GRU, LSTM, RNN, convert

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

each_cell = pytest.mark.parametrize("cell", PAIRS)


@pytest.fixture
def ours_in_torchs_place(monkeypatch):
    """Patch torch as one patches a third-party library."""
    for namespace in (nn, sys.modules["torch.nn.modules"], sys.modules["torch.nn.modules.rnn"]):
        for cls in (RNN, GRU, LSTM):
            monkeypatch.setattr(namespace, cls.__name__, cls)


@pytest.mark.usefixtures("ours_in_torchs_place")
def test_our_layers_stand_in_torchs_place_in_a_library_that_makes_and_subclasses_them():
    assert nn.RNN(3, 4, nonlinearity="relu").mode == "RNN_RELU"
    for cls in (nn.RNN, nn.GRU, nn.LSTM):

        class Reversed(cls):
            def __init__(self, *sizes, scale, **options):
                super().__init__(*sizes, **options)
                self.scale = scale

            def forward(self, x, hx=None):
                return super().forward(self.scale * x.flip(0), hx)

        layer = Reversed(3, 4, 2, scale=2.0, bidirectional=True, dtype=torch.float64)
        plain = cls(3, 4, 2, bidirectional=True, dtype=torch.float64)
        plain.load_state_dict(layer.state_dict())
        x = torch.randn(5, 2, 3, dtype=torch.float64)
        assert_same(layer(x), plain(2 * x.flip(0)), rtol=0, atol=0)
        # torch's own is still there to go back to
        theirs = convert(plain, to="torch")
        assert theirs.__module__ == "torch.nn.modules.rnn"
        assert type(theirs) is not type(plain)
        assert_same(theirs(x), plain(x), **EXACT)
        assert type(convert(theirs)) is cls


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_what_is_read_from_torchs_layers_can_be_read_from_ours(cell, bidirectional, bias):
    ours, theirs = pair(cell, 3, 4, 2, bias=bias, bidirectional=bidirectional, batch_first=True, dropout=0.25)
    # torch's own bookkeeping of whether its copies of the weights are stale, and of an older pickle's names
    apart = {"_flat_weight_refs", "_weights_have_changed", "__jit_unused_properties__", "__getstate__", "__setstate__"}
    missing = {name for name in dir(theirs) if not hasattr(ours, name)}
    assert missing <= apart
    for name in (*theirs.__constants__, "__constants__", "_all_weights", "_flat_weights_names", "training"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert_same(ours._flat_weights, theirs._flat_weights, rtol=0, atol=0)


@each_cell
def test_weights_are_handed_in_flat_and_what_would_have_no_effect_is_refused(cell):
    ours, theirs = pair(cell, 3, 4, 2)
    for layer in (ours, theirs):
        layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]  # as many libraries do
        layer._init_flat_weights()
        layer._update_flat_weights()
    other = [nn.Parameter(2 * weight.detach()) for weight in theirs._flat_weights]
    theirs._flat_weights = ours._flat_weights = other
    assert all(one is weight for one, weight in zip(ours.parameters(), other, strict=True))
    with pytest.raises(TypeError, match="item assignment"):
        ours._flat_weights[0] = other[0]
    with pytest.raises(TypeError, match="cannot assign"):
        ours._flat_weights = [weight.detach() * 2 for weight in other]
    with pytest.raises(ValueError, match="shorter"):
        ours._flat_weights = other[1:]


@each_cell
@pytest.mark.parametrize("batch_first", [False, True])
def test_checks_and_permutations_are_torchs(cell, batch_first):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, batch_first=batch_first)
    x, hx = torch.randn(5, 5, 3), start_of(ours, (5,))
    order = torch.tensor([3, 1, 0, 2, 4])
    assert_same(ours.permute_hidden(hx, order), theirs.permute_hidden(hx, order), rtol=0, atol=0)
    sizes = ["get_expected_hidden_size", *(["get_expected_cell_size"] if cell.startswith("lstm") else [])]
    for name in sizes:
        assert getattr(ours, name)(x, None) == getattr(theirs, name)(x, None)
    assert ours.check_forward_args(x, hx, None) is None
    for wrong in (x[:, :1, :2], x[:1, :1], x.double(), x[0]):
        said = []
        for layer in (ours, theirs):
            with pytest.raises((RuntimeError, ValueError)) as caught:
                layer.check_forward_args(wrong, hx, None)
            said.append((type(caught.value), str(caught.value)))
        assert said[0] == said[1]


def _prune(layer):
    prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    prune.ln_structured(layer, "weight_ih_l1_reverse", 0.5, 2, 0)
    return layer


def _prune_for_good(layer):
    prune.remove(_prune(layer), "weight_hh_l0")
    return layer


def _prune_all(layer):
    names = [name for name, _ in layer.named_parameters()]
    prune.global_unstructured([(layer, name) for name in names], prune.L1Unstructured, amount=0.4)
    return layer


def _unnormalized(layer):
    parametrizations.weight_norm(layer, "weight_hh_l0")
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    return layer


def _orthogonal(layer):
    torch.manual_seed(2)
    return parametrizations.orthogonal(layer, "weight_hh_l0")


def _as_replica(layer):
    replica = layer._replicate_for_data_parallel()
    for name, weight in layer.named_parameters():
        setattr(replica, name, weight * 1)
    return replica


def _refilled(layer):
    weights = copy.deepcopy(layer.state_dict())
    layer.to("meta").to_empty(device="cpu").load_state_dict(weights)
    return layer


def _assigned(layer):
    layer.load_state_dict({name: weight * 2 for name, weight in layer.state_dict().items()}, assign=True)
    return layer


def _saved(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def _replaced(layer):
    layer.weight_hh_l0 = nn.Parameter(torch.full_like(layer.weight_hh_l0, 0.1))
    return layer


def _dropped(layer):
    """What AWD-LSTM's weight dropout does."""
    weight = layer.weight_hh_l0
    del layer._parameters["weight_hh_l0"]
    layer.register_parameter("weight_hh_l0_raw", nn.Parameter(weight.detach()))
    layer.weight_hh_l0 = layer.weight_hh_l0_raw * 0.5
    return layer


TOOLS = {
    "pruned": _prune,
    "pruned for good": _prune_for_good,
    "pruned as a whole": _prune_all,
    "weight_norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "weight_norm, copied": lambda layer: copy.deepcopy(parametrizations.weight_norm(layer, "weight_hh_l0")),
    "weight_norm, removed": _unnormalized,
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer.eval(), "weight_hh_l0"),
    "orthogonal": _orthogonal,
    "spectral_norm by hook": lambda layer: nn.utils.spectral_norm(layer.eval(), "weight_hh_l0"),
    "saved whole": _saved,
    "a replica": _as_replica,
    "shared between processes": lambda layer: layer.share_memory(),
    "moved over the meta device": _refilled,
    "weights assigned": _assigned,
    "a weight replaced": _replaced,
    "a weight computed": _dropped,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "frozen": lambda layer: layer.requires_grad_(False),
}


@each_cell
@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_tools_for_torchs_layers_do_the_same_to_ours(cell, tool):
    results = []
    for layer in pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64):
        torch.manual_seed(1)
        changed = tool(layer)
        x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
        found = changed(x)
        leaves = [x, *(weight for weight in changed.parameters() if weight.requires_grad)]
        grads = torch.autograd.grad(sum(part.sin().sum() for part in tensors(found)), leaves, allow_unused=True)
        results.append((found, [(name, list(w.shape)) for name, w in changed.named_parameters()], grads))
    (ours, names, grads), (theirs, expected_names, expected_grads) = results
    assert_same(ours, theirs, **EXACT)
    assert sorted(names) == sorted(expected_names)
    assert [grad is None for grad in grads] == [grad is None for grad in expected_grads]
    assert_same(grads, expected_grads, **EXACT)


def gradients(layer, form, change):
    """A layer's, with results, inputs or weights changed between its two passes; None where that is refused."""
    torch.manual_seed(0)
    dtype = layer.weight_ih_l0.dtype
    leaf = torch.randn(5, 2, 3, dtype=dtype, requires_grad=True)
    states = start_of(layer, (2,), dtype=dtype)
    x = leaf * 1  # no leaf itself, so that it may be changed
    results = list(tensors(layer(x, states, torch.tensor([5, 3]) if form == "lengths" else None)))
    loss = sum(part.clone().sin().sum() for part in results)
    with torch.no_grad():
        change(results, x, list(tensors(states)))
    try:
        return torch.autograd.grad(loss, [leaf, *layer.parameters()])
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        return None


@each_cell
@pytest.mark.parametrize("form", ["batch", "lengths"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
def test_a_result_changed_in_place_leaves_the_gradients_as_they_are(cell, form, dtype, num_layers, bidirectional):
    """torch's LSTM raises in float32; the C++ kernels keep what their backward pass reads to themselves."""
    ours, _ = pair(cell, 3, 4, num_layers, bidirectional=bidirectional, dtype=dtype)
    expected = gradients(ours, form, lambda *_: None)
    for place in range(2 + (ours.mode == "LSTM")):
        found = gradients(ours, form, lambda results, _x, _states, place=place: results[place].add_(1))
        assert found is not None
        assert_same(found, expected, rtol=0, atol=0)


@each_cell
def test_an_in_place_change_joins_the_graph(cell):
    """``y.mul_(2)``, a sum into y, an activation in place: the oracle is the same out of place."""
    ours, _ = pair(cell, 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    found = []
    for y in (ours(x)[0].mul_(2).sigmoid_(), (ours(x)[0] * 2).sigmoid()):
        found.append(torch.autograd.grad(y.sin().sum(), list(ours.parameters())))
    assert_same(*found, **EXACT)


@each_cell
@pytest.mark.parametrize("form", ["batch", "lengths"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_an_input_state_or_weight_changed_in_place_is_refused_or_leaves_the_gradients_as_they_are(
    cell, form, num_layers
):
    ours, _ = pair(cell, 3, 4, num_layers, dtype=torch.float64)
    expected = gradients(ours, form, lambda *_: None)
    weights = {name: weight.detach().clone() for name, weight in ours.named_parameters()}
    changes = {
        "x": lambda _results, x, _states: x.mul_(1.5),
        "h0": lambda _results, _x, states: states[0].mul_(1.5),
        "last state": lambda _results, _x, states: states[-1].mul_(1.5),
        **{name: lambda *_, name=name: getattr(ours, name).mul_(1.5) for name in weights},
    }
    for name, change in changes.items():
        found = gradients(ours, form, change)
        ours.load_state_dict(weights)
        # a projection runs step by step in torch, on padded copies: there a change need not matter
        if cell == "lstm-projected" and found is not None:
            assert_same(found, expected, rtol=0, atol=0)
        else:
            assert found is None, name


@each_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, False), (2, True)])
def test_results_lie_in_memory_as_torchs_so_that_they_can_be_viewed(cell, dtype, num_layers, bidirectional):
    layers = pair(cell, 3, 5, num_layers, bidirectional=bidirectional, dtype=dtype)
    x = torch.randn(4, 3, 3, dtype=dtype)
    ours, theirs = (list(tensors(layer(x))) for layer in layers)
    assert [part.stride() for part in ours] == [part.stride() for part in theirs]
    assert ours[0].view(12, -1).shape == theirs[0].view(12, -1).shape


@pytest.mark.usefixtures("types_unchecked")
def test_a_symbolic_trace_hands_states_from_layer_to_layer_as_with_torchs():
    class Translator(nn.Module):
        def __init__(self, cls):
            super().__init__()
            self.encode, self.decode = cls(3, 4), cls(3, 4)

        def forward(self, x):
            _, state = self.encode(x)
            return self.decode(x, state)[0]

    x = torch.randn(5, 2, 3)
    for cls in (RNN, GRU, LSTM):
        model = Translator(cls)
        assert torch.equal(torch.fx.symbolic_trace(model)(x), model(x))
