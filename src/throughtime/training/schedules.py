"""Learning rates over the epochs: constant, cosine (Loshchilov & Hutter 2017, without restarts), plateau."""

import math
from dataclasses import dataclass
from typing import Literal

ScheduleName = Literal["constant", "cosine", "plateau"]

PLATEAU_PATIENCE = 5
PLATEAU_FACTOR = 0.1


@dataclass
class Schedule:
    """One member's learning rate; ``observe`` each epoch's loss, then ask for the next epoch's ``lr``."""

    name: ScheduleName
    base: float
    max_epochs: int
    reductions: int = 0
    best: float = math.inf
    waited: int = 0

    def lr(self, epoch: int) -> float:
        """The rate of an epoch, counted from 0."""
        if self.name == "cosine":
            return self.base * 0.5 * (1 + math.cos(math.pi * epoch / self.max_epochs))
        return self.base * PLATEAU_FACTOR**self.reductions

    def observe(self, loss: float) -> None:
        """Take note of an epoch's validation loss, or its training loss without an inner split."""
        if self.name != "plateau":
            return
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= PLATEAU_PATIENCE:
            self.reductions, self.waited = self.reductions + 1, 0
