"""The C++ kernels as a backend; what they cannot do of a call goes to plain torch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels.backend import Backend, RecurrentNet, StepMember, StepRecipe
from throughtime.kernels.cells import CellSpec
from throughtime.kernels.native import operators, output_layer, training
from throughtime.kernels.native.extension import SUFFIX, native_available
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.steps import DeltaNorms, FeatureMasks, InputNoise, Pass, StepNorms, TrainingData, Update
from throughtime.kernels.torch_path import TorchBackend
from throughtime.kernels.transforms import is_differentiating, is_intercepted

_TORCH = TorchBackend()


class NativeBackend(Backend):
    """The kernels on memory that they are given the addresses of."""

    name = "native"

    def takes(self, device: torch.device, dtype: torch.dtype) -> bool:
        """On a CPU in float32 or float64, where they were built."""
        return dtype in SUFFIX and device.type == "cpu" and native_available()

    def row_by_row(self, cell: CellSpec) -> bool:
        """Of the cells that have a kernel."""
        return cell.native is not None

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
        """The op in C++; in torch where forward mode or the like looks inside, and for cells without a kernel."""
        tensors = x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0
        if cell.native is not None and not is_differentiating():
            return operators.recurrent(cell.native, *tensors, reverse, noise, deltas, segment, outputs)
        return _TORCH.recurrent(cell, *tensors, reverse, noise, unit_weights, deltas, segment, outputs)

    def output_layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """In C++, differentiable once; in torch where a transform or a compiler watches."""
        if is_intercepted(x, weight, bias):
            return _TORCH.output_layer(x, weight, bias)
        return output_layer.output_layer(x, weight, bias)

    def output_layer_over_time(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As ``output_layer``, each step of a series a row."""
        if is_intercepted(x, weight, bias):
            return _TORCH.output_layer_over_time(x, weight, bias)
        return output_layer.output_layer(x.flatten(1, 2), weight, bias).view(*x.shape[:3], weight.shape[1])

    def losses(self, name: str, outputs: Tensor, targets: Tensor, smoothing: Tensor | None = None) -> Tensor:
        """In C++, differentiable once."""
        return output_layer.losses(name, outputs, targets, smoothing)

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
        """One pass over memory."""
        return training.gather_standardized(time, values, static, begins, lengths, series, shift, scale, dtype, noise)

    def optimizer_step(self, update: Update, grads: Tensor, active: Tensor) -> Tensor:
        """In C++ where the rule is built in."""
        if update.rule in training.RULES:
            return training.take_step(update, grads, active)
        return _TORCH.optimizer_step(update, grads, active)

    def tensor_norms(self, grads: Tensor, places: Sequence[int]) -> Tensor:
        """As ``train_steps`` takes them."""
        return training.tensor_norms(grads, places)

    def log_means(self, squares: Tensor, lengths: Tensor, lags: Tensor, reverse: bool) -> Tensor:
        """One logarithm per lag, of a product."""
        return training.log_means(squares.contiguous(), lengths.contiguous(), lags.contiguous(), reverse)

    def can_fuse(self, net: object, recipe: StepRecipe, member: StepMember) -> bool:
        """One layer in one direction, one output per series read from the last state, no noise but dropout.

        And no clipping by value, which the C++ step does not know.
        """
        return (
            isinstance(net, RecurrentNet)
            and net.spec.native is not None
            and (net.num_layers, net.bidirectional, net.pooling) == (1, False, "last")
            and recipe.optimizer in training.RULES
            and recipe.loss in training.LOSSES
            and not (member.noise or member.perturbations)
            and math.isinf(member.clip_value)
        )

    def train_steps(
        self,
        net: RecurrentNet,
        loss: str,
        places: Sequence[int],
        update: Update,
        training_data: TrainingData,
        order: Tensor,
        batch: int,
        steps: range,
        result: Pass,
        dropout: FeatureMasks | None = None,
        norms: StepNorms | None = None,
        noise: InputNoise | None = None,
        smoothing: Tensor | None = None,
    ) -> None:
        """Each member runs through its steps by itself, so nothing waits between them."""
        kind, sizes = net.spec.native, (net.hidden_size, net.n_outputs)
        assert kind is not None
        of_net = kind, loss, *sizes, places
        training.train_steps(
            *of_net, update, training_data, order, batch, steps, result, dropout, norms, noise, smoothing
        )
