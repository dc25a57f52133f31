"""What a recurrent layer leaves of a call for whoever asks which gradient reached which state."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from throughtime.kernels import DeltaNorms


@dataclass(frozen=True, eq=False)
class RecordedCall:
    """One call of a recurrent layer: where it ended, and what a backward pass fills in; packed series stay sorted.

    Attributes
    ----------
    ends
        Each state where the series itself ends, with its graph.
    deltas
        One for each layer and direction, with one member; filled in by the backward pass.
    """

    ends: tuple[Float[Tensor, "1 layer_direction batch _"], ...]
    deltas: Sequence[DeltaNorms]
