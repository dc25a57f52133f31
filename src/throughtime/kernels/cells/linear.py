"""The linear recurrence, an Elman network without activation: its state and gradients have closed forms.

After t steps ``h_t = U^t h_0 + sum_s U^(t-s) (W x_s + b)``, and ``dh_t/dh_s = U^(t-s)``: whether gradients vanish or
explode is a matter of U's spectral radius alone.
"""

from torch import Tensor

from throughtime.kernels.cells.spec import CellSpec, State


def step(
    from_x: Tensor, from_h: Tensor, state: State, unit_weights: tuple[Tensor, ...] = (), mask: Tensor | None = None
) -> State:
    """``h' = W x + U h``."""
    return (from_x + from_h,)


LINEAR = CellSpec("linear", gates=("h",), step=step, kept=6, passing=4)
