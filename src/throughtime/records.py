"""Frozen results that rooms hand to each other, to files and to pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """One member's epoch.

    ``train_loss`` is the mean over the epoch's batches as the weights moved; ``validation_loss`` is on the inner split
    of early stopping and ``watched_loss`` on series that training never uses, after the epoch; both ``None`` without
    one.  ``gradient_norm`` is the mean over the steps before clipping, ``clipped`` the share of steps that were
    clipped.
    """

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float | None
    watched_loss: float | None
    gradient_norm: float
    clipped: float


@dataclass(frozen=True)
class EpochProgress:
    """How a lockstep run stands after an epoch; the losses are means over the members still running.

    Members of several shapes, or more than memory holds, train in several runs one after the other.
    """

    epoch: int
    max_epochs: int
    members: int
    running: int
    train_loss: float
    validation_loss: float | None
    run: int = 1
    runs: int = 1
