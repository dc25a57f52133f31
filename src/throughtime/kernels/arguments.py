"""What a call of the kernels may hand over, whatever backend takes it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels.cells import CellSpec, find_cell
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.transforms import refuse_tracing


def check_arguments(
    cell: CellSpec | str,
    x: Tensor,
    lengths: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    noise: StepNoise = NO_NOISE,
    unit_weights: Sequence[Tensor] = (),
    segment: int | None = None,
) -> None:
    """Refuse what the kernels would read wrongly: they see addresses, not tensors."""
    refuse_tracing("the recurrent op")
    cell = find_cell(cell)
    if x.dim() != 4 or 0 in x.shape:
        raise RuntimeError(f"x needs four axes (member, time, batch, channel), none empty, got {tuple(x.shape)}")
    members, time, batch, channels = x.shape
    if w_hh.dim() != 3 or 0 in w_hh.shape:
        raise RuntimeError(f"w_hh needs three axes (member, gate_unit, unit), none empty, got {tuple(w_hh.shape)}")
    hidden = w_hh.shape[-1]
    rows = len(cell.gates) * hidden
    if len(unit_weights) != len(cell.unit_weights):
        raise RuntimeError(
            f"cell {cell.name} needs {len(cell.unit_weights)} unit_weights ({', '.join(cell.unit_weights)}), "
            f"got {len(unit_weights)}"
        )
    steps, state = (members, time, batch, hidden), (members, batch, hidden)
    expected = (
        ("w_ih", w_ih, (members, rows, channels)),
        ("w_hh", w_hh, (members, rows, hidden)),
        ("b_ih", b_ih, (members, rows)),
        ("b_hh", b_hh, (members, rows)),
        ("h0", h0, state),
        ("c0", c0, state),
        ("noise.recurrent", noise.recurrent, state),
        ("noise.candidate", noise.candidate, steps),
        ("noise.zoneout_h", noise.zoneout_h, steps),
        ("noise.zoneout_c", noise.zoneout_c, steps),
        *((name, weight, (members, hidden)) for name, weight in zip(cell.unit_weights, unit_weights, strict=True)),
    )
    dtype, device = x.dtype, x.device
    for name, tensor, shape in expected:
        if tensor is None:
            continue
        if tensor.shape != shape:
            raise RuntimeError(f"{name} needs shape {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != dtype or tensor.device != device:
            raise RuntimeError(
                f"{name} needs the dtype and device of x, {dtype} on {device}, got {tensor.dtype} on {tensor.device}"
            )
    if lengths.shape != (members, batch):
        raise RuntimeError(f"lengths needs shape {(members, batch)}, got {tuple(lengths.shape)}")
    if lengths.dtype != torch.int64 or lengths.device != x.device:
        raise RuntimeError(f"lengths needs int64 on {x.device}, got {lengths.dtype} on {lengths.device}")
    if segment is not None and (isinstance(segment, bool) or not isinstance(segment, int) or segment < 1):
        raise ValueError(f"segment needs a whole number of steps, at least 1, or None to keep all, got {segment!r}")


def check_smoothing(loss: str, outputs: Tensor, smoothing: Tensor | None) -> None:
    """Refuse label smoothing of another loss than cross-entropy, or not of one number per member."""
    if smoothing is None:
        return
    if loss != "cross_entropy":
        raise RuntimeError(f"smoothing needs a cross_entropy, got {loss}")
    if smoothing.shape != outputs.shape[:1] or outputs.dim() < 2 or smoothing.dtype != outputs.dtype:
        raise RuntimeError(
            f"smoothing of outputs {tuple(outputs.shape)} needs one {outputs.dtype} per member, got "
            f"{tuple(smoothing.shape)} of {smoothing.dtype}"
        )
