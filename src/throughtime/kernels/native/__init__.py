"""The backend in C++ (``csrc/``), on a CPU in float32 or float64."""

from throughtime.kernels.native.backend import NativeBackend
from throughtime.kernels.native.extension import compiled, isa_names, native_available, release_memory
from throughtime.kernels.native.operators import delta_norms, forward_alone, recurrent, reserve_numel
from throughtime.kernels.native.output_layer import losses
from throughtime.kernels.native.training import gather_standardized, take_step, train_steps

__all__ = [
    "NativeBackend",
    "compiled",
    "delta_norms",
    "forward_alone",
    "gather_standardized",
    "isa_names",
    "losses",
    "native_available",
    "recurrent",
    "release_memory",
    "reserve_numel",
    "take_step",
    "train_steps",
]
