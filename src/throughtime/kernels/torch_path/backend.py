"""Plain torch: every device and dtype, one operation after the other; the oracle of the other backends."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels import reference
from throughtime.kernels.arguments import check_arguments, check_smoothing
from throughtime.kernels.backend import Backend
from throughtime.kernels.cells import CellSpec
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.products import linear, linear_over_time, ordered_sum
from throughtime.kernels.reference import CHUNK
from throughtime.kernels.steps import DeltaNorms, InputNoise, Update
from throughtime.kernels.torch_path.gathering import gather


class TorchBackend(Backend):
    """The formulas in torch's operations."""

    name = "torch"

    def takes(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Always."""
        return True

    def row_by_row(self, cell: CellSpec) -> bool:
        """No: how torch's products add up depends on how many rows there are, zero or not."""
        return False

    def recurrent(
        self,
        cell: CellSpec,
        x: Tensor,
        lengths: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        reverse: bool = False,
        noise: StepNoise = NO_NOISE,
        unit_weights: Sequence[Tensor] = (),
        deltas: DeltaNorms | None = None,
        segment: int | None = None,
        outputs: bool = True,
    ) -> tuple[Tensor, ...]:
        """A loop over the steps."""
        check_arguments(cell, x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0, noise, unit_weights, segment)
        tensors = x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0
        return reference.recurrent(cell, *tensors, reverse, noise, unit_weights, deltas, segment, outputs)

    def output_layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """One product per member, its sides padded."""
        return linear(x, weight, bias)

    def output_layer_over_time(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """One product per member and chunk of steps."""
        return linear_over_time(x, weight, bias, CHUNK)

    def losses(self, name: str, outputs: Tensor, targets: Tensor, smoothing: Tensor | None = None) -> Tensor:
        """By torch's ``log_softmax``, or the square."""
        check_smoothing(name, outputs, smoothing)
        if name == "cross_entropy":
            logs = outputs.log_softmax(-1)
            of_class = -logs.gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)
            if smoothing is None:
                return of_class
            fraction = smoothing.view(-1, *[1] * (of_class.dim() - 1))
            return torch.where(fraction > 0, (1 - fraction) * of_class - fraction * logs.mean(-1), of_class)
        return (outputs.squeeze(-1) - targets.to(outputs.dtype)).square()

    def gather(
        self,
        time: int,
        values: Tensor,
        static: Tensor | None,
        begins: Tensor,
        lengths: Tensor,
        series: Tensor,
        shift: Tensor,
        scale: Tensor,
        dtype: torch.dtype | None = None,
        noise: InputNoise | None = None,
    ) -> Tensor:
        """By ``index_select``."""
        return gather(time, values, static, begins, lengths, series, shift, scale, dtype, noise)

    def optimizer_step(self, update: Update, grads: Tensor, active: Tensor) -> Tensor:
        """What the update says in torch."""
        return update.in_torch(grads, active)

    def tensor_norms(self, grads: Tensor, places: Sequence[int]) -> Tensor:
        """One sum after the other."""
        parts = grads.double().square().tensor_split(list(places)[1:], 1)
        return torch.stack([ordered_sum(part, 1) for part in parts], 1).sqrt()

    def log_means(self, squares: Tensor, lengths: Tensor, lags: Tensor, reverse: bool) -> Tensor:
        """A logarithm of every norm."""
        there = (lags[:, :, None] >= 0) & (lags[:, :, None] < lengths[:, None])
        at = torch.where(there, lags[:, :, None] if reverse else lengths[:, None] - 1 - lags[:, :, None], 0)
        own = squares.gather(1, at)
        # Beyond an overflow all is NaN (0 * inf), though the weights, not the data, are at fault.
        over = (own.isinf() & there).any(2).cummax(1).values
        count = there.sum(2).double()
        means = ordered_sum(torch.where(there, own.log(), 0), 2) / (2 * math.log(10) * count)
        return torch.where(count > 0, torch.where(over, math.inf, means), math.nan)
