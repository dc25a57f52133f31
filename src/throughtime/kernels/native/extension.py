"""The C++ extension: whether it is there, what it runs on, and what a call hands over.

The extension knows nothing of torch: it is given addresses. Only here and in the files that call it does a tensor's
memory leave torch's sight.
"""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from throughtime.kernels.torch_state import kernel_threads
from throughtime.kernels.transforms import is_dual, refuse_tracing

try:
    # its file lies beside the package's own modules; an import statement would be one of the whole package
    _native: Any = import_module("throughtime.kernels._native")
except ImportError as error:  # built without a compiler
    _native = None
    _missing: ImportError | None = error
else:
    _missing = None

#: What calls hand over, as the extension must say it too: another number in csrc/bindings.cpp with every argument that
#: is added, moved or taken away. An extension of another version would read them wrongly.
INTERFACE = 5

SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


def check_interface(extension: Any) -> None:
    """Refuse an extension that was built for another version of this package."""
    if getattr(extension, "interface", None) != INTERFACE:
        raise ImportError(
            f"throughtime needs C++ kernels of its own version, got others in {extension.__file__}; install it "
            "again (pip install --editable . in a checkout)"
        )


if _native is not None:
    check_interface(_native)


def native_available() -> bool:
    """Whether the C++ kernels were built with this installation."""
    return _native is not None


def isa_names() -> list[str]:
    """Instruction sets that this build holds and this machine runs, the best (the default) first."""
    return list(compiled().isa_names())


def compiled() -> Any:
    """Return the extension module, or say why there is none."""
    if _native is None:
        raise ImportError(
            "the C++ kernels need a C++ compiler when throughtime is installed, "
            "got an installation without them; install g++ or clang, then throughtime again"
        ) from _missing
    return _native


def as_memory(tensor: Tensor) -> Tensor:
    """Values one after the other, with their own sign: ``z.conj().imag`` only notes that memory is to be negated."""
    return tensor.resolve_neg().contiguous()


def address(tensor: Tensor | None) -> int:
    """Where a tensor of ``as_memory`` begins; 0 for none."""
    if tensor is None:
        return 0
    # Sparse, batched and the like have no storage, which torch says itself.
    place = tensor.data_ptr()
    if place == 0 and tensor.numel() > 0:
        raise RuntimeError(f"a tensor of shape {tuple(tensor.shape)} needs memory, got one whose storage is empty")
    return place


def addresses(tensors: Sequence[Tensor | None], dtypes: Sequence[torch.dtype]) -> list[int]:
    """Where the tensors lie; refuses what the extension would read wrongly."""
    refuse_tracing("C++ that works on memory")
    for place, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True)):
        if tensor is None:
            continue
        if not (tensor.is_contiguous() and tensor.is_cpu and tensor.dtype == dtype):
            raise RuntimeError(
                f"argument {place} needs a contiguous CPU tensor of {dtype}, got one of {tensor.dtype} on "
                f"{tensor.device} with strides {tensor.stride()} for shape {tuple(tensor.shape)}"
            )
        if tensor.is_neg() or tensor.is_nested or is_dual(tensor):
            what = "a negated view" if tensor.is_neg() else "a nested tensor" if tensor.is_nested else "a dual tensor"
            raise RuntimeError(f"argument {place} needs a tensor that is what its memory holds, got {what}")
    return [address(tensor) for tensor in tensors]


def team() -> tuple[int, bool]:
    """Threads for a call, and whether to take torch's own: not inside ``one_thread``, where torch has one."""
    return kernel_threads(), torch.get_num_threads() > 1


def large_tensor(like: Tensor, *shape: int) -> Tensor:
    """An uninitialized tensor, on memory used before where that saves page faults."""
    count = math.prod(shape)
    if count * like.element_size() < 1 << 18:  # from here on the C library asks the system for fresh pages
        return like.new_empty(shape)
    taken: Tensor = compiled().borrow_bytes(count * like.element_size())
    return taken.view(like.dtype).view(shape)


def release_memory() -> int:
    """Give the memory that waits for the next call back to the system; returns its bytes, 512 MiB at most."""
    idle = int(compiled().idle_bytes())
    compiled().release_idle()
    return idle
