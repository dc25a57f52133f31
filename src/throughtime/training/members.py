"""What the loop trains on: the inputs all members share, and what each member brings of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from throughtime.nn import Init, NoiseRates
from throughtime.records import EpochRecord
from throughtime.training.optimizers import OptimizerName
from throughtime.training.perturbations import Perturbation
from throughtime.training.schedules import ScheduleName

Loss = Literal["cross_entropy", "squared_error"]
Bptt = Literal["full", "checkpointed", "truncated"]


@dataclass(frozen=True)
class Inputs:
    """Raw series, one copy for all members.

    ``values`` holds every step (NaN: missing) and ends with a row of NaN, which padding points to; ``static`` columns
    follow a series' channels at every step. Both are of one dtype, the networks' or float64: a member's own mean is
    subtracted before anything is rounded to what its network computes in. Where ``flagged``, a third of the columns of
    ``values`` are channels, a third flag where these are missing, and a third count the steps since they were seen.
    """

    values: Float[Tensor, "step channel"]
    starts: Int[ndarray, "series"]
    lengths: Int[ndarray, "series"]
    static: Float[Tensor, "series column"] | None = None
    flagged: bool = False

    @property
    def n_channels(self) -> int:
        """The first columns of ``values``, without what says where they are missing."""
        return int(self.values.shape[1]) // (3 if self.flagged else 1)


@dataclass(frozen=True)
class Sample:
    """Some series with their targets, in a member's own order.

    Parameters
    ----------
    rows
        Where the series are in the inputs.
    targets
        Class numbers or values: one per series, or one per step, flat, the series one after the other.
        A class below 0 and a value of NaN are not observed.
    weights
        One per series.
    """

    rows: Int[ndarray, "series"]
    targets: Shaped[ndarray, "target"]
    weights: Float[ndarray, "series"]


@dataclass(frozen=True)
class Member:
    """One of the networks trained in lockstep: its series and everything in which it may differ from its neighbors."""

    seed: int
    train: Sample
    shift: Float[ndarray, "channel"]
    scale: Float[ndarray, "channel"]
    lr: float
    weight_decay: float
    momentum: float
    dropout: float
    clip_norm: float
    max_epochs: int
    patience: int | None = None
    validation: Sample | None = None
    eval: Sample | None = None
    #: only the rates above zero
    noise: NoiseRates = field(default_factory=NoiseRates)
    perturbations: tuple[Perturbation, ...] = ()
    #: how its weights start, chrono's with a lag
    init: Init = "torch"
    #: the largest size of an element of the gradient, before `clip_norm`
    clip_value: float = math.inf
    #: standard deviation of what is added to standardized channels
    input_noise: float = 0.0
    #: how much of a class's probability all classes share in what is trained on; records are of the loss without
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """What all members of a group share besides the architecture."""

    loss: Loss
    optimizer: OptimizerName
    lr_schedule: ScheduleName
    batch_size: int
    #: what the networks compute in
    dtype: torch.dtype
    device: str
    #: whether members have recurrent dropout: the kernels add up a masked state's gradient in another order
    masks_state: bool = False
    #: the rows that a step is filled up to where sums depend on their number, if not ``batch_size``
    padded_rows: int | None = None
    bptt: Bptt = "full"
    #: of truncated BPTT: the steps between updates, none with one target per series, and those that a gradient reaches
    k1: int | None = None
    k2: int | None = None


@dataclass(frozen=True)
class Trained:
    """A member after training: its weights (of the best epoch, with early stopping), or why it failed."""

    weights: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    best_epoch: int | None
    failure: Exception | None = None


@dataclass(frozen=True)
class Batch:
    """One step's series of every member, padded to the longest, and with rows of weight 0 to the largest sample's."""

    x: Float[Tensor, "member time batch channel"]
    lengths: Int[Tensor, "member batch"]
    #: one per series, or one per step
    targets: Tensor
    #: zero for padding and for what was not observed
    weights: Float[Tensor, "member ..."]
    positions: Int[ndarray, "member batch"]
    #: steps of each series, none for padding
    own_steps: Int[ndarray, "member batch"]

    @property
    def inside(self) -> Bool[ndarray, "member time batch"]:
        """Which steps are a series' own."""
        within: ndarray = np.arange(self.x.shape[1])[:, None] < self.own_steps[:, None]
        return within


@dataclass(frozen=True)
class Samples:
    """One sample of each member, stacked: a row per member, what lies beyond a member's own size filled up."""

    rows: Int[ndarray, "member position"]
    sizes: Int[ndarray, "member"]
    weights: Float[ndarray, "member position"]
    targets: ndarray
    #: where a series' step targets begin in the flat ``targets``; ``None`` with one target per series
    target_starts: Int[ndarray, "member position"] | None


def observed(targets: ndarray) -> Bool[ndarray, "..."]:
    """Which targets are there: class numbers from 0 up, values that are not NaN."""
    return targets >= 0 if targets.dtype.kind == "i" else ~np.isnan(targets)


def stack_samples(samples: Sequence[Sample], inputs: Inputs, by_step: bool) -> Samples:
    """Stack one sample of each member, with a target per step or one per series."""
    sizes = np.array([len(sample.rows) for sample in samples])
    shape = (len(samples), int(sizes.max()))
    rows = np.zeros(shape, dtype=np.int64)
    weights = np.zeros(shape)
    for m, sample in enumerate(samples):
        rows[m, : sizes[m]] = sample.rows
        weights[m, : sizes[m]] = sample.weights
    if by_step:
        starts = np.zeros(shape, dtype=np.int64)
        begin = 0
        for m, sample in enumerate(samples):
            lengths = inputs.lengths[sample.rows]
            starts[m, : sizes[m]] = begin + np.cumsum(lengths) - lengths
            begin += int(lengths.sum())
        return Samples(rows, sizes, weights, np.concatenate([sample.targets for sample in samples]), starts)
    targets = np.zeros(shape, dtype=samples[0].targets.dtype)
    for m, sample in enumerate(samples):
        targets[m, : sizes[m]] = sample.targets
    return Samples(rows, sizes, weights, targets, None)


def training_size(sample: Sample, inputs: Inputs) -> float:
    """n of the objective: the sum of the weights of the terms of the mean loss, series or observed steps."""
    by_step = len(sample.targets) != len(sample.rows)
    weights = np.repeat(sample.weights, inputs.lengths[sample.rows]) if by_step else sample.weights
    return float(weights[observed(sample.targets)].sum())
