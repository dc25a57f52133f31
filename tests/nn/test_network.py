"""The network that the estimators train, member by member and as a plain module."""

import pickle
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from throughtime.kernels import StepNoise, standardize
from throughtime.nn import (
    Architecture,
    NoiseRates,
    SequenceNetwork,
    convert,
    forward,
    is_bias,
    plain_module,
    weight_shapes,
)
from throughtime.nn.noise import draw_mask
from throughtime.nn.recurrence import trace_layers

TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
#: float64 keeps 16 digits; two layers and 9 steps of sums of 10 terms of order 1 lose three of them
EXACT = {"rtol": 1e-12, "atol": 1e-12}
LENGTHS = torch.tensor([3, 1, 9, 6, 9])

each_net = pytest.mark.parametrize(
    "net",
    [
        Architecture(cell, 3, 5, num_layers, bidirectional, pooling, 2)
        for cell in TORCH
        for num_layers, bidirectional in ((1, False), (2, True))
        for pooling in ("last", "mean", "max", "steps")
    ],
    ids=lambda net: f"{net.cell}-{net.num_layers}-{net.bidirectional}-{net.pooling}",
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def batch(missing: bool = False) -> Tensor:
    """Series (batch, time, channel) with garbage beyond their ends."""
    x = torch.randn(5, 9, 3, dtype=torch.float64) * 3 + 1
    if missing:
        x[torch.rand_like(x) < 0.2] = torch.nan
    for series, length in enumerate(LENGTHS.tolist()):
        x[series, length:] = 1e6
    return x


def module(net: Architecture) -> SequenceNetwork:
    network = SequenceNetwork(net, dtype=torch.float64)
    network.shift.copy_(torch.tensor([1.0, 0.5, -2.0]))
    network.scale.copy_(torch.tensor([3.0, 1.0, 0.25]))
    return network.eval()


def oracle_layers(network: SequenceNetwork) -> nn.RNNBase:
    """torch's layers with the network's weights."""
    net = network.net
    layers = TORCH[net.cell](
        net.n_inputs, net.hidden_size, net.num_layers, bidirectional=net.bidirectional, dtype=torch.float64
    )
    layers.load_state_dict(network.recurrent.state_dict())
    return layers


def series_by_series(network: SequenceNetwork, layers: nn.RNNBase, x: Tensor) -> list[Tensor]:
    """The oracle: each series cut to its own length, alone, through torch's layers."""
    net = network.net
    outputs = []
    for own, length in zip(x, LENGTHS.tolist(), strict=True):
        scaled = ((own[:length] - network.shift) / network.scale).nan_to_num(0)
        y, end = layers(scaled[:, None])
        h_n = end[0] if isinstance(end, tuple) else end
        if net.pooling == "last":
            features = h_n[-(1 + net.bidirectional) :, 0].flatten()
        elif net.pooling == "steps":
            features = y[:, 0]
        else:
            features = y[:, 0].mean(0) if net.pooling == "mean" else y[:, 0].amax(0)
        outputs.append(network.readout(features))
    return outputs


@each_net
@pytest.mark.parametrize("missing", [False, True])
def test_a_ragged_batch_gives_what_each_series_gives_alone(net, missing):
    network, x = module(net), batch(missing)
    outputs = network(x, LENGTHS)
    for series, expected in enumerate(series_by_series(network, oracle_layers(network), x)):
        found = outputs[series, : LENGTHS[series]] if net.pooling == "steps" else outputs[series]
        torch.testing.assert_close(found, expected, **EXACT)


@each_net
def test_gradients_are_those_of_each_series_alone(net):
    network, x = module(net), batch(missing=True)
    layers = oracle_layers(network)
    outputs = network(x, LENGTHS)
    if net.pooling == "steps":
        outputs = torch.cat([own[:length] for own, length in zip(outputs, LENGTHS.tolist(), strict=True)])
    expected = torch.cat([own.reshape(-1, net.n_outputs) for own in series_by_series(network, layers, x)])
    ours = torch.autograd.grad(outputs.sin().sum(), list(network.parameters()))
    theirs = torch.autograd.grad(expected.sin().sum(), [*layers.parameters(), *network.readout.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@each_net
@pytest.mark.parametrize("missing", [False, True])
def test_a_members_network_is_its_plain_module(net, missing):
    modules = [module(net) for _ in range(3)]
    xs = torch.stack([batch(missing) for _ in modules])
    lengths = LENGTHS.expand(3, -1)
    stacked = {name: torch.stack([dict(m.named_parameters())[name] for m in modules]) for name in weight_shapes(net)}
    shift, scale = (torch.stack([getattr(m, name) for m in modules]) for name in ("shift", "scale"))
    outputs = forward(net, stacked, standardize(xs.transpose(1, 2), lengths, shift, scale), lengths)
    for m, network in enumerate(modules):
        expected = network(xs[m], LENGTHS)
        if net.pooling == "steps":
            expected = expected.transpose(0, 1)
        torch.testing.assert_close(outputs[m], expected, **EXACT)


@each_net
def test_trained_tensors_are_the_modules_in_its_order_and_biases_are_known(net):
    parameters = list(module(net).named_parameters())
    assert [(name, tuple(weight.shape)) for name, weight in parameters] == list(weight_shapes(net).items())
    assert [is_bias(name) for name, _ in parameters] == [weight.dim() == 1 for _, weight in parameters]


def test_standardizing_takes_missing_values_and_padding_to_the_mean_and_lets_infinity_through():
    x = torch.tensor([[4.0, 5.0], [torch.nan, 7.0], [torch.inf, -torch.inf], [9.0, 9.0]])
    z = standardize(x[None, :, None], torch.tensor([[3]]), torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 4.0]]))
    expected = torch.tensor([[1.0, 1.0], [0.0, 1.5], [torch.inf, -torch.inf], [0.0, 0.0]])
    assert torch.equal(z[0, :, 0], expected)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "steps"])
def test_dropout_masks_act_after_each_layer_the_last_before_the_readout(pooling):
    net = Architecture("gru", 3, 5, 2, False, pooling, 2)
    network = module(net)
    weights = {name: weight[None] for name, weight in network.named_parameters()}
    x = torch.randn(1, 9, 4, 3, dtype=torch.float64)
    lengths = torch.full((1, 4), 9)
    between = torch.rand(1, 9, 4, 5, dtype=torch.float64)
    last = torch.rand((1, 9, 4, 5) if pooling == "steps" else (1, 4, 5), dtype=torch.float64)
    found = forward(net, weights, x, lengths, [between, last])

    layers = [nn.GRU(3, 5, dtype=torch.float64), nn.GRU(5, 5, dtype=torch.float64)]
    for at, layer in enumerate(layers):
        own = {n.replace(f"_l{at}", "_l0"): w for n, w in network.recurrent.state_dict().items() if f"_l{at}" in n}
        layer.load_state_dict(own)
    y, _ = layers[1](layers[0](x[0])[0] * between[0])
    features = {"last": y[-1], "mean": y.mean(0), "max": y.amax(0), "steps": y}[pooling]
    torch.testing.assert_close(found[0], network.readout(features * last[0]), **EXACT)


RATES = {"variational_dropout": 0.3, "recurrent_dropout": 0.4, "zoneout": 0.2}


@each_net
def test_noise_handed_in_acts_as_the_layers_own(net):
    rates = RATES | ({} if net.cell == "rnn" else {"candidate_dropout": 0.25})
    rates |= {"cell_zoneout": 0.4} if net.cell == "lstm" else {}
    network = SequenceNetwork(net, dtype=torch.float64, noise=rates).train()
    drawn: list[Tensor] = []

    def draw(like: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
        drawn.append(draw_mask(like, shape, rate))
        return drawn[-1]

    network.recurrent.draw = draw
    x = batch()
    expected = network(x, LENGTHS)
    # the layers draw for their inputs first, then for each layer and direction
    same = [drawn.pop(0).unsqueeze(1) if layer == 0 else drawn.pop(0) for layer in range(net.num_layers)]
    noise = []
    for _ in range(net.num_layers * (1 + net.bidirectional)):
        fields = {"recurrent": drawn.pop(0)}
        if "candidate_dropout" in rates:
            fields["candidate"] = drawn.pop(0)
        for name in ("zoneout_h", "zoneout_c")[: 1 + ("cell_zoneout" in rates)]:
            fields[name] = (drawn.pop(0) == 0).double()
        noise.append(StepNoise(**fields))
    assert not drawn
    weights = {name: weight[None] for name, weight in network.named_parameters()}
    scaled = standardize(x.transpose(0, 1)[None], LENGTHS[None], network.shift[None], network.scale[None])
    found = forward(net, weights, scaled, LENGTHS[None], [], same, noise)[0]
    found = found.transpose(0, 1) if net.pooling == "steps" else found
    torch.testing.assert_close(found, expected, **EXACT)
    between = [torch.full_like(same[-1], 2.0)] * (net.num_layers - 1)  # dropout besides multiplies
    halved = [same[0], *(mask / 2 for mask in same[1:])]
    both = forward(net, weights, scaled, LENGTHS[None], [*between, None], halved, noise)[0]
    torch.testing.assert_close(both.transpose(0, 1) if net.pooling == "steps" else both, expected, **EXACT)


def test_a_modules_dropout_silences_while_training_and_keeps_the_expected_value():
    net = Architecture("gru", 2, 50, 1, False, "mean", 1)
    network = SequenceNetwork(net, dropout=0.25, dtype=torch.float64)
    x = torch.randn(1, 6, 2, dtype=torch.float64)
    network.eval()
    exact = network(x)
    assert torch.equal(exact, network(x))
    network.train()
    draws = torch.stack([network(x) for _ in range(100)])
    assert draws.std() > 0
    # the mean of 100 draws is off by a tenth of their deviation; four of those
    assert abs(draws.mean() - exact).item() < 4 * draws.std().item() / 10


def test_a_missing_value_reads_as_the_channels_mean():
    net = Architecture("lstm", 3, 5, 1, False, "last", 2)
    network = module(net)
    x = batch()
    x[2, 4, 1] = torch.nan
    filled = x.clone()
    filled[2, 4, 1] = network.shift[1]
    assert torch.equal(network(x, LENGTHS), network(filled, LENGTHS))
    assert not any(torch.equal(one, other) for one, other in pairwise(network(x, LENGTHS)))


@pytest.mark.parametrize("pooling", ["last", "steps"])
def test_plain_modules_share_nothing_and_leave_torchs_generator_alone(pooling):
    net = Architecture("gru", 3, 5, 2, True, pooling, 2)
    before = torch.get_rng_state()
    one, other = (plain_module(net, 0.25, NoiseRates(zoneout=0.1), torch.float64) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    built = SequenceNetwork(net, 0.25, torch.float64, NoiseRates(zoneout=0.1))
    assert repr(one) == repr(built)
    assert [(n, w.shape, w.dtype) for n, w in one.state_dict().items()] == [
        (n, w.shape, w.dtype) for n, w in built.state_dict().items()
    ]
    places = [tensor.data_ptr() for own in (one, other, built) for tensor in (*own.parameters(), *own.buffers())]
    assert len(set(places)) == len(places)
    one.load_state_dict(built.state_dict())
    other.load_state_dict({name: torch.zeros_like(w) for name, w in built.state_dict().items()})
    x = torch.randn(2, 5, net.n_inputs, dtype=torch.float64)
    assert torch.equal(one.eval()(x), built.eval()(x))
    assert torch.equal(pickle.loads(pickle.dumps(one))(x), built(x))
    one.register_forward_hook(lambda *_: None)
    one.recurrent.draw = None
    assert not other._forward_hooks
    assert other.recurrent.draw is not None
    assert all(w.requires_grad and w.is_leaf for w in one.parameters())


@each_net
@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["ragged", "whole"])
def test_with_torchs_layers_the_network_computes_the_same(net, lengths):
    network, x = module(net), batch(missing=True)
    expected = network(x, lengths)
    ours = type(network.recurrent)
    assert type(convert(network, to="torch").recurrent) is TORCH[net.cell]
    found = network(x, lengths)
    torch.testing.assert_close(found, expected, **EXACT)
    grads = torch.autograd.grad(found.sin().sum(), list(network.parameters()))
    assert type(convert(network).recurrent) is ours
    again = network(x, lengths)
    assert torch.equal(again, expected)
    expected_grads = torch.autograd.grad(again.sin().sum(), list(network.parameters()))
    for one, other in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@each_net
def test_segments_change_no_bit_of_outputs_and_gradients(net):
    shapes = weight_shapes(net).items()
    weights = {name: torch.randn(2, *shape, dtype=torch.float64, requires_grad=True) / 2 for name, shape in shapes}
    x = torch.randn(2, 9, 5, 3, dtype=torch.float64, requires_grad=True)
    lengths = LENGTHS.expand(2, -1)
    places = net.num_layers * (1 + net.bidirectional)
    width = net.hidden_size * (1 + net.bidirectional)
    masks = [*(draw_mask(x.detach(), (2, 1, 5, width), 0.5) for _ in range(net.num_layers - 1)), None]
    noise = [StepNoise(recurrent=torch.rand(2, 5, net.hidden_size, dtype=torch.float64)) for _ in range(places)]
    found = []
    for segment in (None, 1, 4, 9):
        outputs = forward(net, weights, x, lengths, masks, noise=noise, segment=segment)
        found.append((outputs, *torch.autograd.grad(outputs.sin().sum(), [x, *weights.values()])))
    for others in found[1:]:
        assert all(map(torch.equal, others, found[0]))


def test_segments_are_of_layers_that_the_recurrent_op_runs():
    weights = {f"{name}_l0": torch.randn(1, *shape) for name, shape in (("weight_ih", (8, 3)), ("weight_hh", (8, 2)))}
    call = {"num_layers": 1, "bidirectional": False, "segment": 4}
    arguments = "lstm", weights, torch.randn(1, 9, 5, 3), LENGTHS[None]
    with pytest.raises(ValueError, match=r"segments need layers that the recurrent op runs, got cells=True"):
        trace_layers(*arguments, cells=True, **call)
    projected = {"weight_hr_l0": torch.randn(1, 1, 2), "weight_hh_l0": torch.randn(1, 8, 1)}
    with pytest.raises(ValueError, match=r"segments need layers that the recurrent op runs, got a projected state"):
        trace_layers("lstm", weights | projected, *arguments[2:], **call)


def test_outputs_that_nobody_wants_have_no_steps():
    net = Architecture("gru", 3, 5, 2, True, "last", 2)
    shapes = weight_shapes(net).items()
    weights = {name.removeprefix("recurrent."): torch.randn(2, *shape) for name, shape in shapes}
    arguments = "gru", weights, torch.randn(2, 9, 5, 3), LENGTHS.expand(2, -1)
    whole = trace_layers(*arguments, num_layers=2, bidirectional=True)
    ends = trace_layers(*arguments, num_layers=2, bidirectional=True, outputs=False)
    assert ends.outputs.shape == (2, 0, 5, 10)
    assert torch.equal(ends.ends[0], whole.ends[0])
