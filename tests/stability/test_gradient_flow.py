"""Norms of the gradients at the states, against a loop of cells by autograd; and a model that is left as it was."""

import copy
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import pytest
import torch
from cell_loop import run_loop
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from throughtime.errors import DataError, ParameterError
from throughtime.kernels import CELLS, CellSpec
from throughtime.nn import LSTM, Architecture, CellRNN, SequenceNetwork
from throughtime.stability import GradientFlow, LayerFlow, gradient_flow

LENGTHS = torch.tensor([9, 1, 5])
X = torch.randn(3, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def _leak(from_x: Tensor, from_h: Tensor, state: Any, unit_weights: Any, _mask: Any) -> tuple[Tensor]:
    (h,), (rate,) = state, unit_weights
    return (h + torch.sigmoid(rate) * (torch.tanh(from_x + from_h) - h),)


#: a cell of the user's own
LEAKY = CellSpec("leaky", gates=("n",), step=_leak, unit_weights=("weight_rate",))


def weigh(y: Tensor) -> Tensor:
    """Weights of a loss that reads every output, unlike each other."""
    return torch.linspace(-1, 1, y.numel(), dtype=y.dtype).sin().view(y.shape)


def read_all(found: Any) -> Tensor:
    """A loss of every output and every final state of a layer."""
    y, end = found[:2]
    ends = end if isinstance(end, tuple) else (end,)
    return (y * weigh(y)).sum() + sum((state * weigh(state)).sum() for state in ends)


def assert_like_the_loop(flow: GradientFlow, layer: Any, cell: CellSpec, dtype: torch.dtype, rtol: float) -> None:
    """Compare with one loop of cells per series, in float64, under ``read_all``."""
    weights = {name: w.detach().double() for name, w in layer.named_parameters()}
    x = X.to(dtype).double()
    width, ends = layer.hidden_size, layer.num_layers * (1 + layer.bidirectional)
    of_y = weigh(torch.zeros(3, 9, (layer.proj_size or width) * (1 + layer.bidirectional), dtype=torch.float64))
    of_h = weigh(torch.zeros(ends, 3, layer.proj_size or width, dtype=torch.float64))
    of_c = weigh(torch.zeros(ends, 3, width, dtype=torch.float64))
    for series, steps in enumerate(LENGTHS.tolist()):
        loop = run_loop(cell, weights, x[series, :steps], layer.num_layers, layer.bidirectional)
        loss = (loop.outputs * of_y[series, :steps]).sum()
        for place, end in enumerate(loop.ends):
            loss = loss + sum((s * w[place, series]).sum() for s, w in zip(end, (of_h, of_c), strict=False))
        loss.backward()
        for place, (own, expected) in enumerate(zip(flow.layers, loop.norms(), strict=True)):
            assert (own.layer, own.reverse) == divmod(place, 2) if layer.bidirectional else (place, False)
            for found, wanted in zip((own.h, own.c), zip(*expected, strict=True), strict=False):
                assert found is not None
                got = torch.from_numpy(found)[:, series]
                torch.testing.assert_close(
                    got[:steps], torch.tensor(wanted, dtype=torch.float64), rtol=rtol, atol=1e-30
                )
                assert not got[steps:].any()
            assert (own.c is None) == ("c" not in cell.states)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("cell", [*CELLS.values(), LEAKY], ids=lambda cell: cell.name)
def test_deltas_are_those_of_a_loop_of_cells(cell: CellSpec, dtype: torch.dtype, rtol: float, training: bool) -> None:
    torch.manual_seed(0)
    layer = CellRNN(cell, 4, 5, 3, batch_first=True, bidirectional=True, dtype=dtype).train(training)
    flow = gradient_flow(layer, X.to(dtype), read_all, lengths=LENGTHS)
    assert flow.training == training
    assert_like_the_loop(flow, layer, cell, dtype, rtol)


def test_in_float32_they_hold_down_to_1e_30() -> None:
    torch.manual_seed(1)
    layer = CellRNN("rnn_tanh", 4, 16, 3, batch_first=True, bidirectional=True)
    x = torch.randn(1, 120, 4)
    flow = gradient_flow(layer, x, lambda found: found[1].sum())
    weights = {name: w.detach().double() for name, w in layer.named_parameters()}
    loop = run_loop(layer.spec, weights, x[0].double(), 3, True)
    torch.stack([end[0] for end in loop.ends]).sum().backward()
    found, expected = torch.tensor(np.array([own.h[:, 0] for own in flow.layers])), loop.totals()
    seen = expected > 1e-30
    assert float(expected[seen].min()) < 1e-28
    torch.testing.assert_close(found[seen], expected[seen], rtol=1e-5, atol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("made", "cell"),
    [
        (lambda: nn.RNN(4, 5, 2, nonlinearity="relu", batch_first=True, bidirectional=True), "rnn_relu"),
        (lambda: nn.GRU(4, 5, 3, batch_first=True, bidirectional=True), "gru"),
        (lambda: nn.LSTM(4, 5, 3, bias=False, batch_first=True), "lstm"),
        (lambda: nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True, proj_size=3), "lstm"),
    ],
)
def test_torchs_layers_are_followed_in_either_mode(made: Callable[[], Any], cell: str, training: bool) -> None:
    torch.manual_seed(0)
    layer = made().double().train(training)
    assert_like_the_loop(gradient_flow(layer, X, read_all, lengths=LENGTHS), layer, CELLS[cell], torch.float64, 1e-12)


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.2, "cell_zoneout": 0.1}, {"recurrent_dropout": 0.3}])
def test_deltas_do_not_depend_on_whether_all_states_are_asked_for(options: dict[str, float]) -> None:
    class EveryState(nn.Module):
        def __init__(self, every: bool) -> None:
            super().__init__()
            self.every = every
            self.layer = LSTM(4, 5, 2, batch_first=True, bidirectional=True, dtype=torch.float64, **options)  # type: ignore[arg-type]

        def forward(self, x: Tensor, lengths: Tensor) -> Any:
            return self.layer(x, lengths=lengths, return_states=self.every)

    flows = []
    for every in (True, False):
        torch.manual_seed(3)
        model = EveryState(every)
        flows.append(gradient_flow(model, X, read_all, lengths=LENGTHS))
    for one, other in zip(*(flow.layers for flow in flows), strict=True):
        for found, expected in ((one.h, other.h), (one.c, other.c)):
            torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-12, atol=1e-30)


def test_a_loss_of_all_cs_is_followed_through_each_of_them() -> None:
    layer = LSTM(4, 5, batch_first=True, dtype=torch.float64)

    class Cs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x, return_states=True)[2][1]

    (own,) = gradient_flow(Cs(), X, torch.sum).layers
    weights = {name: w.detach() for name, w in layer.named_parameters()}
    loop = run_loop(CELLS["lstm"], weights, X[1])
    torch.stack([state[1] for state in loop.states[0]]).sum().backward()
    expected = torch.tensor(loop.norms()[0], dtype=torch.float64)
    assert own.c is not None
    found = torch.stack([torch.from_numpy(norms)[:, 1] for norms in (own.h, own.c)], 1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-30)


def test_packed_series_are_in_the_order_they_were_packed_from() -> None:
    layer = nn.LSTM(4, 5, 2, bidirectional=True).double()
    series = [X[n, :steps] for n, steps in enumerate((5, 9, 1))]
    packed = gradient_flow(layer, pack_sequence(series, enforce_sorted=False), lambda found: found[1][0].sum())
    padded = gradient_flow(layer, X.transpose(0, 1), lambda found: found[1][0].sum(), lengths=torch.tensor([5, 9, 1]))
    for one, other in zip(packed.layers, padded.layers, strict=True):
        assert one.lengths.tolist() == other.lengths.tolist() == [5, 9, 1]
        torch.testing.assert_close(torch.tensor(one.total), torch.tensor(other.total), rtol=1e-12, atol=1e-30)


def test_weight_norms_are_autograds() -> None:
    net = SequenceNetwork(Architecture("gru", 4, 5, 2, True, "mean", 2), dtype=torch.float64)
    flow = gradient_flow(net, X, lambda output: output.square().mean(), lengths=LENGTHS)
    net(X, LENGTHS).square().mean().backward()
    assert flow.weight_norms == pytest.approx({name: float(w.grad.norm()) for name, w in net.named_parameters()})
    assert flow.loss == pytest.approx(float(net(X, LENGTHS).detach().square().mean()))


class Tagger(nn.Module):
    """A model with all that a diagnosis must not touch: statistics, dropout, hooks, frozen weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.layers = nn.ModuleList([nn.LSTM(4, 6, 2, batch_first=True, dropout=0.3), nn.GRU(6, 3, batch_first=True)])
        self.drop = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        h = self.norm(x.transpose(1, 2)).transpose(1, 2)
        for layer in self.layers:
            h = self.drop(layer(h)[0])
        return h


class Logger:
    """A hook that holds what cannot be copied, as one that writes to a file or a server does."""

    def __init__(self, seen: list[str]) -> None:
        self.seen, self.lock = seen, Lock()

    def __call__(self, *_: Any) -> None:
        self.seen.append("hook")


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    torch.manual_seed(0)
    model = Tagger().train(training)
    model.layers[0].weight_hh_l0.requires_grad_(False)
    model.layers[1].bias_hh_l0.grad = torch.full((9,), 2.0)
    seen: list[str] = []
    model.layers[1].register_forward_hook(Logger(seen))
    for weight in model.parameters():
        if weight.requires_grad:
            weight.register_hook(lambda _: seen.append("gradient"))  # type: ignore[no-untyped-call]
    kept, vars_before = copy.deepcopy(model.state_dict()), set(vars(model.layers[0]))
    state = torch.get_rng_state()
    with torch.no_grad() if training else torch.inference_mode():
        flow = gradient_flow(model, X.float(), lambda y: y.square().mean())
        assert not torch.is_grad_enabled()
    assert [layer.label for layer in flow.layers] == ["layers.0 layer 0", "layers.0 layer 1", "layers.1 layer 0"]
    assert all(layer.total.any() for layer in flow.layers)
    assert flow.weight_norms["layers.0.weight_hh_l0"] > 0  # frozen, and followed all the same
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in kept.items()
    }
    assert [type(layer) for layer in model.layers] == [nn.LSTM, nn.GRU]
    assert set(vars(model.layers[0])) == vars_before
    assert (model.calls, model.training, seen) == (0, training, ["hook"])
    grads = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert [*grads] == ["layers.1.bias_hh_l0"]
    assert grads["layers.1.bias_hh_l0"].tolist() == [2.0] * 9
    assert not model.layers[0].weight_hh_l0.requires_grad


def test_a_copy_in_float64_is_that_of_a_model_in_float64() -> None:
    model = nn.GRU(4, 5, batch_first=True)
    (one,) = gradient_flow(model, X.float(), read_all, dtype=torch.float64).layers
    assert model.weight_hh_l0.dtype == torch.float32
    (other,) = gradient_flow(copy.deepcopy(model).double(), X.float().double(), read_all).layers
    assert (one.h == other.h).all()


def test_each_call_of_a_layer_has_norms_of_its_own() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(4, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(self.rnn(x)[0][:, ::3])[0][:, -1]  # type: ignore[no-any-return]

    first, second = gradient_flow(Twice(), X.float(), torch.sum).layers
    assert (first.label, second.label) == ("rnn layer 0", "rnn layer 0 (call 2)")
    assert (len(first.h), len(second.h)) == (9, 3)
    assert first.h.any()
    assert second.h.any()


def test_a_linear_network_of_spectral_radius_1_2_grows_by_1_2_per_step() -> None:
    layer = exploding_layer()
    flow = gradient_flow(layer, torch.randn(4, 201, 1), lambda found: found[1].sum())
    assert flow.layers[0].growth == pytest.approx(1.2, rel=0.02)
    assert "1.2" in str(flow).splitlines()[-1]


def exploding_layer(dtype: torch.dtype = torch.float32) -> CellRNN:
    """A linear network whose recurrent matrix, of no particular form, has spectral radius 1.2."""
    torch.manual_seed(1)
    layer = CellRNN("linear", 1, 16, batch_first=True, dtype=dtype)
    with torch.no_grad():
        w = torch.randn(16, 16, dtype=torch.float64)
        layer.weight_hh_l0.copy_(1.2 * w / torch.linalg.eigvals(w).abs().max())
    return layer


def test_the_first_step_that_is_not_finite_is_told() -> None:
    class Breaks(nn.Module):
        """The gradient of a root at zero is infinite, times zero NaN: at step 4 of series 2."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(4, 5, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.rnn(x)[0]
            root = torch.sqrt(y[2, 4, 0] * 0)
            return y[:, -1].sum() + root  # type: ignore[no-any-return]

    (own,) = gradient_flow(Breaks(), X.float(), torch.sum).layers
    assert own.first_nonfinite == (4, 2)
    assert not (own.h[:, :2] != own.h[:, :2]).any()
    printed = str(gradient_flow(Breaks(), X.float(), torch.sum)).splitlines()
    assert printed[-1] == "rnn layer 0: the gradient of series 2 is not finite at step 4 and all before it"


def loss_of(y: Any) -> Tensor:
    return y[0].sum()  # type: ignore[no-any-return]


class Detached(nn.Module):
    """A model whose loss depends on a weight and on no state."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 5, batch_first=True)
        self.readout = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.rnn(x)[0].detach())  # type: ignore[no-any-return]


class Idle(nn.Module):
    """A model that has a recurrent layer and does not call it."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.usefixtures("types_unchecked")
def test_a_model_without_recurrent_layers_is_refused() -> None:
    x = X.float()
    with pytest.raises(ParameterError, match=r"needs a recurrent layer .* got Linear without one"):
        gradient_flow(nn.Linear(4, 2), x, torch.sum)
    with pytest.raises(ParameterError, match=r"needs a torch\.nn\.Module, got a str"):
        gradient_flow("gru", x, torch.sum)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"needs to call its recurrent layers \(rnn\), got none called in Idle"):
        gradient_flow(Idle(), x, torch.sum)
    with (
        pytest.warns(UserWarning, match="passed over"),
        pytest.raises(ParameterError, match="needs a recurrent layer"),
    ):
        gradient_flow(type("Odd", (nn.GRU,), {})(4, 5), x, loss_of)


@pytest.mark.usefixtures("types_unchecked")
def test_a_loss_that_no_state_has_a_part_in_is_refused() -> None:
    x, layer = X.float(), nn.GRU(4, 5, batch_first=True)
    with pytest.raises(ParameterError, match="one number as a tensor, got a tensor of shape"):
        gradient_flow(layer, x, lambda found: found[0])
    with pytest.raises(ParameterError, match="one number as a tensor, got a float"):
        gradient_flow(layer, x, lambda _: 1.0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ParameterError, match="a function of the model's output, got 'mse'"):
        gradient_flow(layer, x, "mse")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="got a number without a gradient"):
        gradient_flow(layer, x, lambda found: found[0].detach().sum())
    with pytest.raises(ParameterError, match="needs to depend on the states of a recurrent layer"):
        gradient_flow(Detached(), x, torch.sum)


def test_lengths_that_a_model_does_not_take_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"whose forward takes it by that name, got Tagger; hand in a Packed"):
        gradient_flow(Tagger(), X.float(), torch.sum, lengths=LENGTHS)


@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (torch.inf, "infinity")])
def test_inputs_that_are_not_finite_are_refused_by_series_and_step(value: float, word: str) -> None:
    x = X.float().clone()
    x[1, 6, 2] = value
    layer = nn.GRU(4, 5, batch_first=True)
    with pytest.raises(DataError, match=f"where GRU reads it, got {word} at step 6 of series 1"):
        gradient_flow(layer, x, loss_of)
    gradient_flow(layer, x, loss_of, lengths=torch.tensor([9, 6, 9]))  # beyond a series' end nothing is read
    packed = pack_sequence([x[0, :3], x[1], x[2, :5]], enforce_sorted=False)
    with pytest.raises(DataError, match=f"got {word} at step 6 of series 1"):
        gradient_flow(nn.GRU(4, 5), packed, lambda found: found[1].sum())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_compiled_or_scripted_model_is_refused() -> None:
    layer = nn.GRU(4, 5, batch_first=True)
    with pytest.raises(ParameterError, match=r"one of torch\.compile; hand in what was compiled, its _orig_mod"):
        gradient_flow(torch.compile(layer, backend="eager"), X.float(), loss_of)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"one of torch\.compile at '0'"):
        gradient_flow(nn.Sequential(torch.compile(layer, backend="eager")), X.float(), loss_of)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="modules of Python, got a scripted one"):
        gradient_flow(torch.jit.script(layer), X.float(), loss_of)  # type: ignore[no-untyped-call]


def test_a_model_that_cannot_be_copied_or_has_no_weights_yet_is_refused() -> None:
    layer = nn.GRU(4, 5, batch_first=True)
    layer.stream = (n for n in range(3))  # type: ignore[assignment]
    with pytest.raises(ParameterError, match=r"one that copy\.deepcopy takes, got a GRU: cannot pickle"):
        gradient_flow(layer, X.float(), loss_of)
    lazy = nn.Sequential(nn.LazyLinear(4), nn.GRU(4, 5, batch_first=True))
    with pytest.raises(ParameterError, match="got weight at '0' without a shape; call the model once"):
        gradient_flow(lazy, X.float(), loss_of)


def test_a_layers_total_is_that_of_both_states() -> None:
    (own,) = gradient_flow(nn.LSTM(4, 5, batch_first=True), X.float(), loss_of).layers
    assert isinstance(own, LayerFlow)
    assert own.c is not None
    assert own.total == pytest.approx((own.h**2 + own.c**2) ** 0.5)


def test_initial_states_are_computed_in_the_format_that_is_asked_for() -> None:
    layer, start = nn.LSTM(4, 5, batch_first=True), (torch.randn(1, 3, 5), torch.randn(1, 3, 5))
    found = gradient_flow(layer, (X.float(), start), loss_of, dtype=torch.float64)
    exact = gradient_flow(layer.double(), (X.float().double(), tuple(state.double() for state in start)), loss_of)
    assert (found.layers[0].h == exact.layers[0].h).all()


def test_the_model_itself_is_not_hooked_while_its_copy_runs() -> None:
    layer = nn.GRU(4, 5, batch_first=True)
    layer.register_forward_hook(lambda *_: hooks.append(len(layer._forward_hooks)))
    hooks: list[int] = []
    gradient_flow(layer, X.float(), loss_of)
    assert hooks == [1]
