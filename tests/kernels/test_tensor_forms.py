"""Wherever an address is taken: a tensor that is something else than memory is read right, or refused."""

from collections.abc import Callable
from typing import Any

import oracle
import pytest
import torch
from cases import Case, assert_same_bits, make, needs_native, upstream
from forms import READ, REFUSALS, REFUSED, Form
from torch import Tensor
from torch.autograd import forward_ad

from throughtime import kernels
from throughtime.kernels import StepNoise, Update, delta_norms, output_layer
from throughtime.kernels.native import losses, take_step

pytestmark = [
    needs_native,
    pytest.mark.usefixtures("types_unchecked"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.* is (deprecated|not supported):DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of (nested|Masked).*:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
    pytest.mark.filterwarnings("ignore:.*not implemented in __torch_dispatch__ for MaskedTensor"),
]

read = pytest.mark.parametrize("form", READ.values(), ids=READ)
refused = pytest.mark.parametrize("form", REFUSED.values(), ids=REFUSED)

#: x, the weights, the biases, the initial states; then the noise.
PLACES = [0, *range(2, 12)]


def problem(kind: str = "lstm") -> Case:
    return make(kind, 2, 3, 4, 5, 6, noise=True).to(torch.float32)


def run(case: Case, tensors: list[Any]) -> tuple[Tensor, ...]:
    return kernels.recurrent(case.kind, *tensors[:8], noise=StepNoise(*tensors[8:]))  # type: ignore[arg-type]


def changed(tensors: list[Any], place: int, form: Form) -> list[Any]:
    return [*tensors[:place], form(tensors[place]), *tensors[place + 1 :]]


@read
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_the_op_reads_what_a_tensor_says(form: Form, place: int, grad: bool) -> None:
    case = problem()
    tensors = [*case.arguments, *case.noise]
    if grad:  # of all but what is changed
        tensors = [t.clone().requires_grad_() if at not in (1, place) and at < 8 else t for at, t in enumerate(tensors)]
    if grad and form is READ["a tensor of inference"]:
        with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
            run(case, changed(tensors, place, form))
        return
    with torch.set_grad_enabled(grad):
        found, wanted = run(case, changed(tensors, place, form)), run(case, tensors)
    plain = tuple(t.detach().as_subclass(Tensor) for t in found)
    assert_same_bits(plain, tuple(t.detach() for t in wanted))
    if grad:
        leaves = [t for t in tensors[:8] if t is not None and t.requires_grad]
        grads = [torch.autograd.grad(results, leaves, upstream(wanted)) for results in (found, wanted)]
        assert_same_bits(tuple(t.as_subclass(Tensor) for t in grads[0]), grads[1])


@refused
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_the_op_refuses_what_has_no_values(form: Form, place: int, grad: bool) -> None:
    case = problem()
    tensors = [*case.arguments, *case.noise]
    odd = changed(tensors, place, form)
    if grad:
        odd = [t.clone().requires_grad_() if at not in (1, place) and at < 8 else t for at, t in enumerate(odd)]
    with torch.set_grad_enabled(grad), pytest.raises(REFUSALS):
        run(case, odd)


def gradients(case: Case) -> tuple[tuple[Tensor, ...], list[Tensor], list[Tensor]]:
    """Results, leaves, and gradients of the results."""
    leaves = [t.clone().requires_grad_() if at != 1 else t for at, t in enumerate(case.arguments)]  # type: ignore[union-attr]
    results = run(case, [*leaves, *case.noise])
    return results, [leaf for leaf in leaves if leaf is not None and leaf.requires_grad], upstream(results)


@read
@pytest.mark.parametrize("place", range(3))
def test_gradients_of_the_results_are_read_as_they_say(form: Form, place: int) -> None:
    case = problem()
    results, leaves, grads = gradients(case)
    found, wanted = (
        torch.autograd.grad(results, leaves, given, retain_graph=True) for given in (changed(grads, place, form), grads)
    )
    assert_same_bits(tuple(t.as_subclass(Tensor) for t in found), wanted)
    silent = Case(case.kind, case.arguments, case.reverse)
    names = ("dy", "dh_n", "dc_n")
    norms = [
        delta_norms("lstm", *silent.arguments, **dict(zip(names, given, strict=True)))  # type: ignore[arg-type]
        for given in (changed(grads, place, form), grads)
    ]
    assert_same_bits(tuple(t.as_subclass(Tensor) for t in norms[0]), norms[1])


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("place", range(3))
def test_gradients_of_the_results_without_values_are_refused(name: str, place: int) -> None:
    case = problem()
    results, leaves, grads = gradients(case)
    odd = changed(grads, place, REFUSED[name])
    if name != "of another dtype":  # autograd casts it
        with pytest.raises(REFUSALS):
            torch.autograd.grad(results, leaves, odd)
    if name not in ("zero without memory", "functional"):  # torch gives them memory before it calls the operator
        with pytest.raises(REFUSALS):
            delta_norms("lstm", *case.arguments, **dict(zip(("dy", "dh_n", "dc_n"), odd, strict=True)))  # type: ignore[arg-type]


def test_gradients_of_other_shapes_are_refused() -> None:
    case = problem()
    _, _, grads = gradients(case)
    for name, grad in zip(("dy", "dh_n", "dc_n"), grads, strict=True):
        with pytest.raises(RuntimeError, match=rf"{name} needs shape \(2, .*, 6\) and torch.float32 on cpu, got"):
            delta_norms("lstm", *case.arguments, **{name: grad[..., :5].contiguous()})  # type: ignore[arg-type]
    gru = problem("gru")
    with pytest.raises(RuntimeError, match="dc_n needs an LSTM, got gru"):
        delta_norms("gru", *gru.arguments, dc_n=grads[2])  # type: ignore[arg-type]


def duals(tensors: list[Any], tangents: list[Any]) -> list[Any]:
    return [t if v is None else forward_ad.make_dual(t, v) for t, v in zip(tensors, tangents, strict=True)]


@pytest.mark.parametrize("kind", ["rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("which", ["all", "x alone", "the weights alone"])
@pytest.mark.parametrize("grad", [False, True])
def test_tangents_of_forward_mode_are_those_of_the_oracle(kind: str, which: str, grad: bool) -> None:
    case = make(kind, 2, 3, 4, 5, 6, noise=True)
    chosen = {"all": {0, *range(2, 8)}, "x alone": {0}, "the weights alone": {2, 3}}[which]
    tensors = [t.requires_grad_(grad) if t is not None and at != 1 else t for at, t in enumerate(case.arguments)]
    tangents = [torch.randn_like(t) if t is not None and at in chosen else None for at, t in enumerate(tensors)]
    found = []
    for function in (kernels.recurrent, oracle.recurrent):
        with torch.set_grad_enabled(grad), forward_ad.dual_level():
            results = function(kind, *duals(tensors, tangents), reverse=True, noise=case.noise)  # type: ignore[operator]
            found.append([part for result in results for part in forward_ad.unpack_dual(result)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm"])
def test_forward_mode_over_the_gradients_of_the_results_is_linear(kind: str) -> None:
    case = make(kind, 2, 3, 4, 5, 6)
    leaves = [t.requires_grad_() if t is not None and at != 1 else t for at, t in enumerate(case.arguments)]
    given = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    results = kernels.recurrent(kind, *leaves)  # type: ignore[arg-type]
    dy = torch.randn_like(results[0])
    with forward_ad.dual_level():
        grads = torch.autograd.grad(
            results[0], given, forward_ad.make_dual(torch.zeros_like(dy), dy), retain_graph=True
        )
        tangents = [forward_ad.unpack_dual(grad).tangent for grad in grads]
        assert not any(grad.requires_grad for grad in grads)
    for tangent, wanted in zip(tangents, torch.autograd.grad(results[0], given, dy), strict=True):
        torch.testing.assert_close(tangent, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_batched_in_either_of_torchs_ways_are_a_loop(kind: str, create_graph: bool) -> None:
    case = make(kind, 2, 3, 4, 5, 6, noise=True)
    leaves = [t.requires_grad_() if t is not None and at != 1 else t for at, t in enumerate(case.arguments)]
    given = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    results = kernels.recurrent(kind, *leaves, noise=case.noise)  # type: ignore[arg-type]
    many = [torch.randn(3, *result.shape, dtype=result.dtype) for result in results]

    def grad(*outer: Tensor, **options: Any) -> tuple[Tensor, ...]:
        return torch.autograd.grad(results, given, outer, retain_graph=True, create_graph=create_graph, **options)

    wanted = [torch.stack(parts) for parts in zip(*(grad(*one) for one in zip(*many, strict=True)), strict=True)]
    for found in (grad(*many, is_grads_batched=True), torch.vmap(grad)(*many)):
        torch.testing.assert_close(list(found), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", ["native", "reference"])
def test_the_op_is_not_recorded_by_a_trace(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "reference":
        monkeypatch.setenv(kernels.ISA_VARIABLE, path)
    case = problem("gru")
    kept = case.arguments[1:]
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"torch\.jit\.trace needs operations of torch's own"):
        torch.jit.trace(lambda x: kernels.recurrent("gru", x, *kept), case.arguments[0])  # type: ignore[arg-type]


@read
@pytest.mark.parametrize("place", range(3))
def test_the_output_layer_reads_what_a_tensor_says(form: Form, place: int) -> None:
    tensors = [torch.randn(2, 3, 5), torch.randn(2, 4, 5), torch.randn(2, 4)]
    found, wanted = output_layer(*changed(tensors, place, form)), output_layer(*tensors)
    torch.testing.assert_close(found.detach().as_subclass(Tensor), wanted, rtol=1e-6, atol=1e-6)


@refused
@pytest.mark.parametrize("place", range(3))
def test_the_output_layer_refuses_what_has_no_values(form: Form, place: int) -> None:
    tensors = [torch.randn(2, 3, 5), torch.randn(2, 4, 5), torch.randn(2, 4)]
    with pytest.raises(REFUSALS):
        output_layer(*changed(tensors, place, form))


@read
def test_losses_and_their_gradients_are_of_what_a_tensor_says(form: Form) -> None:
    outputs, targets, share = torch.randn(3, 4, 1), torch.randn(3, 4), torch.rand(3, 4)
    wanted = losses("squared_error", outputs, targets)
    for odd in ((form(outputs), targets), (outputs, form(targets))):
        assert torch.equal(losses("squared_error", *odd).detach().as_subclass(Tensor), wanted)
    outputs.requires_grad_()
    again = losses("squared_error", outputs, targets)
    found, expected = (
        torch.autograd.grad(again, outputs, given, retain_graph=True)[0] for given in (form(share), share)
    )
    assert torch.equal(found.as_subclass(Tensor), expected)


@refused
def test_losses_refuse_what_has_no_values(form: Form) -> None:
    with pytest.raises(REFUSALS):
        losses("squared_error", form(torch.randn(3, 4, 1)), torch.randn(3, 4))


def test_no_tangent_is_lost_where_there_is_no_derivative() -> None:
    outputs, targets = torch.randn(3, 4, 1), torch.randn(3, 4)
    case = problem("gru")
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(outputs, outputs)
        with pytest.raises(RuntimeError, match="forward"):
            losses("squared_error", dual, targets)
        with pytest.raises(RuntimeError, match="delta_norms needs tensors outside forward-mode AD"):
            delta_norms("gru", *case.arguments)  # type: ignore[arg-type]
        x, weight, bias = torch.randn(2, 3, 5), torch.randn(2, 4, 5), torch.randn(2, 4)
        y = forward_ad.unpack_dual(output_layer(forward_ad.make_dual(x, x), weight, bias))
        torch.testing.assert_close(y.tangent, x @ weight.mT)


def update(**changes: Tensor) -> Update:
    rows, one = (torch.rand(2, 7) for _ in range(4)), (torch.ones(2) for _ in range(3))
    weights, decay, first, second = rows
    lr, momentum, max_norm = one
    fields = {
        "weights": weights,
        "decay": decay,
        "exp_avg": first,
        "exp_avg_sq": second,
        "steps": torch.zeros(2).double(),
    }
    fields |= {"lr": lr, "momentum": momentum, "max_norm": max_norm, "in_torch": torch.add, **changes}
    return Update("adam", (0.9, 0.999, 1e-8), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REFUSED)
def test_a_step_of_the_optimizer_refuses_what_has_no_values(name: str) -> None:
    with pytest.raises(REFUSALS):
        take_step(update(), REFUSED[name](torch.rand(2, 7)), torch.ones(2, dtype=torch.bool))
    with pytest.raises(REFUSALS):
        take_step(update(weights=REFUSED[name](torch.rand(2, 7))), torch.rand(2, 7), torch.ones(2, dtype=torch.bool))


def test_a_step_of_the_optimizer_refuses_what_it_could_not_change_in_place() -> None:
    active: Tensor = torch.ones(2, dtype=torch.bool)
    run: Callable[..., Tensor] = take_step
    with pytest.raises(RuntimeError, match="a tensor that is what its memory holds, got a negated view"):
        run(update(weights=torch._neg_view(torch.rand(2, 7))), torch.rand(2, 7), active)
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="got a dual tensor"):
        run(update(), forward_ad.make_dual(torch.rand(2, 7), torch.rand(2, 7)), active)
    with pytest.raises(RuntimeError, match=r"torch\.jit\.trace needs operations of torch's own"):
        torch.jit.trace(lambda grads: run(update(), grads, active), torch.rand(2, 7))
