"""One recurrent layer in one direction: its weights by torch's names, and what its states are called in a stream."""

from typing import NamedTuple

from jaxtyping import Float
from numpy import ndarray

from throughtime.export.contents import Contents


class LayerDirection(NamedTuple):
    """A layer, from 0, in one direction."""

    contents: Contents
    layer: int
    reverse: bool = False

    def weight(self, name: str) -> Float[ndarray, "..."]:
        """``weight_ih``, ``bias_hh``, ... in torch's order of gates."""
        return self.contents.weights[f"recurrent.{name}_l{self.layer}{'_reverse' if self.reverse else ''}"]

    @property
    def states(self) -> list[str]:
        """Names of its states: h, and the c of an LSTM."""
        letters = "hc" if self.contents.cell in ("lstm", "peephole_lstm") else "h"
        return [f"{letter}{self.layer}" for letter in letters]


def directions_of(contents: Contents, layer: int) -> list[LayerDirection]:
    """A layer in all its directions."""
    return [LayerDirection(contents, layer, reverse) for reverse in (False, True)[: 1 + contents.bidirectional]]
