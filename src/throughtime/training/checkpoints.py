"""Where the runs of the lockstep loop stand, kept in a directory: the same call again goes on from there."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from throughtime.training.observers import Observer
from throughtime.training.state import GroupState

#: Seconds between two writes of one group, at least.
EVERY = 5.0


@dataclass(frozen=True)
class CheckpointFacts:
    """What the first line of a checkpoint says: whose it is, and how far that stands.

    Parameters
    ----------
    key
        What is trained, as a digest.
    epoch
        Epochs done.
    members, running
        How many there are, and how many still train.
    versions
        Of throughtime and torch, and the instruction set: what bits depend on.
    """

    key: str
    epoch: int
    members: int
    running: int
    versions: Mapping[str, str | None]


class Checkpoints:
    """Keeps how far training stands in a directory, so that a call that was cut short goes on.

    Handed to anything that trains, as ``checkpoints=``. Who trains the same again (data, parameters, seeds) with the
    same directory goes on after the last epoch that was kept, bit for bit as if nothing had happened; what had ended is
    not trained again. Anything else begins anew and keeps files of its own.

    Parameters
    ----------
    directory
        Made with the first file. The last two checkpoints of each group of networks are kept.
    every
        Seconds between two checkpoints, at least; a group's end is always kept. Where one takes long to write, 50 times
        as long.
    """

    def __init__(self, directory: str | os.PathLike[str], *, every: float = EVERY) -> None:
        raise NotImplementedError

    def request_stop(self, cause: BaseException | type[BaseException] = KeyboardInterrupt) -> None:
        """Have training keep where it stands at the end of its epoch and raise ``cause``; also from a signal's handler.

        The request stays: training with these checkpoints does not begin again.
        """
        raise NotImplementedError

    def latest(self) -> list[CheckpointFacts]:
        """How far each group stands, of what is whole: the newest of each."""
        raise NotImplementedError

    def load(self, key: str) -> "tuple[GroupState, list[dict[str, Any]]] | None":
        """The newest whole checkpoint of a key, and what its observers remembered; ``None`` where there is none.

        Warns
        -----
        StorageWarning
            Of a damaged file, which is set aside, and of one that was written under another version of throughtime,
            torch or instruction set.
        """
        raise NotImplementedError

    def save(self, key: str, state: GroupState, memories: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep a state and what observers remember.

        Raises
        ------
        StorageError
            If the system refuses; what was kept before stays.
        """
        raise NotImplementedError

    def observer(
        self, digests: Callable[[], Mapping[str, Any]], places: Sequence[int], observers: Sequence[Observer]
    ) -> Observer:
        """What keeps a group's state at the ends of epochs."""
        raise NotImplementedError


#: What public functions take as ``checkpoints=``.
CheckpointsOrPath = Checkpoints | str | os.PathLike[str]


def as_checkpoints(given: CheckpointsOrPath | None) -> Checkpoints | None:
    """Checkpoints of a path, or those that are given.

    Raises
    ------
    ParameterError
        For what is neither.
    """
    if given is None or isinstance(given, Checkpoints):
        return given
    return Checkpoints(given)
