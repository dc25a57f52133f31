"""Checkpoints that stop training, so that tests may go on with it."""

from pathlib import Path
from typing import Any

from throughtime import Checkpoints
from throughtime.training import GroupState


class StopsAfter(Checkpoints):
    """Has training stop once so many were written."""

    def __init__(self, directory: Path, writes: int) -> None:
        super().__init__(directory, every=0)
        self.left = writes

    def save(self, key: str, state: GroupState, memories: Any = ()) -> None:
        super().save(key, state, memories)
        self.left -= 1
        if not self.left:
            self.request_stop()
