"""The lockstep loop and what it is made of: members, streams, optimizers, schedules, clipping; who watches it."""

from throughtime.training.augmentations import (
    AUGMENTATION_CLASSES,
    Augmentation,
    ChannelDropout,
    Jitter,
    MagnitudeWarp,
    Mixup,
    Permutation,
    Scaling,
    TimeWarp,
    WindowSlice,
)
from throughtime.training.batches import row_by_row
from throughtime.training.checkpoints import CheckpointFacts, Checkpoints, CheckpointsOrPath, as_checkpoints
from throughtime.training.evaluation import EVALUATION_ROWS, predict
from throughtime.training.executor import Executor, Job, train_jobs
from throughtime.training.flow_monitor import EveryStepFlowMonitor, FlowMonitor
from throughtime.training.lockstep import starting_weights, train
from throughtime.training.members import Inputs, Loss, Member, Recipe, Sample, Trained, observed
from throughtime.training.metric_log import MetricLog, read_metric_log
from throughtime.training.observers import Measurement, Observer, StateGradientNorms, StepRecord, watch_of
from throughtime.training.perturbations import Perturbation, Series
from throughtime.training.probes import Probe
from throughtime.training.progress import EpochReports, Report, shown
from throughtime.training.state import GroupState, MemberState
from throughtime.training.streams import Purpose, derived_seed, stream
from throughtime.training.tensorboard import TensorBoard
from throughtime.training.truncation import HEAD_STEPS

__all__ = [
    "AUGMENTATION_CLASSES",
    "EVALUATION_ROWS",
    "HEAD_STEPS",
    "Augmentation",
    "ChannelDropout",
    "CheckpointFacts",
    "Checkpoints",
    "CheckpointsOrPath",
    "EpochReports",
    "EveryStepFlowMonitor",
    "Executor",
    "FlowMonitor",
    "GroupState",
    "Inputs",
    "Jitter",
    "Job",
    "Loss",
    "MagnitudeWarp",
    "Measurement",
    "Member",
    "MemberState",
    "MetricLog",
    "Mixup",
    "Observer",
    "Permutation",
    "Perturbation",
    "Probe",
    "Purpose",
    "Recipe",
    "Report",
    "Sample",
    "Scaling",
    "Series",
    "StateGradientNorms",
    "StepRecord",
    "TensorBoard",
    "TimeWarp",
    "Trained",
    "WindowSlice",
    "as_checkpoints",
    "derived_seed",
    "observed",
    "predict",
    "read_metric_log",
    "row_by_row",
    "shown",
    "starting_weights",
    "stream",
    "train",
    "train_jobs",
    "watch_of",
]
