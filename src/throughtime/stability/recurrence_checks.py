"""The checks of what a recurrence does at each step: spectra, gates, steps of training and number formats."""

from throughtime.stability.gate_memories import SHORT_MEMORY
from throughtime.stability.lyapunov import CHAOS, FORGETTING
from throughtime.stability.precision import COARSE_GATES, FLUSHED
from throughtime.stability.saturated_gates import SATURATED_GATES
from throughtime.stability.step_jacobians import LOST_DIRECTIONS
from throughtime.stability.updates import UPDATE_SIZE

#: In the order of their codes. ``run_checks`` makes them; each needs the measurement it is named after
#: (``singular_values``, ``lyapunov``, ``saturation``, ``gate_memory``, ``update_ratio``, ``flushed_deltas``, and the
#: ``dtype`` of the gates), and some the ``lag`` that the task needs.
RECURRENCE_CHECKS = (
    LOST_DIRECTIONS,
    CHAOS,
    FORGETTING,
    SATURATED_GATES,
    SHORT_MEMORY,
    UPDATE_SIZE,
    FLUSHED,
    COARSE_GATES,
)
