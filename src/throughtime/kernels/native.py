"""The C++ kernels as torch operators: ``throughtime::recurrent`` and ``throughtime::recurrent_backward``.

The extension knows nothing of torch. This file checks shapes, makes contiguous what must be, allocates results
and hands over addresses; it is the only place where a tensor's memory leaves torch's sight.
"""

import math
import os
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels.batching import map_backward, map_recurrent
from throughtime.kernels.derivatives import differentiable_gradients
from throughtime.kernels.products import kernel_threads
from throughtime.kernels.reference import GATES
from throughtime.kernels.transforms import is_watched

try:
    from throughtime.kernels import _native  # type: ignore[attr-defined, unused-ignore]
except ImportError as error:  # built without a compiler
    _native = None
    _missing: ImportError | None = error
else:
    _missing = None

#: Force an instruction set: x86-64-v4, x86-64-v3, x86-64-v2 or portable; or the plain-torch path: reference. Meant
#: for tests and for comparing.
ISA_VARIABLE = "THROUGHTIME_ISA"

_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


def native_available() -> bool:
    """Whether the C++ kernels were built with this installation."""
    return _native is not None


def isa_names() -> list[str]:
    """Instruction sets that this build holds and this machine runs, the best (the default) first."""
    return list(extension().isa_names())


def _isa() -> str:
    """Which instruction set was asked for; empty for the best."""
    return os.environ.get(ISA_VARIABLE, "")


def extension() -> Any:
    """Return the extension module, or say why there is none."""
    if _native is None:
        raise ImportError(
            "the C++ kernels need a C++ compiler when throughtime is installed, "
            "got an installation without them; install g++ or clang, then throughtime again"
        ) from _missing
    return _native


def supports(x: Tensor) -> bool:
    """Whether the kernels take such a tensor."""
    return native_available() and x.device.type == "cpu" and x.dtype in _SUFFIX and _isa() != "reference"


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _shape(x: Tensor, w_hh: Tensor) -> list[int]:
    return [*x.shape, w_hh.shape[-1]]


def reserve_numel(kind: str, x: Tensor, hidden: int) -> int:
    """Elements that the forward pass keeps for the backward pass; a ragged batch touches only part."""
    # The formulas of problem.h, so that a fake tensor of symbolic size can be described.
    line = 64 // x.element_size()
    stride = (hidden + line - 1) // line * line
    members, time, batch, _ = x.shape
    return members * time * batch * stride * {"lstm": 6, "gru": 5}.get(kind, 1)


def _large(like: Tensor, *shape: int) -> Tensor:
    """An uninitialized tensor, on memory used before where that saves page faults."""
    count = math.prod(shape)
    if count * like.element_size() < 1 << 18:  # from here on the C library asks the system for fresh pages
        return like.new_empty(shape)
    taken: Tensor = extension().borrow_bytes(count * like.element_size())
    return taken.view(like.dtype).view(shape)


def release_memory() -> int:
    """Give the memory that waits for the next call back to the system; returns its bytes, 512 MiB at most."""
    idle = int(extension().idle_bytes())
    extension().release_idle()
    return idle


def _forward(
    kind: str,
    x: Tensor,
    lengths: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, h_n, c_n, reserve = _empty_results(kind, x, w_hh, keep)
    lengths = lengths.contiguous()
    weights = [_contiguous(tensor) for tensor in (w_ih, w_hh, b_ih, b_hh, h0, c0)]
    getattr(extension(), f"forward_{_SUFFIX[x.dtype]}")(
        kind,
        reverse,
        _shape(x, w_hh),
        x.data_ptr(),
        x.stride(),
        [_address(tensor) for tensor in weights],
        lengths.data_ptr(),
        [y.data_ptr(), h_n.data_ptr(), c_n.data_ptr(), reserve.data_ptr() if keep else 0],
        kernel_threads(),
        torch.get_num_threads() > 1,
        _isa(),
    )
    return y, h_n, c_n, reserve


def _empty_results(
    kind: str, x: Tensor, w_hh: Tensor, keep: bool, large: Callable[..., Tensor] = _large
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    members, time, batch, _ = x.shape
    hidden = w_hh.shape[-1]
    return (
        large(x, members, time, batch, hidden),
        x.new_empty(members, batch, hidden),
        x.new_empty((members, batch, hidden) if kind == "lstm" else (0,)),
        large(x, reserve_numel(kind, x, hidden)) if keep else x.new_empty(0),
    )


def _backward(
    kind: str,
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
    x: Tensor,
    lengths: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    reserve: Tensor,
    reverse: bool,
    needs_x: bool,
    norms: bool,
) -> list[Tensor]:
    if reserve.numel() == 0:  # a transform hid from the forward pass that it would be differentiated
        reserve = _forward(kind, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reverse, True)[3]
    out = _empty_gradients(kind, x, w_ih, w_hh, b_ih, b_hh, h0, c0, needs_x, norms)
    if dy is not None and dy.stride(-1) != 1:
        dy = dy.contiguous()
    lengths = lengths.contiguous()
    weights = [_contiguous(tensor) for tensor in (w_ih, w_hh, b_ih, b_hh, h0, c0)]
    states = [_contiguous(tensor) for tensor in (dh_n, dc_n)]
    getattr(extension(), f"backward_{_SUFFIX[x.dtype]}")(
        kind,
        reverse,
        _shape(x, w_hh),
        x.data_ptr(),
        x.stride(),
        [_address(tensor) for tensor in weights],
        lengths.data_ptr(),
        reserve.data_ptr(),
        [_address(tensor) for tensor in (dy, *states)],
        (0, 0, 0) if dy is None else dy.stride()[:3],
        [tensor.data_ptr() if tensor.numel() else 0 for tensor in out],
        kernel_threads(),
        torch.get_num_threads() > 1,
        _isa(),
    )
    return out


def _empty_gradients(
    kind: str,
    x: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    needs_x: bool,
    norms: bool,
    large: Callable[..., Tensor] = _large,
) -> list[Tensor]:
    """Room for dx, dw_ih, dw_hh, db_ih, db_hh, dh0, dc0 and two squared norms; empty where not asked for."""

    def like(tensor: Tensor | None) -> Tensor:
        return x.new_empty(0) if tensor is None else torch.empty_like(tensor, memory_format=torch.contiguous_format)

    steps = x.shape[:3]
    return [
        large(x, *x.shape) if needs_x else like(None),
        *map(like, (w_ih, w_hh, b_ih, b_hh, h0, c0 if kind == "lstm" else None)),
        x.new_empty(steps if norms else 0),
        x.new_empty(steps if norms and kind == "lstm" else 0),
    ]


_registry: Any = torch.library  # its functions carry no types
_library = _registry.Library("throughtime", "DEF")
_library.define(
    "recurrent(str kind, Tensor x, Tensor lengths, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, "
    "Tensor? h0, Tensor? c0, bool reverse, bool keep) -> (Tensor, Tensor, Tensor, Tensor)"
)
_library.define(
    "recurrent_backward(str kind, Tensor? dy, Tensor? dh_n, Tensor? dc_n, Tensor x, Tensor lengths, "
    "Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, Tensor? h0, Tensor? c0, Tensor reserve, "
    "bool reverse, bool needs_x, bool norms) -> Tensor[]"
)
_library.impl("recurrent", _forward, "CPU")
_library.impl("recurrent_backward", _backward, "CPU")


def _fake_large(like: Tensor, *shape: int) -> Tensor:
    return like.new_empty(shape)


def _forward_fake(
    kind: str, x: Tensor, _lengths: Tensor, _w_ih: Tensor, w_hh: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    return _empty_results(kind, x, w_hh, rest[-1], _fake_large)


def _backward_fake(kind: str, *arguments: Any) -> list[Tensor]:
    _, _, _, x, _, w_ih, w_hh, b_ih, b_hh, h0, c0, _, _, needs_x, norms = arguments
    return _empty_gradients(kind, x, w_ih, w_hh, b_ih, b_hh, h0, c0, needs_x, norms, _fake_large)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    kind, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reverse, _ = inputs
    ctx.kind, ctx.reverse = kind, reverse
    ctx.set_materialize_grads(False)  # a layer whose last state alone is used has no dy to read
    ctx.save_for_backward(x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, output[3])


def _differentiate(
    ctx: Any, dy: Tensor | None, dh_n: Tensor | None, dc_n: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reserve = ctx.saved_tensors
    needs_x = ctx.needs_input_grad[1]
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * 11
    if torch.is_grad_enabled():  # the kernels' own gradients cannot be differentiated again
        tensors = (x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0)
        grads = differentiable_gradients(
            ctx.kind, tensors, ctx.reverse, ctx.needs_input_grad[1:9], (dy, dh_n, dc_n if ctx.kind == "lstm" else None)
        )
        return (None, *grads, None, None)
    watched = is_watched(dy, dh_n, dc_n)
    backward = torch.ops.throughtime.recurrent_backward if watched else _backward
    dx, dw_ih, dw_hh, db_ih, db_hh, dh0, dc0, _, _ = backward(
        ctx.kind,
        dy,
        dh_n,
        dc_n if ctx.kind == "lstm" else None,
        x,
        lengths,
        w_ih,
        w_hh,
        b_ih,
        b_hh,
        h0,
        c0,
        reserve,
        ctx.reverse,
        needs_x,
        False,
    )
    return (
        None,
        dx if needs_x else None,
        None,
        dw_ih,
        dw_hh,
        None if b_ih is None else db_ih,
        None if b_hh is None else db_hh,
        None if h0 is None else dh0,
        None if c0 is None or ctx.kind != "lstm" else dc0,
        None,
        None,
    )


class _Recurrent(torch.autograd.Function):
    """The forward operator and its gradient, past the dispatcher: its bookkeeping costs as much as a small layer."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = _forward(*inputs)
        _setup_context(ctx, inputs, output)
        return output[:3]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        dy, dh_n, dc_n = grads
        return _differentiate(ctx, dy, dh_n, dc_n, None)


_registry.register_fake("throughtime::recurrent", _forward_fake, lib=_library)
_registry.register_fake("throughtime::recurrent_backward", _backward_fake, lib=_library)
_registry.register_autograd("throughtime::recurrent", _differentiate, setup_context=_setup_context, lib=_library)
_registry.register_vmap("throughtime::recurrent", map_recurrent, lib=_library)
_registry.register_vmap("throughtime::recurrent_backward", map_backward, lib=_library)


def check_arguments(
    kind: str,
    x: Tensor,
    lengths: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
) -> None:
    """Refuse what the kernels would read wrongly: they see addresses, not tensors."""
    if kind not in GATES:
        raise ValueError(f"kind needs one of {', '.join(GATES)}, got {kind}")
    if x.dim() != 4 or 0 in x.shape:
        raise RuntimeError(f"x needs four axes (member, time, batch, channel), none empty, got {tuple(x.shape)}")
    members, _, batch, channels = x.shape
    if w_hh.dim() != 3 or 0 in w_hh.shape:
        raise RuntimeError(f"w_hh needs three axes (member, gate_unit, unit), none empty, got {tuple(w_hh.shape)}")
    hidden = w_hh.shape[-1]
    rows = GATES[kind] * hidden
    expected = {
        "w_ih": (w_ih, (members, rows, channels)),
        "w_hh": (w_hh, (members, rows, hidden)),
        "b_ih": (b_ih, (members, rows)),
        "b_hh": (b_hh, (members, rows)),
        "h0": (h0, (members, batch, hidden)),
        "c0": (c0, (members, batch, hidden)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is None:
            continue
        if tuple(tensor.shape) != shape:
            raise RuntimeError(f"{name} needs shape {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise RuntimeError(
                f"{name} needs the dtype and device of x, {x.dtype} on {x.device}, "
                f"got {tensor.dtype} on {tensor.device}"
            )
    if tuple(lengths.shape) != (members, batch):
        raise RuntimeError(f"lengths needs shape {(members, batch)}, got {tuple(lengths.shape)}")
    if lengths.dtype != torch.int64 or lengths.device != x.device:
        raise RuntimeError(f"lengths needs int64 on {x.device}, got {lengths.dtype} on {lengths.device}")


def recurrent(
    kind: str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """Run the op on the C++ kernels; arguments and results as in ``dispatch.recurrent``."""
    check_arguments(kind, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0)
    extension()
    tensors = (x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0 if kind == "lstm" else None)
    keep = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)
    path: Callable[..., tuple[Tensor, ...]]
    if is_watched(*tensors):
        path = torch.ops.throughtime.recurrent
    else:
        path = _Recurrent.apply if keep else _forward
    results = path(kind, *tensors, reverse, keep)
    return results[:3] if kind == "lstm" else results[:2]


def delta_norms(
    kind: str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
    *,
    dy: Float[Tensor, "member time batch unit"] | None = None,
    dh_n: Float[Tensor, "member batch unit"] | None = None,
    dc_n: Float[Tensor, "member batch unit"] | None = None,
) -> tuple[Float[Tensor, "member time batch"], ...]:
    """Squared norms of dL/dh_t, and for an LSTM of dL/dc_t, given the gradients of the results.

    Totals: what reaches a state along every path. Zero beyond a series' own end.
    """
    check_arguments(kind, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0)
    extension()
    with torch.no_grad():
        reserve = x.new_empty(0)
        out = torch.ops.throughtime.recurrent_backward(
            kind, dy, dh_n, dc_n, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reserve, reverse, False, True
        )
    return tuple(out[7:]) if kind == "lstm" else (out[7],)
