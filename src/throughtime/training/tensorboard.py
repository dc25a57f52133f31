"""TensorBoard as an observer, and so an example of how another tracker is added.

A member has a run of its own in the tracker, begun where its training stands; an epoch's record goes there; the run is
closed when the member ends.
"""

import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime.errors import MissingDependencyError, ParameterError, StorageWarning, warn
from throughtime.training.observers import Observer
from throughtime.training.state import GroupState, MemberState

#: Letters of a member's names in its directory's.
_LONGEST = 100
#: Seconds a run may wait for the clock; a larger difference is another machine's clock.
_LONGEST_WAIT = 2.0


class TensorBoard(Observer):
    """Writes what an epoch's record says as scalars, a run per member: ``tensorboard --logdir DIRECTORY`` shows them.

    A member that goes on from a checkpoint goes on in its run; one that trains anew replaces what its run showed.

    Parameters
    ----------
    directory
        Made where it is missing; each member has a directory in it, such as ``0-seed=0-fold=2``.
    names
        What a member is called besides its number, by its place.

    Raises
    ------
    MissingDependencyError
        Without the package ``tensorboard``, which the extra ``tracking`` brings.
    """

    def __init__(self, directory: str | os.PathLike[str], names: Sequence[Mapping[str, Any]] | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "TensorBoard needs the package tensorboard, which is not installed; pip install throughtime[tracking] "
                "brings it"
            ) from error
        self.directory, self.names = Path(directory), names
        self._writer = SummaryWriter
        self._writers: dict[int, Any] = {}

    def on_resume(self, state: GroupState) -> None:
        """Go on in the runs of the members that still train."""
        for m in state.running:
            self._begin(state.members[m], epochs=state.epoch)

    def on_epoch(self, state: GroupState) -> None:
        """Write the records of those who trained in this epoch."""
        for member in state.members:
            if len(member.history) < state.epoch:
                continue
            if state.epoch == 1 or member.place not in self._writers:
                self._begin(member, epochs=state.epoch - 1)
            writer, values = self._writers[member.place], asdict(member.history[-1])
            epoch = values.pop("epoch")
            for name, value in values.items():
                if value is not None:
                    writer.add_scalar(name, value, epoch)
            writer.flush()
            if member.result is not None:
                self._writers.pop(member.place).close()

    def _begin(self, member: MemberState, epochs: int) -> None:
        """Open a member's run; points of later epochs than these are no longer shown."""
        if member.place in self._writers:  # of a training that was interrupted
            self._writers.pop(member.place).close()
        directory = self.directory / self._directory_of(member.place)
        _await_a_later_second(directory)
        self._writers[member.place] = self._writer(str(directory), purge_step=epochs)

    def _directory_of(self, place: int) -> str:
        if self.names is None:
            return str(place)
        if place >= len(self.names):
            raise ParameterError(f"names needs one for each member, got {len(self.names)} and a member at {place}")
        named = "-".join(f"{key}={value}" for key, value in self.names[place].items())
        # a name is no path
        return re.sub(r"[^\w.=+-]", "_", f"{place}-{named}"[:_LONGEST], flags=re.ASCII)


def _await_a_later_second(directory: Path) -> None:
    """Wait until a file begun now is read after those there.

    TensorBoard reads a run's files in the order of their names: the second, the machine, the process, and a count that
    puts 10 before 9.
    """
    seconds = [
        int(found[1])
        for file in (directory.iterdir() if directory.is_dir() else ())
        if (found := re.match(r"events\.out\.tfevents\.(\d+)\.", file.name))
    ]
    wait = max(seconds, default=-math.inf) + 1 - time.time()
    if wait > _LONGEST_WAIT:
        warn(
            f"{directory} has points that were written {wait:.0f} s from now by this machine's clock: TensorBoard "
            "reads them after those of this training; set the clock, or remove the directory",
            StorageWarning,
        )
    elif wait > 0:
        time.sleep(wait)
