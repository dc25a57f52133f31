"""torch's transforms over the layers: each gives what a loop over plain calls gives."""

import pytest
import torch
from pairs import EXACT, PAIRS, assert_same, pair, start_of, tensors
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jacrev, jvp, linearize, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from throughtime.nn import GRU, LSTM

pytestmark = [
    pytest.mark.usefixtures("either_path"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]
each_cell = pytest.mark.parametrize("cell", PAIRS)
LENGTHS = torch.tensor([[5, 3, 1], [1, 5, 5], [2, 2, 4], [5, 5, 5]])


@pytest.fixture(autouse=True)
def fresh():
    torch.manual_seed(0)
    torch._dynamo.reset()  # a compiled graph keeps the way it was traced on


def layers(cell, **options):
    """Four layers of the same shape with weights of their own."""
    ours, _, own = PAIRS[cell]
    return [ours(3, 4, 2, bidirectional=True, dtype=torch.float64, **own, **options) for _ in range(4)]


@each_cell
def test_vmap_over_layers_inputs_and_lengths_gives_each_layers_own_results_and_gradients(cell):
    models = layers(cell)
    weights, _ = stack_module_state(models)
    x = torch.randn(4, 5, 3, 3, dtype=torch.float64)

    def run(own, series, lengths):
        return functional_call(models[0], own, (series,), {"lengths": lengths})

    found = vmap(run)(weights, x, LENGTHS)
    expected = [model(series, lengths=own) for model, series, own in zip(models, x, LENGTHS, strict=True)]
    for at, plain in enumerate(expected):
        assert_same([part[at] for part in tensors(found)], plain, **EXACT)

    plain = [weight for model in models for weight in model.parameters()]
    theirs = torch.autograd.grad(sum(part.sin().sum() for part in tensors(expected)), plain)
    outside = torch.autograd.grad(sum(part.sin().sum() for part in tensors(found)), list(weights.values()))
    inside = vmap(grad(lambda *a: sum(part.sin().sum() for part in tensors(run(*a)))))(weights, x, LENGTHS)
    for ours in (outside, [inside[name] for name in weights]):
        assert_same([part[at] for at in range(4) for part in ours], theirs, **EXACT)


@each_cell
def test_vmap_over_what_one_layer_is_given_is_a_loop_and_maps_nest(cell):
    layer = layers(cell)[0]
    x = torch.randn(2, 4, 5, 3, 3, dtype=torch.float64)
    hx = start_of(layer, (3,), dtype=torch.float64)
    found = vmap(vmap(lambda series: layer(series, hx)))(x)
    for i in range(2):
        for j in range(4):
            assert_same([part[i, j] for part in tensors(found)], layer(x[i, j], hx), **EXACT)
    states = [state.expand(6, *state.shape) * torch.arange(6.0).view(-1, 1, 1, 1) for state in tensors(hx)]
    shared = vmap(lambda *own: layer(x[0, 0], own if len(own) == 2 else own[0])[0])(*states)
    for at in range(6):
        own = [state[at] for state in states]
        torch.testing.assert_close(shared[at], layer(x[0, 0], tuple(own) if len(own) == 2 else own[0])[0], **EXACT)


@each_cell
def test_jacobians_are_torchs(cell):
    ours, theirs = pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(lambda x: theirs(x)[0].sum(0), x)
    torch.testing.assert_close(jacrev(lambda x: ours(x)[0].sum(0))(x), expected, **EXACT)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, at its first dual tensor
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")  # torch's own: weights become constants
@each_cell
def test_what_torch_records_without_values_is_the_layer(cell):
    layer = layers(cell)[0]
    lengths, x, along = torch.tensor([4, 1]), *torch.randn(2, 4, 2, 3, dtype=torch.float64)
    recorded = make_fx(lambda x, lengths: layer(x, lengths=lengths)[0])(x, lengths)
    shorter = torch.tensor([2, 3])
    torch.testing.assert_close(recorded(along, shorter), layer(along, lengths=shorter)[0], **EXACT)

    small = PAIRS[cell][0](3, 4, bidirectional=True, dtype=torch.float64, **PAIRS[cell][2])

    def run(x):
        return small(x, lengths=torch.tensor([2, 1]))[0]

    # of a layer and two steps: it takes a second for these
    x, along = x[:2], along[:2]
    torch.testing.assert_close(linearize(run, x)[1](along), jvp(run, (x,), (along,))[1], **EXACT)


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm", "lstm-projected"])
def test_first_and_second_derivatives_are_those_of_finite_differences(cell):
    units = 3 if cell == "lstm-projected" else 2
    layer = PAIRS[cell][0](2, units, dtype=torch.float64, **PAIRS[cell][2])
    x = torch.randn(2, 2, 2, dtype=torch.float64, requires_grad=True)
    hx = start_of(layer, (2,), dtype=torch.float64, requires_grad=True)
    given = (x, *tensors(hx), *layer.parameters())
    names = [name for name, _ in layer.named_parameters()]
    states = len(list(tensors(hx)))

    def run(x, *rest):
        own = rest[:states] if states == 2 else rest[0]
        weights = dict(zip(names, rest[states:], strict=True))
        return tuple(tensors(functional_call(layer, weights, (x, own), {"lengths": torch.tensor([2, 1])})))

    assert gradcheck(run, given)
    assert gradgradcheck(run, given)


def test_a_second_derivative_follows_only_the_ops_own_paths():
    # the initial state comes from the input: that path is not part of the op's gradient of its input
    layer = GRU(4, 4, dtype=torch.float64)
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert gradgradcheck(lambda x: layer(x, x[:1].tanh())[0], (x,))


@pytest.mark.usefixtures("types_unchecked")  # the checkers themselves break a graph
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_layer_compiles_to_one_graph_that_gives_the_same(cell):
    torch.compiler.reset()  # the path taken is no part of what a graph is kept for
    layer = PAIRS[cell][0](3, 4, bidirectional=True, dtype=torch.float64)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x, lengths = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True), torch.tensor([2, 1, 2])
    found, expected = compiled(x, lengths=lengths), layer(x, lengths=lengths)
    assert_same(found, expected, **EXACT)
    grads = [
        torch.autograd.grad(sum(part.sin().sum() for part in tensors(run)), [x, *layer.parameters()])
        for run in (found, expected)
    ]
    assert_same(*grads, **EXACT)


@pytest.mark.usefixtures("types_unchecked")
def test_noise_compiles_to_one_graph():
    layer = LSTM(3, 4, recurrent_dropout=0.3, zoneout=0.2)
    y, _ = torch.compile(layer, fullgraph=True, backend="eager")(torch.randn(2, 2, 3))
    assert y.isfinite().all()
    layer.eval()
    x = torch.randn(2, 2, 3)
    assert_same(torch.compile(layer, fullgraph=True, backend="eager")(x), layer(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_vmap_draws_noise_as_its_randomness_says(randomness):
    layer = GRU(3, 4, 2, dropout=0.5, recurrent_dropout=0.5, zoneout=0.3)
    x = torch.randn(5, 2, 3).expand(3, -1, -1, -1)
    y = vmap(lambda series: layer(series)[0], randomness=randomness)(x)
    assert torch.equal(y[0], y[1]) == (randomness == "same")
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(lambda series: layer(series)[0])(x)
