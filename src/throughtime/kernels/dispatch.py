"""Which backend computes: chosen once, by device and dtype; and the ops that a network calls, on the backend of x."""

import os
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.kernels.backend import Backend
from throughtime.kernels.cells import CellSpec, find_cell
from throughtime.kernels.native import NativeBackend, isa_names, native_available
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.steps import DeltaNorms
from throughtime.kernels.torch_path import TorchBackend
from throughtime.kernels.transforms import is_intercepted

#: Force an instruction set: x86-64-v4, x86-64-v3, x86-64-v2 or portable; or the plain-torch path: reference. Meant
#: for tests and for comparing.
ISA_VARIABLE = "THROUGHTIME_ISA"

#: Steps of a segment that cost little time and little memory: see ``benchmarks/checkpointing.py``.
SEGMENT = 64

_NATIVE, _TORCH = NativeBackend(), TorchBackend()
#: Asked for once: torch's compiler cannot trace a call of the extension.
_INSTRUCTION_SETS = tuple(isa_names()) if native_available() else ()

#: The first that takes a device and dtype serves it; plain torch, the last, takes all.
BACKENDS: list[Backend] = [_NATIVE, _TORCH]


def backend_for(device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend that serves tensors of a device and dtype.

    Raises
    ------
    ParameterError
        Where the environment asks for an instruction set that this installation does not have.
    """
    forced = os.environ.get(ISA_VARIABLE)
    if forced == "reference":
        return _TORCH
    if forced and forced not in _INSTRUCTION_SETS:
        raise ParameterError(
            f"{ISA_VARIABLE} needs one of {', '.join(('reference', *_INSTRUCTION_SETS))}, got {forced}"
        )
    for backend in BACKENDS:  # a generator takes twice as long
        if backend.takes(device, dtype):
            return backend
    return _TORCH


def recurrent(
    cell: CellSpec | str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
    noise: StepNoise = NO_NOISE,
    unit_weights: Sequence[Float[Tensor, "member unit"]] = (),
    deltas: DeltaNorms | None = None,
    segment: int | None = None,
    outputs: bool = True,
) -> tuple[Tensor, ...]:
    """Run one layer in one direction over ragged series, each member with its own weights.

    Parameters
    ----------
    cell
        A ``CellSpec``, or the name of one of ``CELLS``; one without a kernel in C++ runs in plain torch.
    x
        Inputs; what lies beyond a series' own end is not read. May be expanded along the member axis.
    lengths
        Steps of each series, from 1 to ``time``; int64.
    w_ih, w_hh, b_ih, b_hh
        torch's weights with the member axis in front.
    h0, c0
        Initial states, zero by default; ``c0`` for a cell that has a c.
    reverse
        Run from each series' own end to its start.
    noise
        What acts inside the steps.
    unit_weights
        The cell's further weights, in its order.
    deltas
        Takes the norms of the gradients at the states from the backward pass.
    segment
        Checkpointed BPTT: keep for the backward pass, besides the arguments, only the states at every so many steps,
        and run each segment forward again in it. The gradients have the bits that they have without, those of the
        weights too; ``SEGMENT`` is a good length. By default all is kept. A second derivative, and a call that a
        transform, a compiler or a tensor subclass watches, keeps all too. In plain torch a segment is rounded up to
        a multiple of ``CHUNK``.
    outputs
        Whether y is wanted, which may be larger than all that is kept; if not, it has no steps.

    Returns
    -------
    ``(y, h_n)``, for a cell with c ``(y, h_n, c_n)``: y (member, time, batch, unit), zero beyond each series' own
    end, and the states at the end of the run.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or devices that do not fit; under ``torch.jit.trace``.
    ValueError
        A cell, a length or a segment out of range; with segments, a cell that takes gradients of what is not handed
        to it.
    """
    tensors = x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0
    return backend_for(x.device, x.dtype).recurrent(
        find_cell(cell), *tensors, reverse, noise, unit_weights, deltas, segment, outputs
    )


def output_layer(
    x: Float[Tensor, "member row input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
) -> Float[Tensor, "member row output"]:
    """``x @ weight.T + bias``, each member with its own weights.

    Raises
    ------
    RuntimeError
        Shapes or devices that do not fit.
    """
    if not x.device == weight.device == bias.device:
        raise RuntimeError(
            f"the output layer needs all on one device, got features on {x.device}, weights on {weight.device} and "
            f"biases on {bias.device}"
        )
    return backend_for(x.device, x.dtype).output_layer(x, weight, bias)


def output_layer_over_time(
    x: Float[Tensor, "member time batch input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
) -> Float[Tensor, "member time batch output"]:
    """``output_layer`` at every step."""
    return backend_for(x.device, x.dtype).output_layer_over_time(x, weight, bias)


def takes_alone(*tensors: Tensor) -> bool:
    """Whether ``forward_alone`` may be used: nothing differentiates or watches, and the kernels take such tensors."""
    first = tensors[0]
    if torch.is_grad_enabled() or backend_for(first.device, first.dtype) is not _NATIVE or is_intercepted(*tensors):
        return False
    dtype = first.dtype
    for tensor in tensors:  # noqa: SIM110 - all() of a generator takes twice as long
        if tensor.dtype is not dtype or not tensor.is_cpu:
            return False
    return True
