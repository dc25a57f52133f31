"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.gate_memories import SHORT_MEMORY, GateMemory, gate_memory
from throughtime.stability.lyapunov import CHAOS, FORGETTING, LyapunovSpectrum, lyapunov_exponents
from throughtime.stability.precision import COARSE_GATES, FLUSHED, FlushedDeltas, flushed_deltas, longest_memory
from throughtime.stability.saturated_gates import SATURATED_GATES, Saturation, saturation
from throughtime.stability.step_jacobians import LOST_DIRECTIONS, Jacobians, SingularValues, jacobians, singular_values
from throughtime.stability.updates import UPDATE_SIZE, UpdateRatio, update_ratio

__all__ = [
    "CHAOS",
    "COARSE_GATES",
    "FLUSHED",
    "FORGETTING",
    "LOST_DIRECTIONS",
    "SATURATED_GATES",
    "SHORT_MEMORY",
    "UPDATE_SIZE",
    "FlushedDeltas",
    "GateMemory",
    "Jacobians",
    "LyapunovSpectrum",
    "Saturation",
    "SingularValues",
    "UpdateRatio",
    "flushed_deltas",
    "gate_memory",
    "jacobians",
    "longest_memory",
    "lyapunov_exponents",
    "saturation",
    "singular_values",
    "update_ratio",
]
