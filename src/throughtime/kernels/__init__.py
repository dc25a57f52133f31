"""The recurrent op with a member axis, and the products whose bits do not depend on company.

``backend_for`` gives what computes on a device: C++ kernels, or the same in plain torch. What is said of bits holds on
the CPU: on CUDA cuBLAS picks a product's way by how many there are.
"""

from throughtime.kernels.backend import Backend, RecurrentNet
from throughtime.kernels.cells import CELLS, CellSpec, Kind, State, find_cell
from throughtime.kernels.delta_hooks import watch_states
from throughtime.kernels.dispatch import (
    BACKENDS,
    ISA_VARIABLE,
    SEGMENT,
    backend_for,
    output_layer,
    output_layer_over_time,
    recurrent,
    takes_alone,
)
from throughtime.kernels.native import delta_norms, forward_alone, isa_names, native_available
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.products import LANE, linear, linear_over_time, ordered_sum
from throughtime.kernels.reference import CHUNK, apply_zoneout
from throughtime.kernels.steps import DeltaNorms, FeatureMasks, InputNoise, Pass, StepNorms, TrainingData, Update
from throughtime.kernels.torch_path import TorchBackend, standardize
from throughtime.kernels.torch_state import TorchState, keeps_torch_state, one_thread
from throughtime.kernels.transforms import is_hidden, is_tracing

__all__ = [
    "BACKENDS",
    "CELLS",
    "CHUNK",
    "ISA_VARIABLE",
    "LANE",
    "NO_NOISE",
    "SEGMENT",
    "Backend",
    "CellSpec",
    "DeltaNorms",
    "FeatureMasks",
    "InputNoise",
    "Kind",
    "Pass",
    "RecurrentNet",
    "State",
    "StepNoise",
    "StepNorms",
    "TorchBackend",
    "TorchState",
    "TrainingData",
    "Update",
    "apply_zoneout",
    "backend_for",
    "delta_norms",
    "find_cell",
    "forward_alone",
    "is_hidden",
    "is_tracing",
    "isa_names",
    "keeps_torch_state",
    "linear",
    "linear_over_time",
    "native_available",
    "one_thread",
    "ordered_sum",
    "output_layer",
    "output_layer_over_time",
    "recurrent",
    "standardize",
    "takes_alone",
    "watch_states",
]
