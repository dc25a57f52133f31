"""``initialize`` on any module, and ``init=`` on our layers."""

import copy
import pickle

import pytest
import torch
from pairs import PAIRS
from torch import nn
from torch.nn.utils import parametrizations, prune

from throughtime.kernels import CELLS, CellSpec
from throughtime.nn import (
    GRU,
    LSTM,
    RNN,
    SCHEMES,
    Architecture,
    CellRNN,
    PeepholeLSTM,
    Scheme,
    SequenceNetwork,
    convert,
    initialize,
    recommended_init,
    stack,
)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def state(module):
    return {name: weight.detach().clone() for name, weight in module.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


class Model(nn.Module):
    """Recurrent layers at several depths among others, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.first = nn.LSTM(8, 4, 2, bidirectional=True)
        self.blocks = nn.ModuleList([nn.GRU(8, 8), GRU(8, 8)])
        self.again = self.blocks[0]
        self.cell = nn.LSTMCell(8, 5)
        self.last = nn.Linear(5, 2)


@pytest.mark.parametrize("kind", PAIRS)
def test_torchs_layer_and_ours_start_the_same(kind):
    ours, theirs, options = PAIRS[kind]
    for shape in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False}):
        layers = [make(3, 6, **options | shape) for make in (ours, theirs)]
        for layer in layers:
            initialize(layer, "keras", generator=seeded())
        assert_equal(*map(state, layers))


def test_every_recurrent_layer_of_a_model_starts_anew_and_nothing_else():
    model = Model()
    before = state(model)
    assert initialize(model, "chrono", lag=30) is model
    after = state(model)
    for name, weight in after.items():
        alike = torch.equal(weight, before[name])
        assert alike is name.startswith(("embed", "last")), name
    for name, matrix in after.items():
        if "weight_hh" in name:
            for gate in matrix.chunk(3 if name.startswith(("blocks", "again")) else 4):
                torch.testing.assert_close(gate @ gate.T, torch.eye(len(gate)), rtol=0, atol=1e-5)
    i, f, *_ = model.cell.bias_ih.chunk(4)
    assert torch.equal(i, -f)
    assert f.any()


def test_linear_layers_start_anew_on_request():
    model = initialize(Model(), "xavier_uniform", linear=True)
    assert model.embed.weight.abs().max().item() <= (6 / 11) ** 0.5
    assert not model.embed.bias.any()
    torchs = initialize(Model(), "torch", linear=True, generator=seeded())
    assert 0 < torchs.last.bias.abs().max().item() <= 5**-0.5


@pytest.mark.parametrize(
    ("cell", "layer"),
    [
        (nn.RNNCell(3, 6), RNN(3, 6)),
        (nn.RNNCell(3, 6, nonlinearity="relu"), RNN(3, 6, nonlinearity="relu")),
        (nn.GRUCell(3, 6), GRU(3, 6)),
        (nn.LSTMCell(3, 6), LSTM(3, 6)),
    ],
    ids=["rnn", "relu", "gru", "lstm"],
)
def test_torchs_cells_start_as_their_layers(cell, layer):
    init = "critical" if isinstance(layer, RNN) else Scheme(forget_bias=1.0)
    for module in (cell, layer):
        initialize(module, init, generator=seeded())
    assert_equal({f"{name}_l0": weight for name, weight in state(cell).items()}, state(layer))


@pytest.mark.parametrize("init", SCHEMES)
def test_a_layer_starts_as_its_init_says_and_again_so(init):
    if init in ("torch", "chrono"):
        return  # torch's own bits, which tests/nn/test_random_calls.py compares; chrono needs a lag
    make = RNN if init == "critical" else LSTM
    torch.manual_seed(3)
    layer = make(3, 6, 2, bidirectional=True, init=init)
    torch.manual_seed(3)
    assert_equal(
        state(layer), state(initialize(make(3, 6, 2, bidirectional=True, device="meta").to_empty(device="cpu"), init))
    )
    first = state(layer)
    torch.manual_seed(3)
    layer.reset_parameters()
    assert_equal(state(layer), first)


def test_a_layer_takes_a_scheme():
    for layer in (
        LSTM(3, 6, init=Scheme(forget_bias=2.0)),
        PeepholeLSTM(3, 6, init=Scheme(forget_bias=2.0)),
        CellRNN("lstm", 3, 6, init=Scheme(forget_bias=2.0)),
    ):
        assert layer.bias_ih_l0.view(4, 6).mean(1).tolist() == [0, 2, 0, 0]
    assert GRU(3, 6, init=recommended_init(lag=50)).bias_ih_l0.view(3, 6)[1].any()


def test_torchs_scheme_by_name_or_as_such_is_torchs_own_start():
    torch.manual_seed(3)
    theirs = nn.GRU(3, 6)
    for init in ("torch", SCHEMES["torch"]):
        torch.manual_seed(3)
        assert_equal(state(GRU(3, 6, init=init)), state(theirs))


def test_init_is_kept_by_copies_and_missing_in_what_was_pickled_before():
    layer = pickle.loads(pickle.dumps(GRU(3, 6, init="keras")))
    assert (layer.init, copy.deepcopy(layer).init) == ("keras", "keras")
    old = GRU(3, 6)
    del old.__dict__["init"]
    old = pickle.loads(pickle.dumps(old))
    torch.manual_seed(0)
    old.reset_parameters()
    torch.manual_seed(0)
    assert_equal(state(old), state(nn.GRU(3, 6)))


def test_a_converted_layer_starts_as_torchs():
    layer = convert(nn.Sequential(nn.GRU(3, 6)))[0]
    torch.manual_seed(0)
    layer.reset_parameters()
    torch.manual_seed(0)
    assert_equal(state(layer), state(nn.GRU(3, 6)))


def test_precision_and_gradients_stay_and_the_start_is_that_of_float64():
    double, half = (nn.LSTM(3, 6, dtype=dtype) for dtype in (torch.float64, torch.bfloat16))
    half.weight_hh_l0.requires_grad_(False)
    for layer in (double, half):
        initialize(layer, "orthogonal", generator=seeded())
    for name, weight in half.named_parameters():
        assert weight.dtype == torch.bfloat16
        assert weight.requires_grad is (name != "weight_hh_l0")
        assert torch.equal(weight, getattr(double, name).to(torch.bfloat16))


def test_projections_and_networks_of_the_estimators_start_too():
    layer = initialize(nn.LSTM(3, 6, proj_size=2), "orthogonal")
    assert layer.weight_hr_l0.shape == (2, 6)
    torch.testing.assert_close(layer.weight_hr_l0 @ layer.weight_hr_l0.T, torch.eye(2), rtol=0, atol=1e-6)
    net = SequenceNetwork(Architecture("gru", 3, 6, 1, False, "last", 2))
    before = state(net)
    initialize(net, "identity")
    assert torch.equal(net.recurrent.weight_hh_l0[:6], torch.eye(6))
    assert torch.equal(net.readout.weight, before["readout.weight"])


def _step(from_x, from_h, state, _unit_weights, _mask):
    """A minimal gated unit whose gate keeps."""
    (h,) = state
    units = h.shape[-1]
    f = torch.sigmoid(from_x[..., :units] + from_h[..., :units])
    return (f * h + (1 - f) * torch.tanh(from_x[..., units:] + from_h[..., units:]),)


def test_a_cell_of_your_own_says_which_gate_keeps_its_state():
    gated = CellSpec("minimal", gates=("f", "n"), step=_step, memory_gates=("f",))
    layer = CellRNN(gated, 3, 6, init=Scheme(biases="chrono", lag=20))
    f, n = layer.bias_ih_l0.chunk(2)
    assert f.exp().max() <= 19
    assert f.any()
    assert not n.any()
    silent = CellSpec("silent", gates=("f", "n"), step=_step)
    with pytest.raises(ValueError, match=r"chrono needs a cell with a gate that keeps its state \(gru, .*got silent"):
        initialize(CellRNN(silent, 3, 6), "chrono", lag=20)


def _pruned():
    layer = nn.GRU(3, 6)
    prune.identity(layer, "weight_hh_l0")
    return layer


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("module", "init", "options", "message"),
    [
        (nn.Linear(3, 2), "orthogonal", {}, "needs a module with recurrent layers, got Linear without any"),
        (nn.GRU(3, 6), "glorot", {}, "init needs one of torch, keras, .*chrono or a Scheme, got 'glorot'"),
        (nn.GRU(3, 6), ["torch"], {}, r"init needs one of torch, .* or a Scheme, got \['torch'\]"),
        (Model(), "chrono", {}, "chrono biases need a lag, the steps that the task looks back, got none"),
        (
            Model(),
            "torch",
            {"lag": 9},
            "lag needs biases='chrono', which alone has a use for it, got 9 with biases='torch'",
        ),
        (Model(), Scheme(), {"lag": 9}, "lag needs biases='chrono', .* got 9 with biases='zero'"),
        (Model(), "chrono", {"lag": 1}, "lag needs a finite number of steps of at least 2, got 1"),
        (
            nn.GRU(3, 6),
            "critical",
            {},
            r"critical needs a cell of one activation, .*\(rnn_tanh, rnn_relu, linear\), got",
        ),
        (
            nn.RNN(3, 6),
            "chrono",
            {"lag": 9},
            r"chrono needs a cell with a gate .*\(gru, lstm, peephole_lstm\), got rnn",
        ),
        (nn.RNN(3, 6), Scheme(forget_bias=1.0), {}, "forget_bias needs a cell with a gate that keeps its state"),
        (nn.GRU(3, 6, bias=False), "chrono", {"lag": 9}, "chrono needs layers with biases, got gru with bias=False"),
        (nn.Sequential(nn.GRU(3, 6), nn.RNN(6, 6)), "chrono", {"lag": 9}, "got rnn_tanh"),
        (_pruned(), "keras", {}, "needs weights that are parameters, got GRU, some of whose are computed"),
        (stack([nn.GRU(3, 6) for _ in range(2)]), "keras", {}, "before they are stacked, got GRU at 'module'"),
    ],
)
def test_what_cannot_start_so_is_refused_and_left_alone(module, init, options, message):
    before = state(module)
    with pytest.raises(ValueError, match=message):
        initialize(module, init, **options)
    assert_equal(before, state(module))


def test_weights_that_are_computed_from_others_are_refused():
    parametrized = parametrizations.orthogonal(nn.GRU(3, 6), "weight_hh_l0")
    with pytest.raises(ValueError, match="remove its parametrization, initialize, and put it on again"):
        initialize(parametrized, "keras")
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(nn.Sequential(nn.GRU(3, 6)))
    with pytest.raises(ValueError, match="before they are scripted, got a scripted"):
        initialize(scripted, "keras")


@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_module_and_an_init_that_a_layer_cannot_have_are_refused():
    with pytest.raises(TypeError, match=r"initialize needs a torch.nn.Module, got Tensor"):
        initialize(torch.zeros(3), "keras")
    with pytest.raises(ValueError, match="chrono biases need a lag"):
        GRU(3, 6, init="chrono")
    with pytest.raises(ValueError, match="init needs one of"):
        GRU(3, 6, init="glorot")


@pytest.mark.parametrize("cell", ["gru", "lstm", "peephole_lstm"])
def test_a_state_stays_where_the_gate_that_keeps_it_is_open_and_the_one_that_writes_is_shut(cell):
    spec = CELLS[cell]
    layer = CellRNN(cell, 3, 6, dtype=torch.float64)
    for gate, bias in zip(spec.memory_gates, (60.0, -60.0), strict=False):
        at = spec.gates.index(gate) * 6
        layer.bias_ih_l0.data[at : at + 6] = bias
    state = torch.randn(1, 2, 6, dtype=torch.float64)
    _, end = layer(torch.randn(9, 2, 3, dtype=torch.float64), state if len(spec.states) == 1 else (0 * state, state))
    # a gate of 60 is open to 1e-26
    assert torch.equal(end if len(spec.states) == 1 else end[1], state)
