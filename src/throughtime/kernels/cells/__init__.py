"""The cells that come with the package, one in a file; another one is a ``CellSpec`` of its own."""

from collections.abc import Mapping
from types import MappingProxyType

from throughtime.kernels.cells.gru import GRU
from throughtime.kernels.cells.linear import LINEAR
from throughtime.kernels.cells.lstm import LSTM
from throughtime.kernels.cells.peephole_lstm import PEEPHOLE_LSTM
from throughtime.kernels.cells.rnn import RNN_RELU, RNN_TANH
from throughtime.kernels.cells.spec import CellSpec, Kind, State

#: Those of the package, by name.
CELLS: Mapping[str, CellSpec] = MappingProxyType(
    {cell.name: cell for cell in (RNN_TANH, RNN_RELU, GRU, LSTM, LINEAR, PEEPHOLE_LSTM)}
)


def find_cell(cell: CellSpec | str) -> CellSpec:
    """The cell of a name; one that is given as such stays itself."""
    if isinstance(cell, CellSpec):
        return cell
    if cell not in CELLS:
        raise ValueError(f"cell needs one of {', '.join(CELLS)} or a CellSpec, got {cell}")
    return CELLS[cell]


__all__ = ["CELLS", "CellSpec", "Kind", "State", "find_cell"]
