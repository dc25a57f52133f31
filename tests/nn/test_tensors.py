"""The layers given what is no plain tensor of the right size: the right result, or a refusal, on every path."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pairs import EXACT, PAIRS, assert_same, pair, start_of, tensors
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck
from torch.func import functional_call

pytestmark = [
    pytest.mark.usefixtures("either_path", "types_unchecked"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),  # torch's own, at its first dual tensor
]
each_cell = pytest.mark.parametrize("cell", PAIRS)
each_mode = pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])

Call = Callable[..., Any]


def replace(layer: nn.Module, name: str, weight: Tensor) -> Call:
    setattr(layer, name, nn.Parameter(weight))
    return layer


def overwrite(layer: nn.Module, name: str, weight: Tensor) -> Call:
    getattr(layer, name).data = weight
    return layer


def hand_in(layer: nn.Module, name: str, weight: Tensor) -> Call:
    return lambda *a: functional_call(layer, {name: weight}, a)


@each_cell
@each_mode
@pytest.mark.parametrize("put", [replace, overwrite, hand_in])
def test_a_weight_of_another_shape_is_refused(cell: str, grad: bool, put: Callable[..., Call]) -> None:
    plain = PAIRS[cell][0](4, 8, **PAIRS[cell][2])
    for options in ({}, {"num_layers": 2, "bidirectional": True}):
        for name, weight in plain.named_parameters():
            shapes = [(0,), (weight.shape[0] // 2, *weight.shape[1:]), (2 * weight.shape[0], *weight.shape[1:])]
            shapes += [(weight.shape[0], 2000), (weight.shape[0], 1)] if weight.dim() == 2 else [(weight.shape[0], 1)]
            for shape in shapes:
                layer = PAIRS[cell][0](4, 8, **PAIRS[cell][2], **options)
                call = put(layer, name, torch.ones(shape))
                with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match=f"{name} needs shape"):
                    call(torch.ones(3, 2, 4))


@each_cell
@each_mode
def test_a_weight_that_was_taken_out_is_refused(cell: str, grad: bool) -> None:
    for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        layer = PAIRS[cell][0](4, 8, **PAIRS[cell][2])
        setattr(layer, name, None)
        with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match=f"{name} needs shape .*, got None"):
            layer(torch.ones(3, 2, 4))


@each_cell
@each_mode
def test_weights_that_fit_each_other_but_not_the_layer_are_refused(cell: str, grad: bool) -> None:
    ours, _, own = PAIRS[cell]
    small, large = ours(4, 8, **own), ours(4, 16, **own)
    with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match="weight_ih_l0 needs shape"):
        functional_call(small, large.state_dict(), (torch.ones(3, 2, 4),))


@each_cell
@each_mode
def test_a_layer_made_smaller_with_its_weights_works_as_torchs(cell: str, grad: bool) -> None:
    # as structured pruning does
    ours, theirs = pair(cell, 4, 8)
    smaller = PAIRS[cell][1](3, 6, **PAIRS[cell][2])
    for layer in (ours, theirs):
        for name, weight in smaller.named_parameters():
            setattr(layer, name, nn.Parameter(weight.detach().clone()))
        layer.input_size, layer.hidden_size = 3, 6
    x = torch.randn(5, 2, 3)
    with torch.set_grad_enabled(grad):
        assert_same(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@each_cell
@each_mode
def test_a_weight_whose_storage_was_freed_is_refused(cell: str, grad: bool) -> None:
    layer = PAIRS[cell][0](4, 8, **PAIRS[cell][2])
    for name, weight in layer.named_parameters():
        kept = weight.detach().clone()
        weight.untyped_storage().resize_(0)
        with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match="storage"):
            layer(torch.ones(3, 2, 4))
        setattr(layer, name, nn.Parameter(kept))


class Subclass(Tensor):
    """A tensor that another library looks at."""


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "a negated view with gaps": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
    "a negated view without gaps": lambda t: torch._neg_view(-t),
    "a view with gaps": lambda t: torch.stack([t, torch.full_like(t, torch.nan)], -1)[..., 0],
    "a subclass": lambda t: t.as_subclass(Subclass),
}


@each_cell
@each_mode
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_tensor_is_read_as_it_says(cell: str, grad: bool, form: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    layer, theirs = pair(cell, 4, 8, dtype=torch.float64)
    x, hx = torch.randn(5, 3, 4, dtype=torch.float64), start_of(layer, (3,), dtype=torch.float64)
    odd = tuple(map(form, hx)) if isinstance(hx, tuple) else form(hx)
    weights = {name: form(weight.detach()) for name, weight in layer.named_parameters()}
    with torch.set_grad_enabled(grad):
        wanted = theirs(x, hx)
        for found in (layer(form(x), hx), layer(x, odd), functional_call(layer, weights, (x, hx))):
            assert_same([part.as_subclass(Tensor) for part in tensors(found)], wanted, **EXACT)
    if grad:
        both = [layer(x, hx)[0], wanted[0]]
        dy = torch.randn_like(both[0])
        grads = [
            torch.autograd.grad(y, list(model.parameters()), form(dy))
            for y, model in zip(both, (layer, theirs), strict=True)
        ]
        assert_same(*grads, **EXACT)


@each_cell
@pytest.mark.parametrize("frozen", [False, True])
@each_mode
def test_forward_mode_gives_torchs_tangents(cell: str, frozen: bool, grad: bool) -> None:
    torch.manual_seed(0)
    layers = pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x, hx = torch.randn(5, 2, 3, dtype=torch.float64), start_of(layers[0], (2,), dtype=torch.float64)
    tangent = torch.randn_like(x)
    found = []
    for layer in layers:
        layer.requires_grad_(not frozen)
        with torch.set_grad_enabled(grad), forward_ad.dual_level():
            results = layer(forward_ad.make_dual(x, tangent), hx)
            found.append([part for one in tensors(results) for part in forward_ad.unpack_dual(one)])
    assert all(part is not None for part in found[0])
    assert_same(*found, **EXACT)


@each_cell
def test_forward_mode_over_weights_and_states_gives_torchs_tangents(cell: str) -> None:
    torch.manual_seed(0)
    layers = pair(cell, 3, 4, dtype=torch.float64)
    x, hx = torch.randn(5, 2, 3, dtype=torch.float64), start_of(layers[0], (2,), dtype=torch.float64)
    along = {name: torch.randn_like(weight) for name, weight in layers[0].named_parameters()}
    found = []
    for layer in layers:
        with forward_ad.dual_level():
            weights = {name: forward_ad.make_dual(w.detach(), along[name]) for name, w in layer.named_parameters()}
            start = [forward_ad.make_dual(state, state.cos()) for state in tensors(hx)]
            results = functional_call(layer, weights, (x, tuple(start) if len(start) == 2 else start[0]))
            found.append([part for one in tensors(results) for part in forward_ad.unpack_dual(one)])
    assert_same(*found, **EXACT)


@each_cell
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_jacobian_of_batched_gradients_is_torchs(cell: str, create_graph: bool) -> None:
    torch.manual_seed(0)
    layers = pair(cell, 3, 4, 2, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian
    ours = jacobian(lambda x: layers[0](x)[0].sum(0), x, vectorize=True, create_graph=create_graph)
    torch.testing.assert_close(ours, jacobian(lambda x: layers[1](x)[0].sum(0), x), **EXACT)
    if create_graph:
        assert ours.grad_fn is not None
    along = jacobian(lambda x: layers[0](x)[0].sum(0), x, vectorize=True, strategy="forward-mode")
    torch.testing.assert_close(along, ours, **EXACT)


@each_cell
def test_gradients_batched_in_a_loop_are_torchs(cell: str) -> None:
    torch.manual_seed(0)
    layers = pair(cell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x, many = torch.randn(4, 2, 3, dtype=torch.float64), torch.randn(5, 4, 2, 8, dtype=torch.float64)
    if cell == "lstm-projected":
        many = many[..., :4]
    ours, theirs = (
        torch.autograd.grad(layer(x)[0], list(layer.parameters()), many, is_grads_batched=True) for layer in layers
    )
    assert_same(ours, theirs, **EXACT)


@each_cell
def test_derivatives_pass_torchs_check_batched_and_forward(cell: str) -> None:
    torch.manual_seed(0)
    layer = PAIRS[cell][0](2, 3, dtype=torch.float64, **PAIRS[cell][2])
    names = [name for name, _ in layer.named_parameters()]
    given = (torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True), *layer.parameters())

    def run(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        results = functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
        return tuple(tensors(results))

    checks = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    assert gradcheck(run, given, fast_mode=True, **checks)
