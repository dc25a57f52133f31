"""RNN, GRU and LSTM are torch's modules, with lengths."""

import copy
import pickle

import pytest
import torch
from pairs import EXACT, PAIRS, SINGLE, assert_same, pair, start_of, tensors
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from throughtime.nn import GRU, LSTM, RNN, run_layers

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

each_cell = pytest.mark.parametrize("cell", PAIRS)
each_plain_cell = pytest.mark.parametrize("cell", [cell for cell in PAIRS if cell != "lstm-projected"])
each_stack = pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (1, True), (2, False), (3, True)])
each_dtype = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, EXACT), (torch.float32, SINGLE)], ids=["float64", "float32"]
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@each_cell
@each_stack
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_have_torchs_names_order_shapes_and_values(cell, num_layers, bidirectional, bias):
    ours, theirs = pair(cell, 3, 4, num_layers, bias=bias, bidirectional=bidirectional)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [len(part) for part in ours.all_weights] == [len(part) for part in theirs.all_weights]
    assert_same(ours.all_weights, theirs.all_weights, rtol=0, atol=0)
    # and both ways, for weights that another seed gave
    again = type(ours)(3, 4, num_layers, bias=bias, bidirectional=bidirectional, **PAIRS[cell][2])
    again.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(again.state_dict())
    assert repr(ours) == repr(theirs)


@each_plain_cell
def test_arguments_are_torchs_in_its_order(cell):
    ours, theirs, own = PAIRS[cell]
    arguments = [3, 4, 2, *own.values(), *(["tanh"] if cell == "tanh" else []), False, True, 0.25, True]
    one, other = ours(*arguments), theirs(*arguments)
    for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"):
        assert getattr(one, name) == getattr(other, name)
        assert type(getattr(one, name)) is type(getattr(other, name))
    assert (one.bidirectional, one.proj_size) == (other.bidirectional, other.proj_size)
    assert repr(one) == repr(other)


def test_an_lstm_takes_its_projection_device_and_dtype_by_place_as_torchs():
    arguments = (3, 4, 2, True, False, 0.0, False, 2, "cpu", torch.float64)
    assert LSTM(*arguments).weight_hr_l1.dtype == nn.LSTM(*arguments).weight_hr_l1.dtype == torch.float64


@each_cell
@each_stack
@each_dtype
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_a_layer_runs_as_torchs(cell, num_layers, bidirectional, batch_first, started, dtype, tolerance):
    ours, theirs = pair(cell, 3, 4, num_layers, bidirectional=bidirectional, batch_first=batch_first, dtype=dtype)
    x = torch.randn(5, 7, 3, dtype=dtype)
    hx = start_of(ours, (5 if batch_first else 7,), dtype=dtype) if started else None
    assert_same(ours(x, hx), theirs(x, hx), **tolerance)


@each_cell
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_series_without_a_batch_axis_is_taken_as_torch_takes_it(cell, batch_first):
    ours, theirs = pair(cell, 3, 4, 2, batch_first=batch_first, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 3, dtype=torch.float64)
    for hx in (None, start_of(ours, (), dtype=torch.float64)):
        assert_same(ours(x, hx), theirs(x, hx), **EXACT)
    # with a length, it is the shorter series
    y, end = ours(x, lengths=torch.tensor([4]))
    assert_same((y[:4], end), theirs(x[:4]), **EXACT)


@each_cell
@each_stack
def test_ragged_series_run_as_torchs_packed_ones_each_direction_to_the_series_own_end(cell, num_layers, bidirectional):
    ours, theirs = pair(cell, 3, 4, num_layers, bidirectional=bidirectional, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 7, 5, 7])
    x = torch.randn(7, 5, 3, dtype=torch.float64)
    found = ours(x, lengths=lengths)
    packed, end = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
    assert_same(found, (pad_packed_sequence(packed)[0], end), **EXACT)


@each_cell
@each_dtype
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
def test_a_packed_sequence_goes_in_and_comes_out_as_torchs(cell, started, in_order, dtype, tolerance):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, batch_first=True, dtype=dtype)
    lengths = [7, 5, 5, 1] if in_order else [5, 1, 7, 5]
    packed = pack_sequence([torch.randn(n, 3, dtype=dtype) for n in lengths], enforce_sorted=in_order)
    hx = start_of(ours, (4,), dtype=dtype) if started else None
    (one, end), (other, expected) = ours(packed, hx), theirs(packed, hx)
    assert isinstance(one, PackedSequence)
    assert_same((one, end), (other, expected), **tolerance)
    assert (one.sorted_indices is None) == in_order


@each_cell
def test_gradients_of_weights_inputs_and_states_are_torchs(cell):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)
    hx = start_of(ours, (5,), dtype=torch.float64, requires_grad=True)
    for packed in (False, True):
        grads = []
        for layer in (ours.eval(), theirs.eval()):  # in evaluation too
            found = tensors(layer(pack_padded_sequence(x, [6, 6, 4, 2, 1]) if packed else x, hx))
            loss = sum(part.sin().sum() for part in found if part.is_floating_point())
            grads.append(torch.autograd.grad(loss, [x, *tensors(hx), *layer.parameters()]))
        assert_same(*grads, **EXACT)


@each_cell
def test_inputs_and_states_need_not_be_contiguous(cell):
    ours, theirs = pair(cell, 3, 4, 2, dtype=torch.float64)
    x = torch.randn(3, 6, 10, dtype=torch.float64).permute(2, 1, 0)[::2]
    hx = start_of(ours, (12,), dtype=torch.float64)
    hx = (hx[0][:, ::2], hx[1][:, ::2]) if isinstance(hx, tuple) else hx[:, ::2]
    assert_same(ours(x, hx), theirs(x, hx), **EXACT)


@each_cell
def test_a_batch_without_series_gives_what_torch_gives(cell):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True)
    found, expected = ours(torch.randn(5, 0, 3)), theirs(torch.randn(5, 0, 3))
    assert [part.shape for part in tensors(found)] == [part.shape for part in tensors(expected)]


@each_cell
def test_what_lies_beyond_a_series_end_is_not_read(cell):
    ours, _ = pair(cell, 3, 4, 2, bidirectional=True)
    x, lengths = torch.randn(7, 3, 3), torch.tensor([7, 3, 1])
    soiled = x.clone()
    soiled[3:, 1] = soiled[1:, 2] = torch.nan
    assert_same(ours(soiled, lengths=lengths), ours(x, lengths=lengths), rtol=0, atol=0)


@each_cell
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("form", ["batch", "alone", "ragged", "packed"])
def test_states_on_request_are_those_of_every_step_of_each_layer_and_direction(cell, batch_first, form):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    time, lengths = 5, [5, 5, 5]
    x = torch.randn((3, time, 3) if batch_first else (time, 3, 3), dtype=torch.float64)
    given = {"batch": (x,), "ragged": (x, None, torch.tensor(lengths)), "alone": (x[:, 0],)}.get(form)
    if form == "ragged":
        lengths = [2, 5, 1]
        given = (x, None, torch.tensor(lengths))
    if form == "alone":
        given = (x[0] if batch_first else x[:, 0],)
    if form == "packed":
        lengths = [2, 5, 1]
        given = (pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False),)
    y, end, states = ours(*given, return_states=True)
    assert_same((y, end), ours(*given), **EXACT)

    cells = ours.mode == "LSTM"
    found = states if cells else (states,)
    if form == "alone":
        found = [state.unsqueeze(2) for state in found]
    elif batch_first:
        found = [state if form == "packed" else state.transpose(1, 2) for state in found]
    # the oracle: torch's layer, one series at a time, cut where the step is
    series = x if batch_first else x.transpose(0, 1)
    for at, length in enumerate(lengths[: 1 if form == "alone" else 3]):
        first = type(theirs)(3, 4, bidirectional=True, dtype=torch.float64, **PAIRS[cell][2])
        first.load_state_dict({name: w for name, w in theirs.state_dict().items() if "_l0" in name})
        for step in range(length):
            _, forward = first(series[at, : step + 1, None])
            _, backward = first(series[at, step:length, None])
            for state, ahead, behind in zip(found, tensors(forward), tensors(backward), strict=True):
                torch.testing.assert_close(state[0, step, at], ahead[0, 0], **EXACT)
                torch.testing.assert_close(state[1, step, at], behind[1, 0], **EXACT)
        if form in ("ragged", "packed"):
            assert all((state[:, length:, at] == 0).all() for state in found)
    # and the second layer's, where its run ends
    for state, last in zip(found, tensors(end), strict=True):
        for at, length in enumerate(lengths[: 1 if form == "alone" else 3]):
            whole = last.unsqueeze(1) if form == "alone" else last
            torch.testing.assert_close(state[2, length - 1, at], whole[2, at], **EXACT)
            torch.testing.assert_close(state[3, 0, at], whole[3, at], **EXACT)


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_silences_what_torch_silences_for_the_same_seed(cell, bidirectional):
    ours, theirs = pair(cell, 3, 4, 3, dropout=0.4, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    found = []
    for layer in (ours, theirs):
        torch.manual_seed(7)
        found.append(layer(x))
    assert_same(*found, **EXACT)
    assert not torch.equal(found[0][0], ours(x)[0])
    assert_same(ours.eval()(x), theirs.eval()(x), **EXACT)


@each_cell
@each_dtype
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[5, 5, 5], [6, 4, 4, 1], [2, 6, 1, 5]], ids=["equal", "in order", "in any order"])
def test_dropout_of_packed_series_silences_what_torch_silences_and_leaves_its_generator_where_torch_does(
    cell, num_layers, bidirectional, lengths, dtype, tolerance
):
    if num_layers == 1:
        with pytest.warns(UserWarning, match="num_layers=1"):
            layers = pair(cell, 3, 4, dropout=0.4, bidirectional=bidirectional, dtype=dtype)
    else:
        layers = pair(cell, 3, 4, num_layers, dropout=0.4, bidirectional=bidirectional, dtype=dtype)
    series = [torch.randn(n, 3, dtype=dtype) for n in lengths]
    found, drawn_next = [], []
    for layer in layers:
        torch.manual_seed(7)
        found.append(layer(pack_sequence(series, enforce_sorted=False)))
        drawn_next.append(torch.rand(3))
    assert_same(*found, **tolerance)
    assert torch.equal(*drawn_next)


def test_a_layer_with_all_its_outputs_dropped_feeds_zeros_to_the_next():
    torch.manual_seed(1)
    layer = GRU(3, 4, 2, dropout=1.0).train()
    last = GRU(4, 4)
    last.load_state_dict({name.replace("_l1", "_l0"): w for name, w in layer.state_dict().items() if "_l1" in name})
    assert torch.equal(layer(torch.randn(6, 5, 3))[0], last(torch.zeros(6, 5, 4))[0])


@each_cell
def test_a_layer_can_be_copied_pickled_moved_and_flattened(cell):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, dropout=0.1)
    x = torch.randn(6, 5, 3)
    ours.eval().flatten_parameters()
    expected = ours(x)
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert not again.training
        assert_same(again(x), expected, rtol=0, atol=0)
        assert not any(one is other for one, other in zip(again.parameters(), ours.parameters(), strict=True))
    vector = parameters_to_vector(theirs.parameters())
    assert torch.equal(parameters_to_vector(ours.parameters()), vector)
    vector_to_parameters(vector * 2, ours.parameters())
    vector_to_parameters(vector * 2, theirs.parameters())
    assert_same(ours(x), theirs.eval()(x), **SINGLE)
    assert_same(ours.double()(x.double()), theirs.double()(x.double()), **EXACT)
    assert {weight.device.type for weight in ours.to("meta").parameters()} == {"meta"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_layer_is_made_and_runs_in_any_dtype(dtype):
    layer = GRU(3, 4, dtype=dtype)
    y, h_n = layer(torch.randn(5, 2, 3, dtype=dtype))
    assert {weight.dtype for weight in layer.parameters()} == {y.dtype} == {h_n.dtype} == {dtype}


@each_plain_cell
def test_under_autocast_an_input_of_either_dtype_is_taken(cell):
    ours, _ = pair(cell, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = ours(torch.ones(5, 2, 3, dtype=torch.bfloat16))
    assert y.isfinite().all()


@each_plain_cell
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
    torch.testing.assert_close(ends[0][0, 2:], next(tensors(top)), **EXACT)


def test_the_nonlinearity_is_kept_as_torchs():
    assert RNN(3, 4, nonlinearity="relu").nonlinearity == nn.RNN(3, 4, nonlinearity="relu").nonlinearity == "relu"
    assert RNN(3, 4).nonlinearity == "tanh"
