"""The lockstep loop and what it is made of: members, streams, optimizers, schedules, clipping, progress."""

from throughtime.training.evaluation import predict
from throughtime.training.lockstep import train
from throughtime.training.members import Inputs, Loss, Member, Recipe, Sample, Trained
from throughtime.training.progress import shown
from throughtime.training.streams import Purpose, derived_seed, stream

__all__ = [
    "Inputs",
    "Loss",
    "Member",
    "Purpose",
    "Recipe",
    "Sample",
    "Trained",
    "derived_seed",
    "predict",
    "shown",
    "stream",
    "train",
]
