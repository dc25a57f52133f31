"""Layers that torch records: ``torch.jit.trace``, the ONNX exporter on it, and ``torch.fx``."""

import io
from typing import Any

import onnxruntime
import pytest
import torch
from pairs import PAIRS, SINGLE, assert_same, pair, start_of, tensors
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from throughtime.nn import GRU, LSTM, Architecture, SequenceNetwork

pytestmark = [
    pytest.mark.usefixtures("types_unchecked"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:.torch.jit.*. is (deprecated|not supported):DeprecationWarning"),
    # torch silences what its own layers do while they are traced; "error" would undo that
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning:torch.nn"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning:torch.nested"),
]
each_cell = pytest.mark.parametrize("cell", PAIRS)
each_mode = pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers both ways, batch first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "no bias": {"bias": False},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class Called(nn.Module):
    """A layer that is given lengths or a state by place."""

    def __init__(self, layer: nn.Module, name: str) -> None:
        super().__init__()
        self.layer, self.name = layer, name

    def forward(self, x: Tensor, *given: Any) -> Any:
        return self.layer(x, **{self.name: given[0] if len(given) == 1 else given})


def series(layer: Any, time: int, batch: int) -> Tensor:
    return torch.randn((batch, time, 3) if layer.batch_first else (time, batch, 3))


@each_cell
@each_mode
@each_option
def test_a_traced_layer_is_the_layer_for_other_lengths_and_batches(
    cell: str, grad: bool, options: dict[str, Any]
) -> None:
    layer = PAIRS[cell][0](3, 4, **PAIRS[cell][2], **options)
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(layer, (series(layer, 5, 2),))
        for time, batch in ((5, 2), (9, 4), (1, 1)):
            x = series(layer, time, batch)
            assert_same(traced(x), layer(x), **SINGLE)
    x = series(layer, 7, 3)
    weights = list(layer.parameters())
    grads = [torch.autograd.grad(sum(part.sin().sum() for part in tensors(m(x))), weights) for m in (traced, layer)]
    assert_same(*grads, **SINGLE)


@each_cell
@each_option
def test_lengths_of_a_traced_layer_are_not_frozen(cell: str, options: dict[str, Any]) -> None:
    layer = PAIRS[cell][0](3, 4, **PAIRS[cell][2], **options)
    traced = torch.jit.trace(Called(layer, "lengths"), (series(layer, 5, 2), torch.tensor([5, 3])))
    for time, lengths in ((9, [9, 1, 7, 4]), (4, [1, 2, 3])):
        x, steps = series(layer, time, len(lengths)), torch.tensor(lengths)
        assert_same(traced(x, steps), layer(x, lengths=steps), **SINGLE)
    with pytest.raises(RuntimeError):
        traced(series(layer, 4, 2), torch.tensor([4, 0]))
    alone = torch.jit.trace(Called(layer, "lengths"), (torch.randn(5, 3), torch.tensor([3])))
    x = torch.randn(8, 3)
    assert_same(alone(x, torch.tensor([6])), layer(x, lengths=torch.tensor([6])), **SINGLE)


@each_cell
@each_option
def test_initial_states_of_a_traced_layer_are_not_frozen(cell: str, options: dict[str, Any]) -> None:
    layer = PAIRS[cell][0](3, 4, **PAIRS[cell][2], **options)
    traced = torch.jit.trace(Called(layer, "hx"), (series(layer, 5, 2), *tensors(start_of(layer, (2,)))))
    x, hx = series(layer, 8, 4), start_of(layer, (4,))
    assert_same(traced(x, *tensors(hx)), layer(x, hx), **SINGLE)


class Packed(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, data: Tensor, batch_sizes: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors(self.layer(PackedSequence(data, batch_sizes))))


@each_cell
def test_a_packed_series_is_traced(cell: str) -> None:
    model = Packed(PAIRS[cell][0](3, 4, 2, **PAIRS[cell][2]))
    packed = [
        pack_padded_sequence(torch.randn(max(lengths), len(lengths), 3), torch.tensor(lengths))[:2]
        for lengths in ([5, 3], [7, 7, 2])
    ]
    traced = torch.jit.trace(model, packed[0])
    assert_same(traced(*packed[1]), model(*packed[1]), **SINGLE)


def test_what_torchs_layers_cannot_do_is_not_traced() -> None:
    x = torch.randn(5, 2, 3)
    for layer in (GRU(3, 4, zoneout=0.2).eval(), LSTM(3, 4, recurrent_dropout=0.5), GRU(3, 4, variational_dropout=0.5)):
        with pytest.raises(
            RuntimeError, match=r"torch\.jit\.trace needs what torch's own layer can do, got .*dropout|zone"
        ):
            torch.jit.trace(layer, (x,))
    dropped = LSTM(3, 4, recurrent_dropout=0.5).eval()  # of training alone
    assert_same(torch.jit.trace(dropped, (x,))(x[:3]), dropped(x[:3]), **SINGLE)

    class States(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = GRU(3, 4)

        def forward(self, x: Tensor) -> Any:
            return self.layer(x, return_states=True)

    with pytest.raises(RuntimeError, match="return_states"):
        torch.jit.trace(States(), (x,))
    with pytest.raises(TypeError, match=r"lengths needs a tensor of whole numbers under torch\.jit\.trace"):
        torch.jit.trace(lambda x: GRU(3, 4).requires_grad_(False)(x, lengths=[5, 2]), (x,))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "steps"])
def test_a_network_is_traced_for_other_lengths_and_batches(cell: Any, pooling: Any) -> None:
    net = SequenceNetwork(Architecture(cell, 3, 4, 2, True, pooling, 2)).eval()
    x, lengths = torch.randn(4, 9, 3), torch.tensor([9, 1, 7, 4])
    x[0, 1, 1] = torch.nan
    traced = torch.jit.trace(net, (torch.randn(2, 5, 3),))
    torch.testing.assert_close(traced(x), net(x), **SINGLE)
    ragged = torch.jit.trace(net, (torch.randn(2, 5, 3), torch.tensor([5, 3])))
    torch.testing.assert_close(ragged(x, lengths), net(x, lengths), **SINGLE)


class Net(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        y, _ = self.layer(x) if lengths is None else self.layer(x, lengths=lengths)
        found: Tensor = self.head(y)
        return found


@each_cell
def test_fx_takes_our_layers_for_leaves_as_it_does_torchs(cell: str) -> None:
    graphs = []
    for layer in pair(cell, 3, 4):
        net = Net(layer)
        if cell == "lstm-projected":
            net.head = nn.Linear(2, 1)
        graph = torch.fx.symbolic_trace(net, concrete_args={"lengths": None})
        graphs.append([(node.op, str(node.target)) for node in graph.graph.nodes])
        x = torch.randn(7, 3, 3)
        torch.testing.assert_close(graph(x, None), net(x), rtol=0, atol=0)
    assert graphs[0] == graphs[1]
    assert ("call_module", "layer") in graphs[0]


def test_fx_hands_lengths_on_and_does_not_trace_into_a_layer() -> None:
    net = Net(GRU(3, 4))
    graph = torch.fx.symbolic_trace(net)
    x, lengths = torch.randn(7, 3, 3), torch.tensor([7, 2, 1])
    assert torch.equal(graph(x, lengths), net(x, lengths))
    for layer in (GRU(3, 4), nn.GRU(3, 4)):
        with pytest.raises(torch.fx.proxy.TraceError):
            torch.fx.symbolic_trace(layer)


class Decoder(nn.Module):
    """Reads steps of its own from a state that is handed in."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("steps", torch.randn(5, 2, 3))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        found: Tensor = self.layer(self.steps, (h, c) if isinstance(self.layer, nn.LSTM | LSTM) else h)[0]
        return found


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def test_fx_records_a_layer_of_which_the_state_alone_is_traced(cell: str) -> None:
    h, c = torch.randn(2, 1, 2, 4)
    for layer in pair(cell, 3, 4):
        net = Decoder(layer)
        assert torch.equal(torch.fx.symbolic_trace(net)(h, c), net(h, c))


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
@each_mode
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch will remove this exporter
@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size other than 1")
def test_the_legacy_onnx_exporter_writes_the_recurrence(cell: str, grad: bool) -> None:
    net, file = Net(PAIRS[cell][0](3, 4, batch_first=True, **PAIRS[cell][2])).eval(), io.BytesIO()
    axes = {"x": {0: "batch", 1: "time"}}
    with torch.set_grad_enabled(grad):
        torch.onnx.export(net, (torch.randn(2, 5, 3),), file, input_names=["x"], dynamic_axes=axes, dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue())
    for shape in ((2, 5, 3), (4, 12, 3)):
        x = torch.randn(shape)
        found = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
        torch.testing.assert_close(found, net(x).detach(), **SINGLE)


@pytest.mark.parametrize("pooling", ["last", "mean", "steps"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size other than 1")
def test_the_legacy_onnx_exporter_writes_lengths_too(pooling: Any) -> None:
    net, file = SequenceNetwork(Architecture("gru", 3, 4, 2, True, pooling, 2)).eval(), io.BytesIO()
    given, names = (torch.randn(2, 5, 3), torch.tensor([5, 3])), {"x": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}
    torch.onnx.export(net, given, file, input_names=list(names), dynamic_axes=names, dynamo=False)
    x, lengths = torch.randn(4, 9, 3), torch.tensor([9, 1, 7, 4])
    found = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": x.numpy(), "lengths": lengths.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), net(x, lengths).detach(), **SINGLE)
