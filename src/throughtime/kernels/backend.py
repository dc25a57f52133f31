"""What a backend is: the op, what follows it, and the passes of training, on the devices and dtypes that it takes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from throughtime.kernels.cells import CellSpec
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.steps import DeltaNorms, FeatureMasks, InputNoise, Pass, StepNorms, TrainingData, Update


@runtime_checkable
class RecurrentNet(Protocol):
    """What a backend asks of a network whose steps it may take whole: ``throughtime.nn.Architecture`` has it."""

    @property
    def spec(self) -> CellSpec: ...  # noqa: D102
    @property
    def hidden_size(self) -> int: ...  # noqa: D102
    @property
    def num_layers(self) -> int: ...  # noqa: D102
    @property
    def bidirectional(self) -> bool: ...  # noqa: D102
    @property
    def pooling(self) -> str: ...  # noqa: D102
    @property
    def n_outputs(self) -> int: ...  # noqa: D102


@runtime_checkable
class StepRecipe(Protocol):
    """What it asks of a recipe: ``throughtime.training.Recipe`` has it."""

    @property
    def loss(self) -> str: ...  # noqa: D102
    @property
    def optimizer(self) -> str: ...  # noqa: D102


@runtime_checkable
class StepMember(Protocol):
    """What it asks of a member: ``throughtime.training.Member`` has it."""

    @property
    def dropout(self) -> float: ...  # noqa: D102
    @property
    def noise(self) -> Mapping[str, object]: ...  # noqa: D102
    @property
    def perturbations(self) -> Sequence[object]: ...  # noqa: D102
    @property
    def clip_value(self) -> float: ...  # noqa: D102


class Backend(ABC):
    """One way of computing; without state.

    ``throughtime.kernels.backend_for`` picks the first of ``BACKENDS`` that takes a device and dtype. What a backend
    cannot do of a call, it hands on to plain torch itself, so that nobody else asks.
    """

    #: How it is called in messages and records.
    name: str

    @abstractmethod
    def takes(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether it computes with such tensors, on this machine and in this installation."""

    @abstractmethod
    def row_by_row(self, cell: CellSpec) -> bool:
        """Whether each sum over a batch of a cell's network takes its rows in order, so that padding changes no bit."""

    @abstractmethod
    def recurrent(
        self,
        cell: CellSpec,
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
        deltas: DeltaNorms | None = None,
        segment: int | None = None,
        outputs: bool = True,
    ) -> tuple[Tensor, ...]:
        """One layer in one direction; see ``throughtime.kernels.recurrent``."""

    @abstractmethod
    def output_layer(
        self,
        x: Float[Tensor, "member row input"],
        weight: Float[Tensor, "member output input"],
        bias: Float[Tensor, "member output"],
    ) -> Float[Tensor, "member row output"]:
        """``x @ weight.T + bias``, each member with its own weights."""

    @abstractmethod
    def output_layer_over_time(
        self,
        x: Float[Tensor, "member time batch input"],
        weight: Float[Tensor, "member output input"],
        bias: Float[Tensor, "member output"],
    ) -> Float[Tensor, "member time batch output"]:
        """``output_layer`` at every step."""

    @abstractmethod
    def losses(
        self,
        name: str,
        outputs: Float[Tensor, "*shape output"],
        targets: Shaped[Tensor, "*shape"],
        smoothing: Float[Tensor, "member"] | None = None,
    ) -> Float[Tensor, "*shape"]:
        """Cross-entropy of logits in nats, the target per class number, or the squared error of the one output.

        Parameters
        ----------
        smoothing
            Of cross-entropy, one per member, the first axis: the target is the class with 1 - smoothing of the
            probability, and all K classes with smoothing/K each (Szegedy et al. 2016,
            https://arxiv.org/abs/1512.00567, section 7).
        """

    @abstractmethod
    def gather(
        self,
        time: int,
        values: Float[Tensor, "step own_channel"],
        static: Float[Tensor, "series column"] | None,
        begins: Int[Tensor, "member batch"],
        lengths: Int[Tensor, "member batch"],
        series: Int[Tensor, "member batch"],
        shift: Float[Tensor, "member channel"],
        scale: Float[Tensor, "member channel"],
        dtype: torch.dtype | None = None,
        noise: InputNoise | None = None,
    ) -> Float[Tensor, "member time batch channel"]:
        """Series side by side, ``(x - shift) / scale``, what is missing or beyond a series' end at zero.

        Parameters
        ----------
        time
            Steps of the result.
        values, static, shift, scale
            Of one dtype, in which is computed; ``values`` ends with a row of NaN, which no series has.
        begins, lengths
            Where each series begins in ``values``, and its steps: none for padding.
        series
            Its row of ``static``, whose columns follow the channels at every step.
        dtype
            Of the result: that of the values, or float32 from float64.
        noise
            Of this step, in that dtype: added to what is not missing.
        """

    @abstractmethod
    def optimizer_step(
        self, update: Update, grads: Float[Tensor, "member weight"], active: Bool[Tensor, "member"]
    ) -> Float[Tensor, "member"]:
        """Clip every member's gradient by its own norm and update weights and state of those that are active.

        Returns
        -------
        The norms before clipping; the gradients are used up.
        """

    @abstractmethod
    def tensor_norms(
        self, grads: Float[Tensor, "member weight"], places: Sequence[int]
    ) -> Float64[Tensor, "member tensor"]:
        """The L2 norms of every member's gradient by tensor; each begins at its place and reaches to the next."""

    @abstractmethod
    def log_means(
        self,
        squares: Float64[Tensor, "member time batch"],
        lengths: Int[Tensor, "member batch"],
        lags: Int[Tensor, "member lag"],
        reverse: bool,
    ) -> Float64[Tensor, "member lag"]:
        """Log10 of the geometric mean of norms over the series that are so long; NaN where none is.

        ``inf`` from the lag on at which a norm overflows; every member's are the same whatever others there are.

        Parameters
        ----------
        squares
            Of the norms, at every step.
        lengths
            Steps of each series, at most ``time``; none for padding.
        lags
            Each member's own; below zero to fill up.
        reverse
            Whether lags are counted from the first step, as a reverse direction's end is, and not from the last.
        """

    def can_fuse(self, net: object, recipe: StepRecipe, member: StepMember) -> bool:
        """Whether ``train_steps`` can take a member's steps, with the bits that its other methods give."""
        return False

    def train_steps(
        self,
        net: RecurrentNet,
        loss: str,
        places: Sequence[int],
        update: Update,
        training_data: TrainingData,
        order: Int[Tensor, "member place"],
        batch: int,
        steps: range,
        result: Pass,
        dropout: FeatureMasks | None = None,
        norms: StepNorms | None = None,
        noise: InputNoise | None = None,
        smoothing: Float[Tensor, "member"] | None = None,
    ) -> None:
        """Take some steps whole: gather, forward, backward, clip, update.

        Parameters
        ----------
        net
            One that ``can_fuse`` accepts for each of the members.
        loss
            ``cross_entropy`` of the net's outputs, or ``squared_error`` of one.
        places
            Where w_ih, w_hh, b_ih, b_hh and the output layer's weight and bias begin in a member's row of weights.
        order
            Positions of the samples in the order of the pass, behind those of a smaller sample filled with -1.
        batch
            Series per step; a last one may have fewer.
        steps
            Which of the pass to take.
        result
            Its sums are added to, its norms of these steps written.
        dropout
            Of these steps.
        norms
            By tensor of the pass, at the states of these steps: written where a member has what is measured.
        noise
            Of these steps, added to what is gathered.
        smoothing
            As ``losses`` has it, of the gradient alone: the result's sums are of the loss without.
        """
        raise NotImplementedError(f"the {self.name} backend takes no whole steps")
