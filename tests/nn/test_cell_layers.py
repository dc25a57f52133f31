"""Layers and networks of cells that torch does not have."""

import copy
import pickle
from typing import Any

import pytest
import torch
from pairs import EXACT, assert_same
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.errors import ParameterError
from throughtime.kernels import CELLS, CellSpec, one_thread
from throughtime.nn import (
    GRU,
    LSTM,
    RNN,
    Architecture,
    CellRNN,
    LinearRNN,
    PeepholeLSTM,
    SequenceNetwork,
    convert,
    forward,
    initial_weights,
    stack,
    weight_shapes,
)

LAYERS = {"linear": LinearRNN, "peephole_lstm": PeepholeLSTM}
TORCHS = {
    "rnn_tanh": RNN,
    "rnn_relu": lambda *sizes, **o: RNN(*sizes, nonlinearity="relu", **o),
    "gru": GRU,
    "lstm": LSTM,
}
LENGTHS = torch.tensor([3, 9, 1, 6])
each_cell = pytest.mark.parametrize("cell", LAYERS)
each_shape = pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def leaky(from_x: Tensor, from_h: Tensor, state: Any, unit_weights: Any, _mask: Any) -> tuple[Tensor, ...]:
    (h,), (rate,) = state, unit_weights
    return (h + torch.sigmoid(rate) * (torch.tanh(from_x + from_h) - h),)


LEAKY = CellSpec("leaky", gates=("n",), step=leaky, unit_weights=("weight_rate",))


@each_shape
@pytest.mark.parametrize("cell", TORCHS)
def test_a_layer_of_a_cell_is_the_layer_that_torch_has_of_it(cell: str, num_layers: int, bidirectional: bool) -> None:
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "dtype": torch.float64}
    layer, expected = CellRNN(cell, 3, 5, **options), TORCHS[cell](3, 5, **options)
    assert [name for name, _ in layer.named_parameters()] == [name for name, _ in expected.named_parameters()]
    expected.load_state_dict(layer.state_dict())
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    ours, theirs = (module(x, lengths=LENGTHS, return_states=True) for module in (layer, expected))
    assert_same(ours, theirs, **EXACT)


@each_shape
@each_cell
def test_every_form_of_a_call_gives_the_same(cell: str, num_layers: int, bidirectional: bool) -> None:
    layer = LAYERS[cell](3, 5, num_layers, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    y, end = layer(x, lengths=LENGTHS)
    packed, packed_end = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    assert_same((pad_packed_sequence(packed)[0], packed_end), (y, end), **EXACT)
    traced = layer(x, lengths=LENGTHS, return_states=True)
    assert_same(traced[:2], (y, end), **EXACT)
    h = traced[2] if cell == "linear" else traced[2][0]
    assert_same(torch.cat(h[-1 - bidirectional :].unbind(0), -1), y, **EXACT)
    first = copy.deepcopy(layer)
    first.batch_first = True
    assert_same(first(x.transpose(0, 1), lengths=LENGTHS)[0].transpose(0, 1), y, **EXACT)
    one, ended = layer(x[:, 1])  # without a batch axis
    assert_same((one, ended), (y[:, 1], tuple(s[:, 1] for s in end) if isinstance(end, tuple) else end[:, 1]), **EXACT)
    loaded = pickle.loads(pickle.dumps(layer))
    assert torch.equal(loaded(x, lengths=LENGTHS)[0], y)


@each_cell
def test_a_run_goes_on_from_the_state_it_ended_in(cell: str) -> None:
    layer = LAYERS[cell](3, 5, 2, bias=False, dtype=torch.float64)
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    y, end = layer(x)
    before, state = layer(x[:5])
    after, again = layer(x[5:], state)
    assert_same((torch.cat([before, after]), again), (y, end), **EXACT)


@pytest.mark.parametrize("path", ["padded", "packed", "states"])
@each_cell
def test_gradients_agree_with_difference_quotients(cell: str, path: str) -> None:
    layer = LAYERS[cell](2, 2, 1, bidirectional=True, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]
    lengths = torch.tensor([2, 4])

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        given = (
            (pack_padded_sequence(x, lengths, enforce_sorted=False),)
            if path == "packed"
            else (x, None, lengths, path == "states")
        )
        found = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), given)
        return pad_packed_sequence(found[0])[0] if path == "packed" else found[0]

    leaves = [w.detach().requires_grad_() for w in layer.parameters()]
    assert torch.autograd.gradcheck(run, [torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True), *leaves])


@each_cell
def test_noise_acts_while_training_and_zoneouts_expectation_after(cell: str) -> None:
    rates = {"recurrent_dropout": 0.5, "variational_dropout": 0.2}
    rates |= {"candidate_dropout": 0.5, "cell_zoneout": 0.5} if cell == "peephole_lstm" else {}
    layer = LAYERS[cell](3, 5, dtype=torch.float64, **rates)
    plain = LAYERS[cell](3, 5, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert torch.equal(layer(x)[0], plain(x)[0]) == ("cell_zoneout" not in rates)


def test_noise_that_a_cell_has_no_place_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cell_zoneout needs a cell with a place for it \(lstm, peephole_lstm\)"):
        LinearRNN(3, 4, cell_zoneout=0.5)
    quiet = CellSpec("quiet", gates=("n",), step=leaky, unit_weights=("weight_rate",), noise=())
    with pytest.raises(ValueError, match=r"zoneout needs a cell with a place for it \(rnn_tanh, .*, got quiet"):
        CellRNN(quiet, 3, 4, zoneout=0.5)


@pytest.mark.filterwarnings("ignore:.torch.jit.*. is (deprecated|not supported):DeprecationWarning")
def test_torch_has_no_such_layer_and_convert_says_so() -> None:
    model = nn.Sequential(GRU(3, 4), LinearRNN(4, 5))
    assert convert(model)[1] is model[1]
    with pytest.raises(ValueError, match=r"LinearRNN of cell linear in 1: torch has no such layer"):
        convert(model, to="torch")
    assert type(model[0]) is GRU  # nothing was swapped
    with pytest.raises(RuntimeError, match="needs a layer that torch has too"), torch.no_grad():
        torch.jit.trace(model[1], torch.randn(2, 3, 4), check_trace=False)


@pytest.mark.parametrize("cell", [*LAYERS, LEAKY], ids=str)
def test_stacked_layers_are_each_the_layer_alone(cell: str | CellSpec) -> None:
    layers = [CellRNN(cell, 3, 5, 2, batch_first=True, bidirectional=True, dtype=torch.float64) for _ in range(3)]
    together = stack(layers)
    x = torch.randn(3, 4, 7, 3, dtype=torch.float64)
    found = together(x)[0]
    expected = torch.stack([layer(own)[0] for layer, own in zip(layers, x, strict=True)])
    torch.testing.assert_close(found, expected, **EXACT)
    found.sin().sum().backward()
    expected.sin().sum().backward()
    for name, weight in together.module.named_parameters():
        theirs = torch.stack([layer.get_parameter(name).grad for layer in layers])
        torch.testing.assert_close(weight.grad, theirs, **EXACT)


each_net = pytest.mark.parametrize(
    "net",
    [
        Architecture(cell, 3, 5, *shape, pooling, 2)
        for cell in (*LAYERS, LEAKY)
        for shape, pooling in (((1, False), "steps"), ((2, True), "mean"))
    ],
    ids=lambda net: f"{net.spec.name}-{net.pooling}",
)


@each_net
def test_a_networks_module_is_what_its_members_run_through(net: Architecture) -> None:
    network = SequenceNetwork(net, dtype=torch.float64).eval()
    assert {name: tuple(w.shape) for name, w in network.named_parameters()} == weight_shapes(net)
    assert list(weight_shapes(net)) == [name for name, _ in network.named_parameters()]
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    weights = {name: weight[None] for name, weight in network.named_parameters()}
    found = forward(net, weights, x.transpose(0, 1)[None], LENGTHS[None])[0]  # shift 0 and scale 1
    expected = network(x, LENGTHS)
    torch.testing.assert_close(found.transpose(0, 1) if net.pooling == "steps" else found, expected, **EXACT)


@each_net
def test_a_networks_bits_for_a_member_do_not_depend_on_its_neighbors(net: Architecture) -> None:
    weights = {name: torch.randn(5, *shape) / 3 for name, shape in weight_shapes(net).items()}
    x, lengths = torch.randn(5, 9, 8, 3), torch.randint(1, 10, (5, 8))
    with one_thread():
        together = forward(net, weights, x, lengths)
        for m in range(5):
            alone = forward(net, {name: w[m : m + 1] for name, w in weights.items()}, x[m : m + 1], lengths[m : m + 1])
            assert torch.equal(alone[0], together[m])


def test_peepholes_start_as_torchs_weights_do_and_else_at_zero() -> None:
    net = Architecture("peephole_lstm", 3, 16, 1, False, "last", 2)
    torchs, xavier = (initial_weights(net, init, 0, torch.float64) for init in ("torch", "xavier_uniform"))
    for name in ("weight_ci", "weight_cf", "weight_co"):
        own = torchs[f"recurrent.{name}_l0"]
        assert own.abs().max() <= 1 / 4
        assert own.std() > 0.05
        assert not xavier[f"recurrent.{name}_l0"].any()
    lstm = initial_weights(Architecture("lstm", 3, 16, 1, False, "last", 2), "xavier_uniform", 0, torch.float64)
    for name, weight in lstm.items():
        assert torch.equal(weight, xavier[name])


def test_what_a_network_cannot_have_of_a_cell_is_refused() -> None:
    sizes = 3, 5, 1, False, "last", 2
    with pytest.raises(ParameterError, match="nonlinearity='relu' needs cell='rnn', got cell='leaky'"):
        Architecture(LEAKY, *sizes, nonlinearity="relu")
    imitation = CellSpec("gru", gates=("n",), step=leaky, unit_weights=("weight_rate",))
    with pytest.raises(ParameterError, match="needs a name of its own, got 'gru'"):
        Architecture(imitation, *sizes)
    masked = CellSpec("masked", gates=("n",), step=leaky, unit_weights=("weight_rate",), inputs=("value", "mask"))
    with pytest.raises(ParameterError, match="cell masked needs value, mask, got a network that feeds value"):
        Architecture(masked, *sizes)
    assert Architecture(CELLS["gru"], *sizes).spec is CELLS["gru"]
    assert [Architecture(cell, *sizes).kind for cell in ("linear", "peephole_lstm", LEAKY, "lstm")] == [
        *[None] * 3,
        "lstm",
    ]
