"""The graph through time: its norms are those of torch, its edges those of the recurrence, and it leaves no trace."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import throughtime.nn as tt
from throughtime.errors import DataError, ParameterError
from throughtime.stability import ComputationGraph, Edge, Node, gradient_flow, unroll

SMALL = {"batch_first": True, "dtype": torch.float64}
#: Autograd's own round-off in float64, over some tens of steps.
TIGHT = 1e-12


def series(time: int = 7, batch: int = 3, channels: int = 2) -> Tensor:
    return torch.randn(batch, time, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def last(output: Any) -> Tensor:
    return output[0][:, -1].square().sum()


def by_name(graph: ComputationGraph) -> dict[str, Node]:
    return {node.name: node for node in graph.nodes}


def between(graph: ComputationGraph, source: str, target: str) -> Edge:
    (found,) = [edge for edge in graph.edges if (edge.source, edge.target) == (source, target)]
    return found


def close(found: float | None, expected: float) -> bool:
    return found is not None and math.isclose(found, expected, rel_tol=TIGHT, abs_tol=1e-300)


class Tagger(nn.Module):
    """A projection, two recurrent layers with a linear one between, and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.below = nn.LSTM(2, 4, bidirectional=True, **SMALL)
        self.between = nn.Linear(8, 3, dtype=torch.float64)
        self.above = nn.GRU(3, 5, **SMALL)
        self.head = nn.Linear(5, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.above(self.between(self.below(x)[0]).tanh())[0][:, -1])


class Translator(nn.Module):
    """An encoder whose last state is a decoder's first."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.GRU(2, 4, **SMALL), nn.GRU(2, 4, **SMALL)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.decoder(y, self.encoder(x)[1])[0]


@pytest.mark.parametrize(
    "layer",
    [
        nn.RNN(2, 4, 3, **SMALL),
        nn.GRU(2, 4, 3, bidirectional=True, **SMALL),
        nn.LSTM(2, 4, 3, bidirectional=True, **SMALL),
        tt.RNN(2, 4, 2, nonlinearity="relu", **SMALL),
        tt.LSTM(2, 4, 2, bidirectional=True, **SMALL),
        tt.GRU(2, 4, zoneout=0.3, **SMALL),
        tt.PeepholeLSTM(2, 4, **SMALL),
        tt.LinearRNN(2, 4, **SMALL),
    ],
    ids=str,
)
def test_a_states_norm_is_that_of_its_total_derivative(layer: nn.Module) -> None:
    """The kernels' deltas, which are taken on their way back through the fused op."""
    x, lengths = series(9, 4), torch.tensor([9, 4, 7, 1])
    x[1, 4:] = math.nan  # beyond its end
    ours = tt.convert(layer)

    class Ragged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = ours

        def forward(self, x: Tensor) -> Any:
            return self.rnn(x, lengths=lengths)

    def both_ends(output: Any) -> Tensor:
        y, end = output
        ends = end if isinstance(end, tuple) else (end,)
        return y.square().sum() + sum(state.sin().sum() for state in ends)

    graph = unroll(Ragged(), x, loss=both_ends)
    flow = gradient_flow(Ragged().eval(), x, both_ends)
    nodes = by_name(graph)
    for of_layer in flow.layers:
        key = f"l{of_layer.layer}{'r' if of_layer.reverse else ''}"
        for state, norms in (("h", of_layer.h), ("c", of_layer.c)):
            for t in range(9 if norms is not None else 0):
                found = nodes[f"{key}.{state}.{t}"].gradient
                assert close(found, float((norms[t] ** 2).sum() ** 0.5)), (key, state, t, found)


def test_an_edges_norm_is_the_vector_jacobian_product_of_its_step() -> None:
    layer = nn.LSTM(2, 4, **SMALL)
    cell = nn.LSTMCell(2, 4, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    x = series()
    states = [(torch.zeros(3, 4, dtype=torch.float64),) * 2]
    for t in range(7):
        states.append(cell(x[:, t], states[-1]))
    h = states[-1][0]
    dh, dc = 2 * h.detach(), torch.zeros_like(h)
    graph = unroll(layer, x, loss=last)
    for t in reversed(range(7)):
        inputs = [value.detach().requires_grad_() for value in (x[:, t], *states[t])]
        with torch.enable_grad():
            after = cell(inputs[0], (inputs[1], inputs[2]))
        c = after[1].detach()
        # what h hands to its own c: o (1 - tanh^2 c)
        rows = inputs[0] @ cell.weight_ih[12:].T + inputs[1] @ cell.weight_hh[12:].T
        o = torch.sigmoid(rows + cell.bias_ih[12:] + cell.bias_hh[12:]).detach()
        through = dh * o * (1 - c.tanh() ** 2)
        assert close(between(graph, f"l0.c.{t}", f"l0.h.{t}").gradient, float(through.norm()))
        assert close(by_name(graph)[f"l0.c.{t}"].gradient, float((dc + through).norm()))
        dx, dh, dc = torch.autograd.grad(after, inputs, (dh, dc))
        assert close(between(graph, f"x0.{t}", f"l0.h.{t}").gradient, float(dx.norm()))
        assert close(by_name(graph)[f"x0.{t}"].gradient, float(dx.norm()))
        if t:
            assert close(between(graph, f"l0.h.{t - 1}", f"l0.h.{t}").gradient, float(dh.norm()))
            assert close(between(graph, f"l0.c.{t - 1}", f"l0.c.{t}").gradient, float(dc.norm()))


def test_a_linear_recurrence_has_the_closed_forms_norms() -> None:
    """delta_t = w_h^(T-t) o: w_x = 1, w_h = .5, x = (1, 1, 1), loss o^2 / 2 with o = 1.75."""
    layer = tt.LinearRNN(1, 1, bias=False, **SMALL)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1)
        layer.weight_hh_l0.fill_(0.5)
    graph = unroll(layer, torch.ones(1, 3, 1, dtype=torch.float64), loss=lambda out: out[0][:, -1].square().sum() / 2)
    assert [by_name(graph)[f"l0.h.{t}"].gradient for t in (0, 1, 2)] == [0.4375, 0.875, 1.75]
    assert [edge.gradient for edge in graph.edges if edge.kind == "h"] == [0.4375, 0.875]


def test_series_that_end_earlier_hand_on_where_they_end() -> None:
    layer = tt.GRU(2, 4, bidirectional=True, **SMALL)
    x, lengths = series(5, 2), torch.tensor([5, 2])

    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x, lengths=lengths)[1]

    graph = unroll(Ends(), x, loss=lambda end: end.square().sum())
    outputs = {edge.source: edge.gradient for edge in graph.edges if edge.kind == "output"}
    end = layer(x, lengths=lengths)[1].detach() * 2
    assert set(outputs) == {"l0.h.4", "l0.h.1", "l0r.h.0"}
    assert close(outputs["l0.h.4"], float(end[0, 0].norm()))
    assert close(outputs["l0.h.1"], float(end[0, 1].norm()))
    assert close(outputs["l0r.h.0"], float(end[1].norm()))


def test_what_flows_back_to_a_state_is_its_steps_alone_though_others_have_ended() -> None:
    layer = tt.GRU(2, 4, **SMALL)
    x, lengths = series(5, 2), torch.tensor([5, 2])

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.rnn(x, lengths=lengths)[1]

    def loss(end: Tensor) -> Tensor:
        return end.square().sum()

    both = unroll(Last(), (x, lengths), loss=loss)
    longer = unroll(Last(), (x[:1], lengths[:1]), loss=loss)
    for t in (2, 3, 4):
        edge = f"l0.h.{t - 1}", f"l0.h.{t}"
        assert close(between(both, *edge).gradient, between(longer, *edge).gradient or 0.0)


@given(time=st.integers(1, 12), layers=st.integers(1, 4), both=st.booleans(), cell=st.sampled_from([nn.GRU, nn.LSTM]))
def test_cells_wait_for_each_other_step_by_step_and_layer_by_layer(
    time: int, layers: int, both: bool, cell: Callable[..., nn.Module]
) -> None:
    """T + L - 1 in one direction; in both a layer needs the whole one below."""
    layer = cell(1, 2, layers, bidirectional=both, **SMALL)
    depth = unroll(layer, series(time, 1, 1)).depth
    cells = time * layers if both else time + layers - 1
    assert (depth.forward, depth.operations) == (cells, time * layers * (1 + both))
    assert depth.backward == depth.forward


def test_with_an_output_layer_an_rnn_has_depth_steps_plus_layers() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(2, 4, 3, **SMALL), nn.Linear(4, 1, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    depth = unroll(Model(), series(29), loss=lambda output: output.square().mean()).depth
    assert depth.forward == depth.backward == 29 + 3
    assert "serial depth 32 forward, 32 backward, of 88 operations" in str(depth)
    assert "dL/dh_t waits for dL/dh_(t+1)" in str(depth)


def test_a_weight_is_one_parameter_at_all_steps() -> None:
    graph = unroll(nn.LSTM(2, 4, 2, **SMALL), series(7), loss=last)
    assert {p.name: (p.shape, p.uses) for p in graph.parameters}["weight_hh_l1"] == ((16, 4), 7)
    along = [edge for edge in graph.edges if edge.kind == "h" and edge.target.startswith("l1")]
    assert {edge.parameters for edge in along} == {("weight_hh_l1", "bias_hh_l1")}
    assert len(along) == 6
    assert all(edge.parameters == () and edge.cost == 0 for edge in graph.edges if edge.kind == "c")


def test_a_layer_that_is_called_twice_uses_its_weights_at_the_steps_of_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(2, 2, **SMALL)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(self.rnn(x)[0])[0]

    graph = unroll(Twice(), series(7), loss=lambda output: output[:, -1].sum())
    assert {p.uses for p in graph.parameters} == {14}
    assert graph.depth.forward == 8


def test_the_graph_is_that_of_evaluation() -> None:
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.rnn = nn.Dropout(0.5), nn.GRU(2, 4, **SMALL)

        def forward(self, x: Tensor) -> Any:
            return self.rnn(self.drop(x))

    model = Dropped()
    assert unroll(model.train(), series(), loss=last).nodes == unroll(model.eval(), series(), loss=last).nodes


def test_layers_of_several_modules_stand_on_each_other() -> None:
    model = Tagger()
    graph = unroll(model, series(), loss=lambda output: output.square().sum())
    assert [lane.label for lane in graph.lanes] == [
        "x", "layer 0 → h", "layer 0 → c", "layer 0 ← h", "layer 0 ← c", "x of above", "layer 1 → h",
    ]  # fmt: skip
    assert between(graph, "l0r.h.2", "x1.2").cost == 1
    assert between(graph, "x1.2", "l1.h.2").parameters == ("above.weight_ih_l0", "above.bias_ih_l0")
    x = series().requires_grad_()
    y = model.below(x)[0]
    (dy,) = torch.autograd.grad(model.head(model.above(model.between(y).tanh())[0][:, -1]).square().sum(), y)
    assert close(between(graph, "l0.h.2", "x1.2").gradient, float(dy[:, 2, :4].norm()))
    assert close(between(graph, "l0r.h.2", "x1.2").gradient, float(dy[:, 2, 4:].norm()))
    assert between(graph, "l1.h.6", "head").cost == 1
    assert between(graph, "head", "L").cost == 0
    assert [edge.source for edge in graph.edges if edge.target == "head"] == ["l1.h.6"]
    assert graph.depth.forward == 7 + 1 + 7 + 1  # the reverse direction, between, the layer on it, the output layer
    uses = {p.name: p.uses for p in graph.parameters}
    assert (uses["above.weight_ih_l0"], uses["below.weight_hh_l0_reverse"], uses["head.weight"]) == (7, 7, 1)


def test_a_decoder_starts_from_its_encoder() -> None:
    graph = unroll(Translator(), (series(4), series(3)), loss=lambda output: output[:, -1].square().sum())
    assert between(graph, "l0.h.3", "l1.h.0").kind == "h"
    assert [edge.source for edge in graph.edges if edge.target == "L"] == ["l1.h.2"]
    assert by_name(graph)["l0.h.0"].gradient != 0
    assert graph.depth.forward == 4 + 3


@pytest.mark.parametrize(
    "layer", [nn.LSTM(2, 4, 2, dropout=0.5, bidirectional=True), tt.GRU(2, 4, zoneout=0.2)], ids=str
)
@pytest.mark.parametrize("form", ["padded", "packed", "sorted", "alone"])
def test_what_the_model_gives_is_what_it_gives_without(layer: nn.Module, form: str) -> None:
    layer.double().eval()
    x = series(6, 4).transpose(0, 1)
    lengths = torch.tensor([6, 5, 3, 1] if form == "sorted" else [3, 6, 1, 5])
    given: Any = x[:, 0] if form == "alone" else x
    if form in ("packed", "sorted"):
        given = pack_padded_sequence(x, lengths, enforce_sorted=form == "sorted")
    seen = []

    def loss(output: Any) -> Tensor:
        y = pad_packed_sequence(output[0])[0] if form in ("packed", "sorted") else output[0]
        ends = output[1] if isinstance(output[1], tuple) else (output[1],)
        seen.append((y, *ends))
        return y.sum()

    unroll(layer, given, loss=loss)
    loss(layer(given))
    for ours, own in zip(*seen, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("form", ["padded", "packed", "alone"])
@pytest.mark.parametrize("layer", [tt.LSTM, tt.GRU])
def test_layers_asked_for_all_states_are_drawn(layer: Callable[..., Any], form: str, batch_first: bool) -> None:
    """The third output: what the layer gives, and the gradients that come from there."""
    made = layer(2, 4, 2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    x, lengths = series(5, 3).transpose(0, 1), torch.tensor([3, 5, 1])
    given: Any = x[:, 0] if form == "alone" else x.transpose(0, 1) if batch_first else x
    if form == "packed":
        given = pack_padded_sequence(x, lengths, enforce_sorted=False)
    seen: list[Any] = []

    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = made

        def forward(self, x: Any) -> Any:
            return self.rnn(x, return_states=True)[2]

    def loss(states: Any) -> Tensor:
        seen.append(states if isinstance(states, tuple) else (states,))
        return torch.stack([state.sin().sum() for state in seen[-1]]).sum()

    graph = unroll(Asked(), given, loss=loss)
    flow = gradient_flow(Asked().eval(), given, loss)
    for ours, own, with_deltas in zip(*seen, Asked()(given) if layer is tt.LSTM else [Asked()(given)], strict=True):
        torch.testing.assert_close(ours, with_deltas, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(own, with_deltas, rtol=1e-12, atol=1e-14)
    nodes = by_name(graph)
    for of_layer in flow.layers:
        key = f"l{of_layer.layer}{'r' if of_layer.reverse else ''}"
        for state, norms in (("h", of_layer.h), ("c", of_layer.c)):
            for t in range(5 if norms is not None else 0):
                assert close(nodes[f"{key}.{state}.{t}"].gradient, float((norms[t] ** 2).sum() ** 0.5))
    handed_on = {edge.source: edge.gradient for edge in graph.edges if edge.target == "L"}
    assert set(handed_on) == {node.name for node in graph.nodes if node.kind in ("h", "c")}
    lowest = seen[0][0][0].detach().cos()  # of sin, at h of layer 0 alone: (time, series, unit)
    lowest = lowest.unsqueeze(1) if form == "alone" else lowest.transpose(0, 1) if lowest.shape[0] != 5 else lowest
    ends = lengths if form == "packed" else torch.full((lowest.shape[1],), 5)
    for t in range(5):
        assert close(handed_on[f"l0.h.{t}"], float((lowest[t] * (t < ends)[:, None]).norm()))


def test_an_initial_state_that_asks_for_no_gradient_is_taken_as_it_is() -> None:
    layer, x = nn.LSTM(2, 4, **SMALL), series()
    start = torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(1, 3, 4, dtype=torch.float64)
    graph, flow = unroll(layer, (x, start), loss=last), gradient_flow(layer, (x, start), last)
    for t in range(7):
        assert close(by_name(graph)[f"l0.h.{t}"].gradient, float((flow.layers[0].h[t] ** 2).sum() ** 0.5))


def test_a_model_is_afterwards_what_it_was() -> None:
    model = Tagger().train()
    model.above.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    unroll(model, series(), loss=lambda output: output.square().sum())
    assert [part.training for part in (model, model.below, model.above)] == [True, True, False]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())


def test_frozen_weights_have_gradients_at_their_states_too() -> None:
    layer = nn.GRU(2, 4, **SMALL)
    expected = unroll(layer, series(), loss=last)
    layer.requires_grad_(False)
    assert unroll(layer, series(), loss=last).nodes == expected.nodes


def test_without_a_loss_there_are_edges_but_no_norms() -> None:
    with_loss, without = (unroll(nn.LSTM(2, 4, 2, **SMALL), series(), **given) for given in ({"loss": last}, {}))
    assert without.gradients == []
    inner = [(edge.source, edge.target) for edge in with_loss.edges if edge.target != "L"]
    assert [(edge.source, edge.target) for edge in without.edges if edge.target != "output"] == inner


class Own(nn.GRU):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


class Estimator:
    """As far as a function can tell."""

    module_ = None


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(2, 4, **SMALL), nn.Linear(2, 1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        self.rnn(x)
        return self.head(x[:, -1])


@pytest.mark.parametrize(
    ("model", "x", "given", "words"),
    [
        (nn.Linear(2, 3, dtype=torch.float64), series(), {}, "needs a recurrent layer .* got Linear without one"),
        (nn.GRU(2, 4, **SMALL), series(channels=3), {}, "x needs 2 channels, the input_size of GRU, got 3"),
        (nn.GRU(2, 4, **SMALL), series(7)[:, :0], {}, "x needs"),
        (tt.GRU(2, 4, **SMALL), series(7)[:0], {}, "at least one series of one step where GRU reads it, got 0 series"),
        (nn.GRU(2, 4, **SMALL), series(), {"loss": lambda _: torch.ones(())}, "depend on the model's output"),
        (Unused(), series(), {"loss": lambda out: out.sum()}, "a loss that does depend on the states"),
        (Unused(), series(), {}, "a model whose output does depend on the states"),
        (nn.GRU(2, 4, **SMALL), series(), {"loss": lambda out: out[0]}, r"one number as a tensor, got .* \(3, 7, 4\)"),
        (nn.GRU(2, 4, **SMALL), series(), {"loss": lambda _: 1.0}, "one number as a tensor, got a float"),
        (Own(2, 4, **SMALL), series(), {}, "forward of its own.*, got Own"),
        (nn.GRU(2, 4, **SMALL), series(), {"inside": True, "step": 7}, "step needs a whole number from -7 to 6.*got 7"),
        (
            nn.GRU(2, 4, **SMALL),
            series(),
            {"inside": True, "layer": -2},
            "layer needs a whole number from -1 to 0.*got -2",
        ),
        (tt.PeepholeLSTM(2, 4, **SMALL), series(), {"inside": True}, "inside needs a cell of gru.*peephole_lstm"),
        (nn.LSTM(2, 4, proj_size=2, **SMALL), series(), {"inside": True}, "got one with a projection"),
        (nn.GRU(2, 4, **SMALL), series(), {"inside": True, "step": True}, "step needs a whole number .* got True"),
        (nn.GRU(2, 4, **SMALL), series(), {"inside": True, "layer": "0"}, "layer needs a whole number .* got '0'"),
        (nn.GRU(2, 4, **SMALL), series(), {"step": 3}, "layer and step need inside=True, got layer=-1, step=3"),
        (nn.GRU(2, 4, **SMALL), series(), {"loss": "mse"}, "loss needs a function of the model's output, got 'mse'"),
        (Estimator(), series(), {}, "got an Estimator; of a fitted estimator pass its module_"),
        (nn.GRU(2, 4, **SMALL), series().numpy(), {}, "x needs tensors, got a ndarray"),
        (Tagger(), series(channels=3), {}, r"x needs to be what Tagger takes, got \(3, 7, 3\): .* Expected 2, got 3"),
        (nn.ModuleList([nn.GRU(2, 4), Own(2, 4)]), series(), {}, "forward of its own.*, got a Own beside those"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_cannot_be_unrolled_is_refused(model: Any, x: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(
        ParameterError if "x needs" not in words and "series of one" not in words else DataError, match=words
    ):
        unroll(model, x, **given)
    assert not any(part._forward_hooks for part in getattr(model, "modules", list)())


def test_derivatives_that_are_not_finite_are_seen() -> None:
    layer = tt.LinearRNN(1, 4, bias=False, **SMALL)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(1e200 * torch.eye(4, dtype=torch.float64))
        layer.weight_ih_l0.fill_(0)
    graph = unroll(layer, torch.ones(1, 4, 1, dtype=torch.float64), loss=lambda out: out[0][:, -1].sum())
    # 1e200 is finite though its square is not
    assert [by_name(graph)[f"l0.h.{t}"].gradient for t in (3, 2, 1)] == [2, pytest.approx(2e200), math.inf]
    assert "not finite" in graph.to_svg()


def test_nan_and_infinity_are_refused_where_a_layer_reads_them() -> None:
    model = Tagger()
    with torch.no_grad():
        model.between.bias[1] = math.nan
    x = series()
    with pytest.raises(DataError, match="where above reads it, got NaN at step 0 of series 0"):
        unroll(model, x)
    x[1, 4, 0] = math.inf
    with pytest.raises(DataError, match="where below reads it, got infinity at step 4 of series 1"):
        unroll(model, x)
    start = torch.zeros(1, 3, 4, dtype=torch.float64)
    start[0, 2, 1] = math.nan
    with pytest.raises(DataError, match="finite initial states where GRU reads them, got NaN in series 2"):
        unroll(nn.GRU(2, 4, **SMALL), (series(), start))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_that_are_nan_are_refused_where_they_come_up_first(bidirectional: bool) -> None:
    layer = nn.GRU(2, 4, 2, bidirectional=bidirectional, **SMALL)
    where, step = ("layer 1 reverse", 2) if bidirectional else ("layer 1", 5)

    def loss(output: Any) -> Tensor:
        return (output[0][1, 2] * math.nan).sum() + (0 if bidirectional else output[0][1, 5] * math.nan).sum()

    if bidirectional:
        loss = lambda output: (output[0][1, 2, 4:] * math.nan).sum()  # noqa: E731
    for inside in (False, True):
        with pytest.raises(DataError, match=f"got NaN at GRU {where}, first at step {step} of series 1"):
            unroll(layer, series(), loss=loss, inside=inside)
    assert unroll(layer, series()).gradients == []


@pytest.mark.parametrize("layer", [nn.GRU(2, 4, 2, bidirectional=True, **SMALL), tt.LSTM(2, 4, **SMALL)], ids=str)
def test_lengths_are_those_of_packed_series(layer: nn.Module) -> None:
    x, lengths = series(), [7, 2, 5]
    loss = lambda output: output[1][0].square().sum()  # noqa: E731
    graph = unroll(layer, x, loss=loss, lengths=lengths)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    other = unroll(layer, packed, loss=loss)
    found = [(node.name, node.gradient) for node in graph.nodes]
    assert found == [(node.name, node.gradient) for node in other.nodes]
    whole = [(node.name, node.gradient) for node in unroll(layer, x, loss=loss).nodes]
    assert found != whole
    with pytest.raises(ParameterError, match="whose forward takes it by that name, got Tagger"):
        unroll(Tagger(), x, loss=last, lengths=lengths)
