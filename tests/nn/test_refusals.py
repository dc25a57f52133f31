"""The layers refuse what torch's refuse, with the same exception and the same words."""

import pytest
import torch
from pairs import PAIRS, pair
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from throughtime.nn import GRU, LSTM, RNN

CELLS = ["tanh", "gru", "lstm"]
each_cell = pytest.mark.parametrize("cell", CELLS)

CONSTRUCTIONS = {
    "dropout above one": {"dropout": 1.5},
    "dropout below zero": {"dropout": -0.1},
    "dropout a truth value": {"dropout": True},
    "no layers": {"num_layers": 0},
    "a share of a layer": {"num_layers": 1.5},
    "no inputs": {"input_size": 0},
    "inputs a float": {"input_size": 2.0},
    "no units": {"hidden_size": 0},
    "units a text": {"hidden_size": "4"},
    "bias a number": {"bias": 1},
    "batch_first a number": {"batch_first": 1},
    "projection": {"proj_size": 4},
    "projection below zero": {"proj_size": -1},
    "projection as wide": {"proj_size": 4, "num_layers": 2},
}


def refusal(call):
    """The type and the words of whatever is raised: the other's must be the same."""
    with pytest.raises(Exception, match=r".") as caught:
        call()
    return type(caught.value), str(caught.value)


@each_cell
@pytest.mark.parametrize("options", CONSTRUCTIONS.values(), ids=CONSTRUCTIONS)
@pytest.mark.usefixtures("types_unchecked")
def test_a_constructor_refuses_in_torchs_words(cell, options):
    ours, theirs, own = PAIRS[cell]
    arguments = {"input_size": 3, "hidden_size": 4, **own, **options}
    assert refusal(lambda: ours(**arguments)) == refusal(lambda: theirs(**arguments))


@each_cell
def test_dropout_without_a_layer_above_is_warned_of_in_torchs_words(cell):
    ours, theirs, own = PAIRS[cell]
    messages = []
    for module in (ours, theirs):
        with pytest.warns(UserWarning, match="num_layers=1") as caught:
            module(3, 4, dropout=0.5, **own)
        messages.append([str(warning.message) for warning in caught])
    assert messages[0] == messages[1]


def states(cell, *shape, **options):
    h = torch.zeros(*shape, **options)
    return (h, h) if cell == "lstm" else h


CALLS = {
    "one axis": lambda _: (torch.ones(3),),
    "four axes": lambda _: (torch.ones(1, 5, 2, 3),),
    "other channels": lambda _: (torch.ones(5, 2, 4),),
    "other channels without a batch": lambda _: (torch.ones(5, 4),),
    "no steps": lambda _: (torch.ones(0, 2, 3),),
    "no steps without a batch": lambda _: (torch.ones(0, 3),),
    "whole numbers": lambda _: (torch.ones(5, 2, 3, dtype=torch.long),),
    "float64": lambda _: (torch.ones(5, 2, 3, dtype=torch.float64),),
    "other device": lambda _: (torch.ones(5, 2, 3, device="meta"),),
    "hx of two axes for a batch": lambda cell: (torch.ones(5, 2, 3), states(cell, 2, 4)),
    "hx of three axes for one series": lambda cell: (torch.ones(5, 3), states(cell, 2, 1, 4)),
    "hx of another batch": lambda cell: (torch.ones(5, 2, 3), states(cell, 2, 3, 4)),
    "hx of other units": lambda cell: (torch.ones(5, 2, 3), states(cell, 2, 2, 5)),
    "hx of other layers": lambda cell: (torch.ones(5, 2, 3), states(cell, 1, 2, 4)),
    "hx of other units for one series": lambda cell: (torch.ones(5, 3), states(cell, 2, 5)),
    "hx on another device": lambda cell: (torch.ones(5, 2, 3), states(cell, 2, 2, 4, device="meta")),
}


@each_cell
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.usefixtures("types_unchecked")
def test_a_call_is_refused_in_torchs_words(cell, batch_first, call):
    layers = pair(cell, 3, 4, 2, batch_first=batch_first)
    arguments = (torch.ones(2, 0, 3),) if batch_first and call is CALLS["no steps"] else call(cell)
    ours, theirs = (refusal(lambda layer=layer: layer(*arguments)) for layer in layers)
    assert ours == theirs


@pytest.mark.usefixtures("types_unchecked")
def test_each_state_of_an_lstm_is_checked_as_torchs():
    x, good, bad = torch.ones(5, 2, 3), torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)
    for hx in ((good, bad), (bad, good), (good, good[0]), (good[0], good)):
        ours, theirs = (refusal(lambda layer=layer, hx=hx: layer(x, hx)) for layer in pair("lstm", 3, 4))
        assert ours == theirs
    for size in (2, 4):  # of h, whose own is 3
        hx = (torch.zeros(1, 2, size), good)
        ours, theirs = (refusal(lambda layer=layer, hx=hx: layer(x, hx)) for layer in pair("lstm", 3, 4, proj_size=3))
        assert ours == theirs


@each_cell
def test_a_state_of_another_dtype_is_refused_as_by_torch(cell):
    # torch's words differ by cell and library ("mat1 and mat2 ...", "get_mkldnn_dtype"); its type does not
    hx = states(cell, 1, 2, 4, dtype=torch.float64)
    ours, theirs = (refusal(lambda layer=layer: layer(torch.ones(5, 2, 3), hx)) for layer in pair(cell, 3, 4))
    assert ours[0] is theirs[0] is RuntimeError
    assert ours[1].startswith("Input and hidden tensors are not the same dtype, found input tensor with torch.float32")


@each_cell
@pytest.mark.usefixtures("types_unchecked")
def test_a_packed_series_is_refused_in_torchs_words(cell):
    # torch's LSTM looks at a packed series in its kernel only; ours then says what torch's GRU says
    packed = pack_padded_sequence(torch.ones(5, 2, 3), torch.tensor([5, 2]))
    for broken in (packed.data[:, :2], packed.data[None], packed.data.double()):
        given = PackedSequence(broken, packed.batch_sizes)
        ours, theirs = (
            refusal(lambda layer=layer, given=given: layer(given))
            for layer in (PAIRS[cell][0](3, 4, 2), nn.RNN(3, 4, 2) if cell == "tanh" else nn.GRU(3, 4, 2))
        )
        assert ours == theirs
    if cell != "lstm":
        for shape in ((2, 3, 4), (2, 2, 5)):
            layers = pair(cell, 3, 4, 2)
            ours, theirs = (refusal(lambda layer=layer, s=shape: layer(packed, states(cell, *s))) for layer in layers)
            assert ours == theirs


@pytest.mark.parametrize("lengths", [[0, 3], [3, 8], [3], [3, 3, 3], [-1, 3]])
def test_lengths_that_no_series_can_have_are_refused(lengths):
    with pytest.raises(ValueError, match=r"lengths needs 1 to 7 steps for each of 2 series, got \["):
        GRU(3, 4)(torch.randn(7, 2, 3), lengths=torch.tensor(lengths))


def test_lengths_need_whole_numbers_and_a_padded_input():
    with pytest.raises(TypeError, match=r"lengths needs whole numbers, got torch\.float32"):
        GRU(3, 4)(torch.randn(7, 2, 3), lengths=torch.tensor([7.0, 3.0]))
    packed = pack_padded_sequence(torch.ones(5, 2, 3), torch.tensor([5, 2]))
    with pytest.raises(ValueError, match="lengths needs a padded input, got a PackedSequence"):
        GRU(3, 4)(packed, lengths=torch.tensor([5, 2]))


@pytest.mark.parametrize("option", ["variational_dropout", "recurrent_dropout", "zoneout"])
@pytest.mark.parametrize("rate", [-0.1, 1.1, "half", None, True])
@pytest.mark.usefixtures("types_unchecked")
def test_rates_of_noise_are_numbers_from_0_to_1(option, rate):
    with pytest.raises(ValueError, match=f"{option} needs a number from 0 to 1, got {rate!r}"):
        LSTM(3, 4, **{option: rate})


@pytest.mark.usefixtures("types_unchecked")
def test_noise_that_a_cell_has_no_place_for_is_refused():
    with pytest.raises(ValueError, match=r"candidate_dropout needs a cell with a place for it .*, got RNN"):
        RNN(3, 4, candidate_dropout=0.5)
    with pytest.raises(ValueError, match=r"cell_zoneout needs a cell with a place for it .*, got GRU"):
        GRU(3, 4, cell_zoneout=0.5)
    with pytest.raises(TypeError, match=r"GRU\.__init__\(\) got an unexpected keyword argument 'drop'"):
        GRU(3, 4, drop=0.5)


def test_an_unknown_nonlinearity_is_refused_in_torchs_words():
    ours, theirs = (refusal(lambda module=module: module(3, 4, nonlinearity="sinh")) for module in (RNN, nn.RNN))
    assert ours == theirs
