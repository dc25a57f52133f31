"""What the op refuses, and how it says so."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from cases import KINDS, make, needs_native

from throughtime.kernels import ISA_VARIABLE, native
from throughtime.kernels.native.extension import INTERFACE, check_interface

pytestmark = pytest.mark.usefixtures("types_unchecked")


@needs_native
@pytest.mark.parametrize("length", [0, -1, 6])
def test_a_length_out_of_range_is_refused(length: int) -> None:
    arguments = list(make("gru", 2, 5, 3, 4, 6).arguments)
    lengths = arguments[1]
    assert lengths is not None
    lengths[1, 2] = length
    with pytest.raises(ValueError, match=f"lengths needs values from 1 to 5, got {length}"):
        native.recurrent("gru", *arguments)


@needs_native
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", range(8))
def test_a_tensor_of_another_size_is_refused(kind: str, place: int) -> None:
    arguments = list(make(kind, 2, 5, 3, 4, 6).arguments)
    tensor = arguments[place]
    if tensor is None:
        tensor = torch.zeros(2, 3, 6, dtype=torch.float64)  # a c0 where there is no c is checked all the same
    for axis in range(1 if place == 0 else 0, tensor.dim()):
        if place == 0 and axis == 1:
            continue  # another number of steps is another problem, not a wrong one
        larger = torch.cat([tensor, tensor.narrow(axis, 0, 1)], axis)
        with pytest.raises(RuntimeError, match=r"needs shape .*, got"):
            native.recurrent(kind, *arguments[:place], larger, *arguments[place + 1 :])


@needs_native
def test_a_mix_of_dtypes_is_refused() -> None:
    arguments = list(make("lstm", 2, 5, 3, 4, 6).arguments)
    for place in range(2, 8):
        tensor = arguments[place]
        assert tensor is not None
        mixed = [*arguments[:place], tensor.float(), *arguments[place + 1 :]]
        with pytest.raises(RuntimeError, match="needs the dtype and device of x"):
            native.recurrent("lstm", *mixed)
    lengths = arguments[1]
    assert lengths is not None
    with pytest.raises(RuntimeError, match="lengths needs int64"):
        native.recurrent("lstm", arguments[0], lengths.int(), *arguments[2:])


@needs_native
def test_an_empty_axis_and_an_unknown_kind_are_refused() -> None:
    x, lengths, *weights = make("gru", 2, 5, 3, 4, 6).arguments
    assert x is not None
    with pytest.raises(RuntimeError, match="x needs four axes"):
        native.recurrent("gru", x[:, :0], lengths, *weights)
    with pytest.raises(RuntimeError, match="x needs four axes"):
        native.recurrent("gru", x[0], lengths, *weights)
    with pytest.raises(ValueError, match="cell needs one of"):
        native.recurrent("elman", x, lengths, *weights)


@needs_native
def test_an_instruction_set_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA_VARIABLE, "sparc")
    with pytest.raises(ValueError, match=r"THROUGHTIME_ISA needs one of .*portable, got sparc"):
        native.recurrent("gru", *make("gru", 2, 5, 3, 4, 6).arguments)


def test_without_the_extension_the_op_runs_on_the_pure_torch_path() -> None:
    program = """
import sys
from types import SimpleNamespace
sys.modules["throughtime.kernels._native"] = None
import torch
from throughtime import kernels
from throughtime.kernels import native
assert not kernels.native_available()
lengths = torch.ones(1, 3, dtype=torch.int64)
y, h = kernels.recurrent("rnn_tanh", torch.ones(1, 2, 3, 4), lengths, torch.ones(1, 5, 4), torch.ones(1, 5, 5))
assert y.shape == (1, 2, 3, 5)
try:
    native.compiled()
except ImportError as error:
    assert "install g++ or clang" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reserve_is_as_large_as_the_kernels_take_it_to_be(kind: str, kept: bool, dtype: torch.dtype) -> None:
    kernels = native.compiled()
    for hidden in (1, 8, 15, 16, 17, 33):
        x = torch.empty(2, 3, 5, 4, dtype=dtype)
        rows = 2 * 3 * 5 * kernels.reserve_stride(hidden, x.element_size())
        assert native.reserve_numel(kind, x, hidden, kept) == rows * kernels.reserve_slots(kind, kept)


@pytest.mark.parametrize("interface", [{}, {"interface": INTERFACE - 1}])
def test_kernels_of_another_version_are_refused(interface):
    with pytest.raises(ImportError, match=r"needs C\+\+ kernels of its own version, got others in old\.so; install"):
        check_interface(SimpleNamespace(__file__="old.so", **interface))
