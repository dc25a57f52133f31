"""One choice of what computes, by device and dtype; and backends that do the same, each in its own way."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from cases import KINDS, make, needs_native
from torch import Tensor

from throughtime import kernels
from throughtime.errors import ParameterError
from throughtime.kernels import BACKENDS, CELLS, ISA_VARIABLE, DeltaNorms, backend_for, native_available
from throughtime.kernels.native import NativeBackend, delta_norms
from throughtime.kernels.torch_path import TorchBackend

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_the_kernels_serve_what_they_can_on_a_cpu_and_torch_the_rest(dtype, monkeypatch):
    native = native_available() and dtype in (torch.float32, torch.float64)
    assert backend_for(CPU, dtype).name == ("native" if native else "torch")
    for device in ("cuda", "meta"):
        assert backend_for(torch.device(device), dtype).name == "torch"
    monkeypatch.setenv(ISA_VARIABLE, "reference")
    assert backend_for(CPU, dtype).name == "torch"


@pytest.mark.parametrize("missing", [False, True], ids=["as built", "without the extension"])
def test_an_instruction_set_that_is_not_here_is_refused(missing, monkeypatch):
    if missing:
        monkeypatch.setattr(kernels.dispatch, "_INSTRUCTION_SETS", ())
    monkeypatch.setenv(ISA_VARIABLE, "sparc")
    with pytest.raises(ParameterError, match=r"THROUGHTIME_ISA needs one of reference.*, got sparc"):
        backend_for(CPU, torch.float32)


def test_the_first_backend_that_takes_a_tensor_serves_it(monkeypatch):
    class Halves(TorchBackend):
        name = "halves"

        def takes(self, device: torch.device, dtype: torch.dtype) -> bool:
            return (device.type, dtype) == ("cpu", torch.bfloat16)

        def output_layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return super().output_layer(x, weight, bias) + 1

    monkeypatch.setattr(kernels.dispatch, "BACKENDS", [Halves(), *BACKENDS])
    x, weight, bias = torch.ones(2, 3, 5), torch.ones(2, 4, 5), torch.ones(2, 4)
    half = [part.bfloat16() for part in (x, weight, bias)]
    assert backend_for(CPU, torch.bfloat16).name == "halves"
    assert (kernels.output_layer(*half) == 7).all()
    assert (kernels.output_layer(x, weight, bias) == 6).all()
    monkeypatch.setenv(ISA_VARIABLE, "reference")
    assert (kernels.output_layer(*half) == 6).all()


def test_only_cells_with_a_kernel_add_up_row_by_row():
    rows = {name: NativeBackend().row_by_row(cell) for name, cell in CELLS.items()}
    assert rows == {name: name in KINDS for name in CELLS}
    assert not any(TorchBackend().row_by_row(cell) for cell in CELLS.values())


class Net:
    spec, hidden_size, num_layers, bidirectional, pooling, n_outputs = CELLS["gru"], 4, 1, False, "last", 2


class Recipe:
    loss, optimizer = "cross_entropy", "adam"


class Member:
    dropout: float = 0.0
    noise: dict[str, float] = {}  # noqa: RUF012 - not changed
    perturbations: tuple[Any, ...] = ()
    clip_value = math.inf


def changed(cls: type, **attributes: Any) -> Any:
    return type(cls.__name__, (cls,), attributes)()


@pytest.mark.parametrize(
    ("parts", "fused"),
    [
        ((Net(), Recipe(), Member()), True),
        ((Net(), Recipe(), changed(Member, dropout=0.5)), True),
        ((changed(Net, spec=CELLS["linear"]), Recipe(), Member()), False),
        ((changed(Net, num_layers=2), Recipe(), Member()), False),
        ((changed(Net, bidirectional=True), Recipe(), Member()), False),
        ((changed(Net, pooling="mean"), Recipe(), Member()), False),
        ((object(), Recipe(), Member()), False),
        ((Net(), changed(Recipe, optimizer="adagrad"), Member()), False),
        ((Net(), changed(Recipe, loss="hinge"), Member()), False),
        ((Net(), Recipe(), changed(Member, noise={"zoneout": 0.1})), False),
        ((Net(), Recipe(), changed(Member, perturbations=(1,))), False),
        ((Net(), Recipe(), changed(Member, clip_value=1.0)), False),
    ],
)
def test_whole_steps_are_of_nets_recipes_and_members_that_the_kernels_know(parts, fused):
    assert NativeBackend().can_fuse(*parts) is fused
    assert not TorchBackend().can_fuse(*parts)


@pytest.mark.usefixtures("types_unchecked")
def test_a_backend_without_whole_steps_says_so():
    with pytest.raises(NotImplementedError, match="the torch backend takes no whole steps"):
        TorchBackend().train_steps(Net(), "cross_entropy", *[None] * 7)  # type: ignore[arg-type]


BOTH = pytest.mark.parametrize(
    "backend", [pytest.param(NativeBackend(), marks=needs_native), TorchBackend()], ids=lambda backend: backend.name
)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_norms_by_tensor_are_those_of_its_part_of_the_row(backend, dtype):
    torch.manual_seed(0)
    places = [0, 16, 17, 150, 4000]
    grads = torch.randn(3, 9000, dtype=dtype)
    grads[1] *= 1e-25  # whose squares are no float32
    norms = backend.tensor_norms(grads, places)
    assert norms.dtype == torch.float64
    for t, (begin, end) in enumerate(zip(places, [*places[1:], 9000], strict=True)):
        exact = grads[:, begin:end].double().square().sum(1).sqrt()
        torch.testing.assert_close(norms[:, t], exact, rtol=1e-13, atol=0)
    for m in range(3):
        assert torch.equal(backend.tensor_norms(grads[m : m + 1].clone(), places)[0], norms[m])


@needs_native
@BOTH
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_op_hands_on_the_norms_of_its_deltas_and_the_same_gradients(kind, reverse, backend):
    case = replace(make(kind, 2, 6, 11, 3, 10), reverse=reverse)
    leaves = [t if at == 1 or t is None else t.requires_grad_() for at, t in enumerate(case.arguments)]
    wanted = [t for at, t in enumerate(leaves) if at != 1 and t is not None]

    def run(deltas: DeltaNorms | None) -> tuple[list[Tensor], list[Tensor]]:
        results = backend.recurrent(CELLS[kind], *leaves, reverse, deltas=deltas)
        outer = [torch.linspace(-1, 1, r.numel(), dtype=r.dtype).view(r.shape) for r in results]
        return outer, list(torch.autograd.grad(results, wanted, outer))

    deltas = DeltaNorms()
    outer, watched = run(deltas)
    assert all(torch.equal(one, other) for one, other in zip(watched, run(None)[1], strict=True))
    named = dict(zip(("dy", "dh_n", "dc_n"), outer, strict=False))
    # What lies beyond a series' end is no output of the op, and its gradient reaches nothing.
    plain = [None if t is None else t.detach() for t in leaves]
    norms = delta_norms(kind, *plain, reverse, **named)
    assert (deltas.c is None) == (kind != "lstm")
    for own, expected in zip((deltas.h, deltas.c), norms, strict=False):
        torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-20)


@needs_native
def test_norms_of_deltas_are_not_asked_of_a_call_under_a_transform():
    case = make("gru", 1, 3, 2, 3, 4)
    arguments = [None if t is None else t for t in case.arguments]
    with pytest.raises(RuntimeError, match="the norms of deltas need a call that no transform"):
        torch.vmap(lambda x: kernels.recurrent("gru", x, *arguments[1:], deltas=DeltaNorms())[0])(arguments[0][None])
