"""Under autocast our layers give the dtypes that torch's give, and refuse what torch's refuse."""

from itertools import product

import pytest
import torch
from pairs import PAIRS, assert_same, pair, start_of, tensors
from torch.nn.utils.rnn import pack_padded_sequence

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

each_cell = pytest.mark.parametrize("cell", PAIRS)
each_low = pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
#: bfloat16 keeps 8 bits: rounded once, a value below 1 is off by 0.4 % of it; torch rounds at every step
ROUNDED = {"rtol": 0.03, "atol": 0.03}


def outcome(call):
    """The dtypes of what comes back, or the type of what is raised."""
    try:
        return [part.dtype for part in tensors(call()) if part.is_floating_point()]
    except RuntimeError as error:
        if "primitive descriptor" in str(error):  # a CPU on which oneDNN has no float16: torch's LSTM cannot run
            return None
        return RuntimeError


@pytest.mark.parametrize(("cell", "onednn"), [*((cell, True) for cell in PAIRS), ("lstm", False)])
@each_low
@pytest.mark.parametrize("form", ["batch", "alone", "packed"])
def test_results_have_torchs_dtypes_for_inputs_states_and_weights_of_any_dtype(cell, onednn, low, form, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    dtypes = (torch.float32, torch.float64, low)
    batch = () if form == "alone" else (2,)
    for weight in dtypes:
        layers = pair(cell, 3, 4, dtype=weight)
        for given, started in product(dtypes, (None, *dtypes)):
            x = torch.ones(5, *batch, 3, dtype=given)
            x = pack_padded_sequence(x, [5, 3]) if form == "packed" else x
            hx = None if started is None else start_of(layers[0], batch, dtype=started)
            with torch.autocast("cpu", low), torch.set_grad_enabled(given == low):
                ours, theirs = (outcome(lambda layer=layer, x=x, hx=hx: layer(x, hx)) for layer in layers)
            assert theirs is None or ours == theirs, (weight, given, started)


@each_cell
def test_values_and_gradients_are_those_of_float32_rounded(cell):
    torch.manual_seed(0)
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True)
    x, hx = torch.randn(5, 2, 3), start_of(ours, (2,))
    found = []
    for layer in (ours, theirs):
        with torch.autocast("cpu", torch.bfloat16):
            results = layer(x, hx)
        loss = sum(part.float().sin().sum() for part in tensors(results))
        found.append([results, torch.autograd.grad(loss, list(layer.parameters()))])
    exact = ours(x, hx)
    for one, other, low in zip(tensors(found[0][0]), tensors(exact), tensors(found[1][0]), strict=True):
        assert torch.equal(one, other.to(one.dtype))
        torch.testing.assert_close(one, low, **ROUNDED)
    # each of 80 terms of order 1 was rounded
    assert_same(found[0][1], found[1][1], rtol=0.1, atol=0.1)


@each_cell
def test_a_state_that_comes_out_goes_in_again(cell):
    layers = pair(cell, 3, 4)
    x = torch.randn(5, 2, 3)
    for grad in (True, False):
        with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(grad):
            ours, theirs = ([first := layer(x), layer(x, first[1])] for layer in layers)
        assert [part.dtype for part in tensors(ours)] == [part.dtype for part in tensors(theirs)]
        assert_same(ours, theirs, **ROUNDED)


@each_cell
def test_states_on_request_have_the_dtypes_of_the_last_ones(cell):
    ours, _ = pair(cell, 3, 4, 2)
    with torch.autocast("cpu", torch.bfloat16):
        _, end, steps = ours(torch.randn(5, 2, 3), return_states=True)
    assert [part.dtype for part in tensors(steps)] == [part.dtype for part in tensors(end)]


@each_cell
@pytest.mark.parametrize("lengths", [None, [5, 4, 1]], ids=["padded", "packed"])
def test_dropout_leaves_the_generator_where_torch_does(cell, lengths):
    drawn = []
    x = torch.randn(5, 3, 3)
    for layer in pair(cell, 3, 4, 3, dropout=0.5):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16):
            layer(x if lengths is None else pack_padded_sequence(x, lengths))
        drawn.append(torch.rand(2))
    assert torch.equal(*drawn)


def test_outside_autocast_dtypes_must_agree_as_before():
    for layer in pair("gru", 3, 4):
        with torch.autocast("cpu", torch.bfloat16, enabled=False), pytest.raises(ValueError, match="weight dtype"):
            layer(torch.ones(5, 2, 3, dtype=torch.bfloat16))
