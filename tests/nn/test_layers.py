"""RNN, GRU and LSTM are torch's modules, with lengths."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.nn import GRU, LSTM, RNN, run_layers

PAIRS = {
    "tanh": (RNN, nn.RNN, {}),
    "relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, nn.GRU, {}),
    "lstm": (LSTM, nn.LSTM, {}),
}
#: float64 keeps 16 digits; three layers and 7 steps of sums of 10 terms of order 1 lose three of them
EXACT = {"rtol": 1e-12, "atol": 1e-12}

each_cell = pytest.mark.parametrize("cell", PAIRS)
each_stack = pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (1, True), (2, False), (3, True)])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def pair(cell, *sizes, **options):
    """Ours and torch's layer, started from the same seed of torch."""
    ours, theirs, own = PAIRS[cell]
    made = []
    for module in (ours, theirs):
        torch.manual_seed(5)
        made.append(module(*sizes, **own, **options))
    return made


def states_of(end):
    return end if isinstance(end, tuple) else (end,)


@each_cell
@each_stack
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_have_torchs_names_order_shapes_and_values(cell, num_layers, bidirectional, bias):
    ours, theirs = pair(cell, 3, 4, num_layers, bias=bias, bidirectional=bidirectional)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    # and both ways, for weights that another seed gave
    again = type(ours)(3, 4, num_layers, bias=bias, bidirectional=bidirectional)
    again.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(again.state_dict())
    assert repr(ours) == repr(theirs)


@each_cell
@each_stack
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_a_layer_runs_as_torchs(cell, num_layers, bidirectional, batch_first, started):
    options = {"bidirectional": bidirectional, "batch_first": batch_first, "dtype": torch.float64}
    ours, theirs = pair(cell, 3, 4, num_layers, **options)
    x = torch.randn(5, 7, 3, dtype=torch.float64)
    hx = None
    if started:
        shape = (num_layers * (1 + bidirectional), 5 if batch_first else 7, 4)
        hx = torch.randn(shape, dtype=torch.float64)
        hx = (hx, torch.randn(shape, dtype=torch.float64)) if cell == "lstm" else hx
    for one, other in zip(ours(x, hx), theirs(x, hx), strict=True):
        for found, expected in zip(states_of(one), states_of(other), strict=True):
            torch.testing.assert_close(found, expected, **EXACT)


@each_cell
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_series_without_a_batch_axis_is_taken_as_torch_takes_it(cell, batch_first):
    ours, theirs = pair(cell, 3, 4, 2, batch_first=batch_first, bidirectional=True, dtype=torch.float64)
    x, state = torch.randn(6, 3, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)
    for hx in (None, (state, state) if cell == "lstm" else state):
        for one, other in zip(ours(x, hx), theirs(x, hx), strict=True):
            for found, expected in zip(states_of(one), states_of(other), strict=True):
                torch.testing.assert_close(found, expected, **EXACT)


@each_cell
@each_stack
def test_ragged_series_run_as_torchs_packed_ones_each_direction_to_the_series_own_end(cell, num_layers, bidirectional):
    ours, theirs = pair(cell, 3, 4, num_layers, bidirectional=bidirectional, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 7, 5, 7])
    x = torch.randn(7, 5, 3, dtype=torch.float64)
    y, end = ours(x, lengths=lengths)
    packed, expected = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
    torch.testing.assert_close(y, pad_packed_sequence(packed)[0], **EXACT)
    for found, state in zip(states_of(end), states_of(expected), strict=True):
        torch.testing.assert_close(found, state, **EXACT)


@each_cell
def test_gradients_of_weights_inputs_and_states_are_torchs(cell):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)
    start = torch.randn(4, 5, 4, dtype=torch.float64, requires_grad=True)
    hx = (start, start) if cell == "lstm" else start
    grads = []
    for layer in (ours, theirs):
        y, end = layer(x, hx)
        loss = y.sin().sum() + sum(state.cos().sum() for state in states_of(end))
        grads.append(torch.autograd.grad(loss, [x, start, *layer.parameters()]))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("lengths", [[0, 3], [3, 8], [3], [3, 3, 3]])
def test_lengths_that_no_series_can_have_are_refused(lengths):
    with pytest.raises(ValueError, match=r"lengths needs 1 to 7 steps for each of 2 series, got \["):
        GRU(3, 4)(torch.randn(7, 2, 3), lengths=torch.tensor(lengths))


def test_an_unknown_nonlinearity_is_refused_in_torchs_words():
    messages = []
    for module in (RNN, nn.RNN):
        with pytest.raises(ValueError, match="Unknown nonlinearity") as refusal:
            module(3, 4, nonlinearity="sinh")
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


@each_cell
def test_dropout_acts_between_layers_while_training_only(cell):
    plain, _ = pair(cell, 3, 40, 2)
    silenced, _ = pair(cell, 3, 40, 2, dropout=0.5)
    x = torch.randn(6, 5, 3)
    silenced.eval()
    assert torch.equal(plain(x)[0], silenced(x)[0])
    silenced.train()
    y, end = silenced(x)
    h_n = states_of(end)[0]
    assert torch.equal(h_n[0], states_of(plain(x)[1])[0][0])  # the first layer itself is whole
    assert not torch.equal(y, plain(x)[0])
    if cell != "relu":
        assert (y != 0).all()  # and so is the last one's output
    assert not torch.equal(y, silenced(x)[0])


def test_a_layer_with_all_its_outputs_dropped_feeds_zeros_to_the_next():
    torch.manual_seed(1)
    layer = GRU(3, 4, 2, dropout=1.0).train()
    _, last = GRU(3, 4, 2), GRU(4, 4)
    last.load_state_dict({name.replace("_l1", "_l0"): w for name, w in layer.state_dict().items() if "_l1" in name})
    x = torch.randn(6, 5, 3)
    assert torch.equal(layer(x)[0], last(torch.zeros(6, 5, 4))[0])


@each_cell
def test_masks_multiply_what_a_layer_hands_to_the_next(cell):
    _, below = pair(cell, 3, 4, bidirectional=True, dtype=torch.float64)
    torch.manual_seed(9)
    above = type(below)(8, 4, bidirectional=True, dtype=torch.float64, **PAIRS[cell][2])
    kind = {"tanh": "rnn_tanh", "relu": "rnn_relu"}.get(cell, cell)
    weights = {name: w[None] for name, w in below.named_parameters()}
    weights |= {name.replace("_l0", "_l1"): w[None] for name, w in above.named_parameters()}
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    mask = torch.rand(6, 5, 8, dtype=torch.float64)
    y, ends = run_layers(
        kind, weights, x[None], torch.full((1, 5), 6), num_layers=2, bidirectional=True, masks=[mask[None]]
    )
    expected, top = above(below(x)[0] * mask)
    torch.testing.assert_close(y[0], expected, **EXACT)
    torch.testing.assert_close(ends[0][0, 2:], states_of(top)[0], **EXACT)
