"""Which path the recurrent op takes: on a CPU in float32 or float64 a cell's kernel in C++, else plain torch."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels import native, reference
from throughtime.kernels.cells import CellSpec, find_cell
from throughtime.kernels.extension import supports
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.transforms import is_differentiating


def recurrent(
    cell: CellSpec | str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
    noise: StepNoise = NO_NOISE,
    unit_weights: Sequence[Float[Tensor, "member unit"]] = (),
) -> tuple[Tensor, ...]:
    """Run one layer in one direction over ragged series, each member with its own weights.

    Parameters
    ----------
    cell
        A ``CellSpec``, or the name of one of ``CELLS``; one without a kernel in C++ runs in plain torch.
    x
        Inputs; what lies beyond a series' own end is not read. May be expanded along the member axis.
    lengths
        Steps of each series, from 1 to ``time``; int64.
    w_ih, w_hh, b_ih, b_hh
        torch's weights with the member axis in front.
    h0, c0
        Initial states, zero by default; ``c0`` for a cell that has a c.
    reverse
        Run from each series' own end to its start.
    noise
        What acts inside the steps.
    unit_weights
        The cell's further weights, in its order.

    Returns
    -------
    ``(y, h_n)``, for a cell with c ``(y, h_n, c_n)``: y (member, time, batch, unit), zero beyond each series' own
    end, and the states at the end of the run.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or devices that do not fit; under ``torch.jit.trace``.
    ValueError
        A cell or a length out of range.
    """
    cell = find_cell(cell)
    if cell.native is not None and supports(x) and not is_differentiating():
        return native.recurrent(cell.native, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reverse, noise)
    native.check_arguments(cell, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, noise, unit_weights)
    return reference.recurrent(cell, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, reverse, noise, unit_weights)
