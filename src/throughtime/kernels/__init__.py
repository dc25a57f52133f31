"""The recurrent op with a member axis, and the products whose bits do not depend on company.

The op has two paths, C++ kernels and the same in plain torch, and the choice between them. What is said of bits holds
on the CPU: on CUDA cuBLAS picks a product's way by how many there are.
"""

from throughtime.kernels.cells import CELLS, CellSpec, Kind, State, find_cell
from throughtime.kernels.dispatch import recurrent
from throughtime.kernels.extension import isa_names, native_available, supports
from throughtime.kernels.lockstep import Pass, TrainingData, Update, gather_standardized, take_step, train_steps
from throughtime.kernels.native import delta_norms, forward_alone, takes_alone
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.products import LANE, linear, linear_over_time, ordered_sum
from throughtime.kernels.readout import losses, output_layer, output_layer_over_time
from throughtime.kernels.reference import CHUNK, keep_share
from throughtime.kernels.torch_state import TorchState, keeps_torch_state, one_thread

__all__ = [
    "CELLS",
    "CHUNK",
    "LANE",
    "NO_NOISE",
    "CellSpec",
    "Kind",
    "Pass",
    "State",
    "StepNoise",
    "TorchState",
    "TrainingData",
    "Update",
    "delta_norms",
    "find_cell",
    "forward_alone",
    "gather_standardized",
    "isa_names",
    "keep_share",
    "keeps_torch_state",
    "linear",
    "linear_over_time",
    "losses",
    "native_available",
    "one_thread",
    "ordered_sum",
    "output_layer",
    "output_layer_over_time",
    "recurrent",
    "supports",
    "take_step",
    "takes_alone",
    "train_steps",
]
