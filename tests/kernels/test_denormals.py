"""Denormal numbers: zero to the kernels, themselves in the data, and to the caller what they were before."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import torch
from cases import DTYPES, KINDS, Case, assert_same_bits, make, needs_native, run, upstream
from torch import Tensor

from throughtime.kernels import (
    Pass,
    TrainingData,
    Update,
    delta_norms,
    native,
    one_thread,
    output_layer,
    standardize,
)
from throughtime.kernels.native import gather_standardized, losses, take_step, train_steps

pytestmark = [needs_native, pytest.mark.parametrize("dtype", DTYPES, ids=str)]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(params=[False, True], ids=["kept", "flushed"])
def caller(request: pytest.FixtureRequest) -> bool:
    """What the caller has set for itself."""
    if not torch.set_flush_denormal(request.param):
        pytest.skip("a processor whose treatment of denormals torch cannot change")
    return bool(request.param)


def denormals(*shape: int, dtype: torch.dtype) -> Tensor:
    """Of both signs, up to the largest there is."""
    signs = torch.rand(*shape, dtype=dtype).sub_(0.5).sign_()
    return signs * torch.rand(*shape, dtype=dtype).clamp_min(0.1) * torch.finfo(dtype).tiny * 0.9


def root_of_denormal(dtype: torch.dtype) -> float:
    """A normal number whose square is denormal."""
    return float(0.5 * torch.finfo(dtype).tiny ** 0.5)


def is_zero(tensor: Tensor) -> bool:
    """Whether each element is zero in its bits: to compare numbers is itself an operation that may flush."""
    ints = torch.int32 if tensor.dtype == torch.float32 else torch.int64
    return bool((tensor.contiguous().view(ints) << 1 == 0).all())


def silenced(case: Case, **places: Tensor) -> Case:
    """The case without biases, some arguments replaced."""
    names = ("x", "lengths", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "c0")
    arguments = dict(zip(names, case.arguments, strict=True)) | {"b_ih": None, "b_hh": None} | places
    if case.kind != "lstm":
        arguments["c0"] = None
    return Case(case.kind, tuple(arguments.values()), case.reverse, case.noise)


@pytest.mark.parametrize("noise", [False, True], ids=["silent", "noise"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_denormal_inputs_and_states_come_out_as_zero(kind: str, reverse: bool, noise: bool, dtype: torch.dtype) -> None:
    case = make(kind, 2, 5, 19, 3, 21, reverse=reverse, noise=noise).to(dtype)
    small = {"x": (2, 5, 19, 3), "h0": (2, 19, 21), "c0": (2, 19, 21)}
    case = silenced(case, **{name: denormals(*shape, dtype=dtype) for name, shape in small.items()})
    for result in native.recurrent(kind, *case.arguments, case.reverse, case.noise):
        assert is_zero(result)


@pytest.mark.parametrize("where", ["weights", "products"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_denormal_weights_and_products_come_out_as_zero(kind: str, where: str, dtype: torch.dtype) -> None:
    case = silenced(make(kind, 2, 5, 19, 3, 21, states=False).to(dtype))
    x, _, w_ih, *_ = case.arguments
    assert x is not None
    assert w_ih is not None
    if where == "weights":
        case = silenced(case, w_ih=denormals(*w_ih.shape, dtype=dtype))
    else:
        root = root_of_denormal(dtype)
        case = silenced(case, x=x.sign() * root, w_ih=w_ih.sign() * root)
    for result in native.recurrent(kind, *case.arguments):
        assert is_zero(result)


@pytest.mark.parametrize("noise", [False, True], ids=["silent", "noise"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_denormal_gradients_come_out_as_zero(kind: str, noise: bool, dtype: torch.dtype) -> None:
    case = make(kind, 2, 5, 19, 3, 21, noise=noise).to(dtype)
    results = native.recurrent(kind, *case.arguments, case.reverse, case.noise)
    grads = [denormals(*result.shape, dtype=dtype) for result in results]
    for gradient in run(native.recurrent, case, grads)[1]:
        assert is_zero(gradient)
    if not noise:
        ends = dict(zip(("dy", "dh_n", "dc_n"), grads, strict=False))
        for norm in delta_norms(kind, *case.arguments, **ends):
            assert is_zero(norm)


@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
@pytest.mark.usefixtures("isa")
def test_moments_and_weights_that_fade_end_at_zero(rule: str, dtype: torch.dtype) -> None:
    # Multiplied by .9 and rounded to nearest, the smallest denormals would stay for ever.
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    weights, first, second = (torch.full((2, 37), smallest, dtype=dtype) for _ in range(3))
    each, nothing = torch.full((2,), 0.9, dtype=dtype), torch.zeros(2, 37, dtype=dtype)
    steps, everyone = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.bool)
    moments = first, None if rule == "sgd" else second
    update = Update(rule, (0.9, 0.999, 1e-8), weights, nothing, *moments, steps, each, each, each, torch.add)
    take_step(update, nothing, everyone)
    assert is_zero(weights)
    assert is_zero(first)
    assert rule == "sgd" or is_zero(second)


@pytest.mark.usefixtures("isa")
def test_the_output_layer_and_the_losses_flush_both_ways(dtype: torch.dtype) -> None:
    tiny, root = torch.finfo(dtype).tiny, root_of_denormal(dtype)
    x, weight = denormals(2, 33, 21, dtype=dtype), torch.ones(2, 5, 21, dtype=dtype).requires_grad_()
    leaf, bias = x.requires_grad_(), torch.zeros(2, 5, dtype=dtype).requires_grad_()
    y = output_layer(leaf, weight, bias)
    assert is_zero(y)
    for gradient in torch.autograd.grad(y, (leaf, weight, bias), denormals(2, 33, 5, dtype=dtype)):
        assert is_zero(gradient)

    error = torch.full((2, 33, 1), root, dtype=dtype).requires_grad_()
    squared = losses("squared_error", error, torch.zeros(2, 33, dtype=dtype))
    assert is_zero(squared)
    share = torch.full((2, 33), root, dtype=dtype)
    assert is_zero(torch.autograd.grad(squared, error, share)[0])

    # A class at e^-80 (float64: e^-700) of the likeliest.
    logits = torch.zeros(2, 33, 2, dtype=dtype)
    logits[..., 1] = -80 if dtype == torch.float32 else -700
    logits.requires_grad_()
    of_classes = losses("cross_entropy", logits, torch.zeros(2, 33, dtype=torch.int64))
    share = torch.full((2, 33), tiny**0.25, dtype=dtype)
    assert is_zero(torch.autograd.grad(of_classes, logits, share)[0][..., 1])


def small_channels(dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Series whose channel is denormal throughout: values, starts, lengths, series, shift, scale."""
    values = denormals(900, 2, dtype=dtype)
    lengths = torch.full((1, 30), 30)
    starts = torch.arange(30)[None] * 30
    return values, starts, lengths, torch.arange(30)[None], values.mean(0)[None], values.abs().mean(0)[None]


@pytest.mark.usefixtures("isa")
def test_a_channel_of_denormals_is_standardized_as_any_other(dtype: torch.dtype, caller: bool) -> None:
    torch.set_flush_denormal(False)
    values, starts, lengths, series, shift, scale = small_channels(dtype)
    wanted = standardize(values.view(1, 30, 30, 2).transpose(1, 2).contiguous(), lengths, shift, scale)
    assert wanted.std() > 0.5
    torch.set_flush_denormal(caller)
    assert torch.equal(gather_standardized(30, values, None, starts, lengths, series, shift, scale), wanted)


Call = Callable[[], tuple[Tensor, ...]]


def recurrent_calls(dtype: torch.dtype) -> dict[str, Call]:
    # more than 6 million multiplications: with fewer a call leaves torch's threads alone
    case = make("lstm", 4, 30, 64, 8, 48).to(dtype)
    grads = [grad * torch.finfo(dtype).tiny * 100 for grad in upstream(native.recurrent("lstm", *case.arguments))]
    ends = dict(zip(("dy", "dh_n", "dc_n"), grads, strict=True))

    def both_passes() -> tuple[Tensor, ...]:
        results, gradients = run(native.recurrent, case, grads)
        return results + gradients

    return {"recurrent": both_passes, "delta_norms": lambda: delta_norms("lstm", *case.arguments, **ends)}


def output_calls(dtype: torch.dtype) -> dict[str, Call]:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, dtype=dtype) for shape in ((8, 512, 64), (8, 9, 64), (8, 9)))
    leaves = [leaf.requires_grad_() for leaf in (x, weight, bias)]
    logits = (torch.randn(8, 512, 9, dtype=dtype) * 40).requires_grad_()
    classes = torch.randint(0, 9, (8, 512))
    faint = torch.rand(8, 512, 9, dtype=dtype) * torch.finfo(dtype).tiny * 10

    def read() -> tuple[Tensor, ...]:
        y = output_layer(*leaves)
        return (y, *torch.autograd.grad(y, leaves, faint))

    def lose() -> tuple[Tensor, ...]:
        found = losses("cross_entropy", logits, classes)
        return (found, *torch.autograd.grad(found, logits, faint[..., 0]))

    return {"output_layer": read, "losses": lose}


def start_of(members: int, width: int, dtype: torch.dtype) -> Update:
    """Adam on moments that are denormal after a step or some."""
    faint = torch.full((members, width), torch.finfo(dtype).tiny, dtype=dtype)
    each, steps = torch.full((members,), 0.5, dtype=dtype), torch.zeros(members, dtype=torch.float64)
    weights = torch.linspace(-0.3, 0.3, width, dtype=dtype).expand(members, width).clone()
    moments = faint, faint.clone(), faint.clone()
    return Update("adam", (0.9, 0.999, 1e-8), weights, *moments, steps, each, each, each, torch.add)


def step_calls(dtype: torch.dtype) -> dict[str, Call]:
    values, *rest = small_channels(dtype)
    many = [part.expand(64, *part.shape[1:]).contiguous() for part in rest]
    grads = torch.full((8, 30_000), torch.finfo(dtype).tiny * 2, dtype=dtype)

    def step() -> tuple[Tensor, ...]:
        update = start_of(8, 30_000, dtype)
        norms = take_step(update, grads, torch.ones(8, dtype=torch.bool))
        return norms, update.weights, update.exp_avg, update.exp_avg_sq

    return {
        "take_step": step,
        "gather": lambda: (gather_standardized(30, values, None, *many),),
        "train_steps": whole_steps(dtype, 8),
    }


def whole_steps(dtype: torch.dtype, members: int, classes: int = 9) -> Call:
    """Three steps of an LSTM, a member's series weighted from 1 to 1e-58."""
    hidden, channels, outputs = 16, 2, 9
    sizes = [4 * hidden * channels, 4 * hidden * hidden, 4 * hidden, 4 * hidden, outputs * hidden, outputs]
    places = [sum(sizes[:i]) for i in range(len(sizes))]
    values, starts, lengths, *own = small_channels(dtype)
    rows, shift, scale = (part.expand(members, *part.shape[1:]).contiguous() for part in own)
    numbers = torch.arange(30, dtype=torch.float64)
    targets, weights = (one.expand(members, 30).contiguous() for one in (numbers % classes, 10 ** (-2 * numbers)))
    training_data = TrainingData(values, None, starts[0], lengths[0], rows, targets, weights, shift, scale)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2)).expand(members, 30).contiguous()

    def call() -> tuple[Tensor, ...]:
        update, sums = start_of(members, sum(sizes), dtype), torch.zeros(2, members, dtype=torch.float64)
        result = Pass(sums[0], sums[1], torch.zeros(3, members, dtype=dtype))
        loss = "cross_entropy"
        train_steps("lstm", loss, hidden, outputs, places, update, training_data, order, 10, range(3), result)
        return update.weights, update.exp_avg, update.exp_avg_sq, result.norms, sums

    return call


CALLS = {
    "recurrent": recurrent_calls,
    "delta_norms": recurrent_calls,
    "output_layer": output_calls,
    "losses": output_calls,
    "take_step": step_calls,
    "gather": step_calls,
    "train_steps": step_calls,
}


def seen() -> Tensor:
    """What each of torch's threads, the caller's first, makes of a denormal: zeros and ones, thread by thread."""
    smallest = torch.full((1 << 18,), torch.finfo(torch.float32).tiny)
    return smallest.mul(0.5).view(torch.int32) != 0


@pytest.mark.parametrize("of_torch", [True, False], ids=["torch's threads", "own threads"])
@pytest.mark.parametrize("name", CALLS)
def test_the_caller_and_torchs_threads_find_their_treatment_of_denormals_unchanged(
    name: str, of_torch: bool, caller: bool, dtype: torch.dtype, threads: Callable[[int], None]
) -> None:
    call = CALLS[name](dtype)[name]
    threads(2)
    before = seen()
    assert bool(before[0]) is not caller
    with nullcontext() if of_torch else one_thread():
        call()
    assert torch.equal(seen(), before)


@pytest.mark.parametrize("members", [1, 8], ids=["on the caller's thread", "on several"])
@pytest.mark.usefixtures("caller")
def test_they_do_after_a_call_that_raises(members: int, dtype: torch.dtype, threads: Callable[[int], None]) -> None:
    threads(2)
    before = seen()
    with pytest.raises(ValueError, match="targets needs classes from 0 to 8"):
        whole_steps(dtype, members, classes=11)()
    assert torch.equal(seen(), before)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_caller_makes_of_denormals_shows_in_no_bit(
    name: str, dtype: torch.dtype, threads: Callable[[int], None]
) -> None:
    call = CALLS[name](dtype)[name]
    found = []
    for flush in (False, True):
        for count in (1, 2):
            threads(count)
            torch.set_flush_denormal(flush)
            found.append(call())
            torch.set_flush_denormal(False)
    for other in found[1:]:
        assert_same_bits(other, found[0])
