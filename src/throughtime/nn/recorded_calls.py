"""What a recurrent layer leaves of a call for whoever asks which gradient reached which state."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels import DeltaNorms


@dataclass(eq=False)
class RecordedCall:
    """One call of a recurrent layer: what it read, where it ended, and what a backward pass fills in.

    Attributes
    ----------
    inputs
        As the layer was given them.
    lengths
        Steps of each series.
    ends
        Each state where the series itself ends, with its graph.
    deltas
        One for each layer and direction, with one member; filled in by the backward pass.
    order
        Where the batch is the sorted one of a ``PackedSequence``: the place of each series in it, in the order that
        they were packed from.
    """

    inputs: Float[Tensor, "time batch channel"]
    lengths: Int[Tensor, "batch"]
    ends: tuple[Float[Tensor, "1 layer_direction batch _"], ...]
    deltas: Sequence[DeltaNorms]
    order: Int[Tensor, "batch"] | None = None
