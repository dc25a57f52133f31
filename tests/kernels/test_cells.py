"""Cells as their specs declare them: closed forms, a float64 loop, and the lockstep law without a kernel in C++."""

import copy
import pickle
from typing import Any, get_args

import pytest
import torch
from cases import assert_same_bits
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.kernels import CELLS, CHUNK, NO_NOISE, CellSpec, StepNoise, find_cell, native, one_thread, recurrent
from throughtime.parameters import CellName

#: Cells that run in plain torch wherever they are.
PLAIN = [cell.name for cell in CELLS.values() if cell.native is None]
#: float64 keeps 16 digits; 20 steps of sums of at most 20 terms of order 1 lose three of them
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def draw(
    cell: str, members: int, time: int, batch: int, channels: int, units: int, dtype: torch.dtype = torch.float64
) -> dict[str, Any]:
    """Random arguments of a call, every noise that the cell has a place for among them."""
    spec = find_cell(cell)
    rows = len(spec.gates) * units
    lengths = torch.randint(1, time + 1, (members, batch))
    lengths[:, 0] = time
    steps = (members, time, batch, units)
    noise = {
        "recurrent": (torch.rand(members, batch, units) > 0.2) * 1.25,
        "candidate": (torch.rand(steps) > 0.2) * 1.25,
        "zoneout_h": (torch.rand(steps) < 0.2) * 1.0,
        "zoneout_c": torch.rand(steps),
    }
    weights = [torch.randn(members, *shape, dtype=dtype) / units**0.5 for shape in ((rows, channels), (rows, units))]
    return {
        "x": torch.randn(members, time, batch, channels, dtype=dtype),
        "lengths": lengths,
        "w_ih": weights[0],
        "w_hh": weights[1],
        "b_ih": torch.randn(members, rows, dtype=dtype),
        "b_hh": torch.randn(members, rows, dtype=dtype),
        "h0": torch.randn(members, batch, units, dtype=dtype),
        "c0": torch.randn(members, batch, units, dtype=dtype) if "c" in spec.states else None,
        "noise": StepNoise(**{place: noise[place].to(dtype) for place in spec.noise}),
        "unit_weights": [torch.randn(members, units, dtype=dtype) for _ in spec.unit_weights],
    }


def take(arguments: dict[str, Any], chosen: slice) -> dict[str, Any]:
    """Some members of a call."""

    def part(value: Any) -> Any:
        if isinstance(value, StepNoise):
            return StepNoise(*map(part, value))
        return [one[chosen] for one in value] if isinstance(value, list) else None if value is None else value[chosen]

    return {name: part(value) for name, value in arguments.items()}


def results(cell: str, arguments: dict[str, Any], reverse: bool = False) -> tuple[Tensor, ...]:
    """Outputs, final states and the gradients of all that has one, as the training loop computes them."""
    with one_thread():
        leaves = {
            name: value.detach().requires_grad_()
            for name, value in arguments.items()
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        per_unit = [weight.detach().requires_grad_() for weight in arguments["unit_weights"]]
        found = recurrent(cell, **(arguments | leaves | {"unit_weights": per_unit}), reverse=reverse)
        weight = torch.arange(1, found[0].shape[1] + 1, dtype=found[0].dtype).view(-1, 1, 1)
        outer = [weight.expand_as(found[0]), *map(torch.ones_like, found[1:])]
        return *found, *torch.autograd.grad(found, [*leaves.values(), *per_unit], outer)


def test_the_words_of_the_parameter_cell_are_the_cells_of_the_package() -> None:
    assert sorted(get_args(CellName)) == sorted({name.partition("_")[0] if "rnn" in name else name for name in CELLS})


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_cell_is_a_value_equal_after_pickle_and_copy(cell: CellSpec) -> None:
    for other in (pickle.loads(pickle.dumps(cell)), copy.deepcopy(cell)):
        assert other == cell
        assert hash(other) == hash(cell)
    assert repr(cell) == f"CellSpec(name={cell.name!r})"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_linear_cell_is_its_closed_form_in_powers_of_its_matrix(reverse: bool) -> None:
    time, batch, units = 2 * CHUNK + 3, 5, 3
    call = draw("linear", 2, time, batch, 4, units) | {"noise": NO_NOISE}
    y, h_n = recurrent("linear", **call, reverse=reverse)
    for m in range(2):
        power = [torch.linalg.matrix_power(call["w_hh"][m], n) for n in range(time + 1)]
        bias = call["b_ih"][m] + call["b_hh"][m]
        for series, length in enumerate(call["lengths"][m].tolist()):
            inputs = call["x"][m, :length, series] @ call["w_ih"][m].T + bias
            inputs = inputs.flip(0) if reverse else inputs
            states = [
                power[t + 1] @ call["h0"][m, series] + sum(power[t - s] @ inputs[s] for s in range(t + 1))
                for t in range(length)
            ]
            expected = torch.stack(states[::-1] if reverse else states)
            torch.testing.assert_close(y[m, :length, series], expected, **EXACT)
            torch.testing.assert_close(h_n[m, series], states[-1], **EXACT)
            assert (y[m, length:, series] == 0).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_peephole_lstm_with_all_its_noise_is_the_papers_equations_one_unit_at_a_time(reverse: bool) -> None:
    units = 3
    call = draw("peephole_lstm", 1, CHUNK + 3, 4, 2, units)
    y, h_n, c_n = recurrent("peephole_lstm", **call, reverse=reverse)
    w_ci, w_cf, w_co = (weight[0] for weight in call["unit_weights"])
    noise = call["noise"]

    def gate(number: int, unit: int, x: Tensor, h: Tensor) -> Tensor:
        row = number * units + unit
        biases = call["b_ih"][0, row] + call["b_hh"][0, row]
        return call["w_ih"][0, row] @ x + call["w_hh"][0, row] @ h + biases

    for series, length in enumerate(call["lengths"][0].tolist()):
        h, c = call["h0"][0, series], call["c0"][0, series]
        for t in reversed(range(length)) if reverse else range(length):
            x, masked = call["x"][0, t, series], h * noise.recurrent[0, series]
            new_h, new_c = torch.zeros_like(h), torch.zeros_like(c)
            for j in range(units):
                i = torch.sigmoid(gate(0, j, x, masked) + w_ci[j] * c[j])
                f = torch.sigmoid(gate(1, j, x, masked) + w_cf[j] * c[j])
                new_c[j] = f * c[j] + i * torch.tanh(gate(2, j, x, masked)) * noise.candidate[0, t, series, j]
                new_h[j] = torch.sigmoid(gate(3, j, x, masked) + w_co[j] * new_c[j]) * torch.tanh(new_c[j])
            stays_h, stays_c = noise.zoneout_h[0, t, series], noise.zoneout_c[0, t, series]
            h, c = stays_h * h + (1 - stays_h) * new_h, stays_c * c + (1 - stays_c) * new_c
            torch.testing.assert_close(y[0, t, series], h, **EXACT)
        torch.testing.assert_close(h_n[0, series], h, **EXACT)
        torch.testing.assert_close(c_n[0, series], c, **EXACT)


def test_without_peepholes_it_is_the_lstm_forward_and_backward() -> None:
    call = draw("peephole_lstm", 3, CHUNK + 3, 5, 2, 7)
    silent = call | {"unit_weights": [torch.zeros_like(weight) for weight in call["unit_weights"]]}
    peephole = results("peephole_lstm", silent)
    for ours, theirs in zip(peephole[:-3], results("lstm", call | {"unit_weights": []}), strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", PLAIN)
def test_gradients_and_their_gradients_agree_with_difference_quotients(cell: str, reverse: bool) -> None:
    call = draw(cell, 2, 3, 2, 2, 2)
    names = [name for name, value in call.items() if isinstance(value, Tensor) and name != "lengths"]
    leaves = [tensor.requires_grad_() for tensor in (*(call[name] for name in names), *call["unit_weights"])]

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, tensors[: len(names)], strict=True))
        return recurrent(cell, **(call | named | {"unit_weights": tensors[len(names) :]}), reverse=reverse)

    assert torch.autograd.gradcheck(run, leaves)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2 * CHUNK + 3, 9, 11, 13), (CHUNK + 1, 2, 1, 17)], ids=str)
@pytest.mark.parametrize("cell", PLAIN)
def test_a_members_bits_do_not_depend_on_its_neighbors(
    cell: str, sizes: tuple[int, ...], reverse: bool, dtype: torch.dtype
) -> None:
    call = draw(cell, 5, *sizes, dtype)
    together = results(cell, call, reverse)
    for m in range(5):
        own = slice(m, m + 1)
        assert_same_bits(results(cell, take(call, own), reverse), tuple(tensor[own] for tensor in together))


@pytest.mark.parametrize("cell", ["linear", "rnn_relu"])
def test_longer_neighbors_do_not_let_a_growing_state_overflow_where_nothing_is_read(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHTIME_ISA", "reference")
    call = draw(cell, 2, 200, 3, 2, 3, torch.float32) | {"noise": NO_NOISE}
    call["w_hh"][0] = 3 * torch.eye(3)  # 3 ** 200 is no float32
    call["w_hh"][1] /= 10
    call["lengths"][0] = torch.tensor([4, 2, 3])
    together = results(cell, call)
    assert all(tensor.isfinite().all() for tensor in together)
    own = slice(1)
    alone = take(call, own)  # with the time axis it has without the long neighbor
    alone["x"] = alone["x"][:, :4]
    assert_same_bits(results(cell, alone)[1:2], (together[1][own],))


def leaky(from_x: Tensor, from_h: Tensor, state: Any, unit_weights: Any, _mask: Any) -> tuple[Tensor, ...]:
    (h,), (rate,) = state, unit_weights
    return (h + torch.sigmoid(rate) * (torch.tanh(from_x + from_h) - h),)


def mixing(from_x: Tensor, from_h: Tensor, *_: Any) -> tuple[Tensor, ...]:
    new = from_x + from_h
    return (new / new.norm(dim=-1, keepdim=True) + new.mean(-1, keepdim=True),)


def plain(from_x: Tensor, from_h: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return (from_x + from_h,)


def test_a_cell_of_ones_own_runs_from_its_spec_alone() -> None:
    cell = CellSpec("leaky", gates=("n",), step=leaky, unit_weights=("weight_rate",))
    call = draw("linear", 2, 5, 3, 2, 4) | {"noise": NO_NOISE, "unit_weights": [torch.full((2, 4), 40.0).double()]}
    elman = recurrent("rnn_tanh", **(call | {"unit_weights": []}))
    for ours, theirs in zip(recurrent(cell, **call), elman, strict=True):  # a rate of one forgets all
        torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"name": "my cell"}, "a cell's name needs letters"),
        ({"gates": ()}, "gates of cell leaky needs at least one"),
        ({"gates": ["n"]}, "gates of cell leaky needs a tuple of words"),
        ({"states": ("h", "m")}, r"states of cell leaky needs \('h',\) or \('h', 'c'\), got \('h', 'm'\)"),
        ({"unit_weights": ("weight_hh",)}, "needs names other than those of its matrices, got 'weight_hh'"),
        ({"unit_weights": ("a", "a")}, "needs each word once"),
        ({"memory_gates": ("f",)}, "memory_gates of cell leaky needs words of n, got 'f'"),
        ({"gates": ("a", "b", "n"), "memory_gates": ("a", "b", "n")}, "memory_gates of cell leaky needs at most two"),
        (
            {"noise": ("zoneout_c",)},
            "noise of cell leaky needs words of recurrent, candidate, zoneout_h, got 'zoneout_c'",
        ),
        ({"inputs": ("time",)}, "inputs of cell leaky needs words of value, mask, elapsed, mean, got 'time'"),
        ({"step": lambda from_x, _: from_x}, r"needs to take \(from_x, from_h, state, unit_weights, mask\)"),
        ({"step": plain, "gates": ("a", "b"), "unit_weights": ()}, "a tuple of 1 new states, each like the old"),
        ({"step": mixing, "unit_weights": ()}, "step of cell leaky needs each unit on its own"),
        ({"noise": ("candidate",)}, "step of cell leaky needs to multiply its candidate with the mask"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_a_spec_whose_parts_do_not_fit_is_refused(parts: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"name": "leaky", "gates": ("n",), "step": leaky, "unit_weights": ("weight_rate",)}
    with pytest.raises(ParameterError, match=message):
        CellSpec(**(good | parts))


def test_the_kernels_refuse_a_cell_that_they_do_not_have() -> None:
    call = draw("linear", 1, 3, 2, 2, 2)
    with pytest.raises(ValueError, match="the C\\+\\+ kernels need a cell that has one, got linear"):
        native.recurrent("linear", **{name: call[name] for name in ("x", "lengths", "w_ih", "w_hh")})


@pytest.mark.usefixtures("types_unchecked")
def test_unit_weights_that_are_missing_or_of_another_size_are_refused() -> None:
    call = draw("peephole_lstm", 1, 3, 2, 2, 2)
    with pytest.raises(RuntimeError, match=r"needs 3 unit_weights \(weight_ci, weight_cf, weight_co\), got 0"):
        recurrent("peephole_lstm", **(call | {"unit_weights": []}))
    wide = [torch.zeros(1, 3, dtype=torch.float64)] * 3
    with pytest.raises(RuntimeError, match=r"weight_ci needs shape \(1, 2\), got \(1, 3\)"):
        recurrent("peephole_lstm", **(call | {"unit_weights": wide}))
