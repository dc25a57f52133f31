"""Who watches training: what an observer may ask for, and what it is handed after each step and each epoch.

Watching changes neither path nor bits, and what no observer needs is not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from throughtime.training.state import GroupState

#: What is computed only where an observer needs it.
Measurement = Literal["tensor_gradient_norms", "state_gradient_norms"]


@dataclass(frozen=True)
class StateGradientNorms:
    """Squared norms of the total gradients dL/dh_t, and of an LSTM's dL/dc_t, of one layer in one direction.

    Total: what reaches a state along every path. L is the loss that the step descends, a mean over its batch. Zero
    beyond a series' end and for padding.
    """

    layer: int
    reverse: bool
    h: Float64[Tensor, "member time batch"]
    c: Float64[Tensor, "member time batch"] | None


@dataclass(frozen=True)
class StepRecord:
    """One step of the optimizer, of members that take it together.

    Members of one run that go different ways (`Backend.can_fuse`) have records of their own: first all of an epoch's
    steps of the one, then those of the other.

    Parameters
    ----------
    epoch, step
        Counted from 0, the step within its epoch.
    members
        Each member's place in the list given to `train`.
    active
        Which members took the step; the others have no more series in this epoch, and what is said of them is void.
    series
        The batch: where each series lies in the inputs; -1 for padding.
    lengths
        Steps of each series, with truncated BPTT those that the gradient reaches; 1 for padding, which the kernels ask
        for.
    gradient_norms
        L2 norm of each member's whole gradient before clipping, in the network's precision.
    tensor_gradient_norms
        The same for each weight tensor by its name, in float64; ``None`` unless needed.
    state_gradient_norms
        One per layer and direction, in torch's order; ``None`` unless needed, and for a network of the user's own.
    """

    epoch: int
    step: int
    members: tuple[int, ...]
    active: Bool[Tensor, "member"]
    series: Int[Tensor, "member batch"]
    lengths: Int[Tensor, "member batch"]
    gradient_norms: Float[Tensor, "member"]
    tensor_gradient_norms: Mapping[str, Float64[Tensor, "member"]] | None = None
    state_gradient_norms: tuple[StateGradientNorms, ...] | None = None


class Observer:
    """Watches a run; a class that derives from this one overrides what it wants to hear.

    Several threads may call it at the same time where jobs train side by side (`train_jobs`).
    """

    #: What `on_step` is to find in its records.
    needs: frozenset[Measurement] = frozenset()

    def on_step(self, record: StepRecord) -> None:
        """Hear of a step.

        The C++ kernels take many steps in one call: records follow it, in the order of the steps, when the weights
        are already those after the last. Without an override no records are made.
        """

    def on_epoch(self, state: GroupState) -> None:
        """Hear of an epoch, after it; the state is the loop's own and goes on changing (`GroupState.copy`)."""
