"""Where the runs of the lockstep loop stand, kept in a directory: the same call again goes on from there."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from throughtime.errors import DataError, ParameterError, StorageError, StorageWarning, warn
from throughtime.kernels import ISA_VARIABLE, isa_names, native_available
from throughtime.storage import arrays_from_bytes, arrays_to_bytes, package_versions, seal, typed, unseal, write_file
from throughtime.training.digests import digest
from throughtime.training.observers import Observer
from throughtime.training.state import GroupState

#: Of the files; a newer one is refused.
FORMAT = 1
#: Seconds of training that may be lost, where an epoch takes no longer.
EVERY = 5.0
#: And so many times what the last one took to write, so that they cost 2 % at most.
TIMES_ITS_COST = 50
#: Checkpoints of each group that are kept: should the last be damaged, there is one before.
KEPT = 2
#: Digits of a key: the half of a SHA-256, so that paths stay short.
_DIGITS = 32

_KEY = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_NAME = re.compile(r"([0-9a-f]{8,64})-([1-9][0-9]{0,17})\.checkpoint", re.ASCII)
_STATE, _OBSERVER, _OBSERVERS = "state.", "observer", "n_observers"


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
        What bits depend on: packages, and instruction sets of torch and of the kernels.
    """

    key: str
    epoch: int
    members: int
    running: int
    versions: Mapping[str, str | None]


class Checkpoints:
    """Keeps how far training stands in a directory, so that a call that was cut short goes on.

    Handed to whatever trains, as ``checkpoints=``. Who trains the same again (data, parameters, seeds) with the same
    directory goes on after the last epoch that was kept, bit for bit as if nothing had happened; what had ended is not
    trained again. Anything else begins anew and has files of its own. A network without ``random_state`` is another
    each time.

    Parameters
    ----------
    directory
        Made where there is none. The last two checkpoints of each group of networks that train together are kept;
        remove the directory once its results are no longer needed.
    every
        Seconds of training, or an epoch that takes longer, that may be lost; where writing takes long, 50 times as long
        as that. 0 keeps every epoch, whatever it costs. The end of a group is always kept.

    Raises
    ------
    ParameterError
        For what is no path, or no number of seconds.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from throughtime import Checkpoints, SequenceClassifier, cross_val_score, load
    >>> X, y = load("japanese-vowels", split="train")
    >>> net = SequenceClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> with TemporaryDirectory() as directory:
    ...     checkpoints = Checkpoints(directory)
    ...     scores = cross_val_score(net, X, y, cv=3, checkpoints=checkpoints)
    ...     again = cross_val_score(net, X, y, cv=3, checkpoints=checkpoints)  # trains nothing
    ...     [(one.epoch, one.members, one.running) for one in checkpoints.latest()]
    [(2, 3, 0)]
    >>> bool((scores == again).all())
    True
    """

    def __init__(self, directory: str | os.PathLike[str], *, every: float = EVERY) -> None:
        if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
            raise ParameterError(f"checkpoints need a directory as a path, got {directory!r}")
        if isinstance(every, bool) or not isinstance(every, int | float) or not every >= 0:
            raise ParameterError(f"every needs a number of seconds from 0 up, got {every!r}")
        self.directory = Path(directory)
        self.every = every
        self._clock = time.monotonic
        self._cause: BaseException | type[BaseException] | None = None
        self._training: set[Keeper] = set()

    @property
    def training(self) -> bool:
        """Whether networks train right now, so that an epoch will end."""
        return bool(self._training)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Checkpoints":
        """Itself: scikit-learn's copies of a search have the same place, and stop together."""
        return self

    def request_stop(self, cause: BaseException | type[BaseException] = KeyboardInterrupt) -> None:
        """Have training keep where it stands at the end of its epoch and raise ``cause``.

        Any thread may ask, and a signal's handler. The request stays: whatever else would train with this object
        raises at once; another one of the same directory goes on.
        """
        self._cause = cause

    def stop_if_requested(self) -> None:
        """Raise what `request_stop` was given."""
        if self._cause is not None:
            raise self._cause

    def make_directory(self) -> None:
        """See that there is a directory that can be written to.

        Raises
        ------
        StorageError
            If there cannot be one.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.directory} needs to be a directory, which could not be made: {error}") from error
        if not os.access(self.directory, os.W_OK | os.X_OK):
            raise StorageError(f"{self.directory} needs to be a directory that can be written to, got a refusal")

    def latest(self) -> list[CheckpointFacts]:
        """How far each group stands by its newest file that is whole, in the order of their keys."""
        found = []
        for key, numbers in sorted(self._numbers().items()):
            for number in numbers:
                with suppress(StorageError):
                    found.append(_read(self._path(key, number), key)[0])
                    break
        return found

    def load(self, key: str) -> tuple[GroupState, list[dict[str, ndarray]]] | None:
        """The newest checkpoint of a key that is whole, and what its observers remembered; ``None`` without one.

        Raises
        ------
        StorageError
            Of a file that cannot be read or that a newer throughtime wrote.

        Warns
        -----
        StorageWarning
            Of a damaged file, which is set aside under another name, and of one that was written by other versions of
            packages or for another instruction set: training then goes on, perhaps with other bits.
        """
        for number in self._numbers().get(key, []):
            path = self._path(key, number)
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # of another process, which has gone further
                continue
            except OSError as error:
                raise StorageError(f"{path} could not be read: {error.strerror or error}") from error
            try:
                facts, arrays = _unpacked(content, key, str(path))
                state = GroupState.from_arrays(_of(_STATE, arrays))
            except (StorageError, DataError) as error:
                if isinstance(error, _NewerError):
                    raise
                _set_aside(path, error)
                continue
            _warn_of_others(facts.versions, self.directory)
            return state, [_of(f"{_OBSERVER}{n}.", arrays) for n in range(int(arrays[_OBSERVERS]))]
        return None

    def save(self, key: str, state: GroupState, memories: Sequence[Mapping[str, ndarray]] = ()) -> None:
        """Keep a state and what observers remember, and remove what is older than the one before.

        Parameters
        ----------
        key
            8 to 64 hexadecimal digits.

        Raises
        ------
        ParameterError
            For another key.
        StorageError
            If the system refuses; what was kept before stays.
        """
        if not _KEY.fullmatch(key):
            raise ParameterError(f"key needs 8 to 64 hexadecimal digits, got {key!r}")
        arrays = {f"{_STATE}{name}": array for name, array in state.to_arrays().items()}
        arrays[_OBSERVERS] = np.array(len(memories))
        for n, memory in enumerate(memories):
            arrays |= {f"{_OBSERVER}{n}.{name}": array for name, array in memory.items()}
        facts = {
            "format": FORMAT,
            "key": key,
            "epoch": state.epoch,
            "members": len(state.members),
            "running": len(state.running),
            "versions": dict(_versions()),
        }
        self.make_directory()
        numbers = self._numbers().get(key, [])
        write_file(self._path(key, max(numbers, default=0) + 1), seal(facts, arrays_to_bytes(arrays)))
        for number in numbers[KEPT - 1 :]:
            with suppress(OSError):  # one too many does no harm
                self._path(key, number).unlink()

    def keeper(
        self, digests: Callable[[], Mapping[str, Any]], places: Sequence[int], observers: Sequence[Observer]
    ) -> "Keeper":
        """Who keeps the states of one group; ``observers`` are those of the group, before its first step."""
        remembering = [one for one in observers if type(one).to_arrays is not Observer.to_arrays]
        set_so = [[type(one), one.to_arrays(places)] for one in remembering]
        return Keeper(self, digest([dict(digests()), set_so])[:_DIGITS], places, remembering)

    def _path(self, key: str, number: int) -> Path:
        return self.directory / f"{key}-{number}.checkpoint"

    def _numbers(self) -> dict[str, list[int]]:
        """The numbers of the files of each key, the newest first."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.directory} needs to be a directory that can be read: {error}") from error
        numbers: dict[str, list[int]] = {}
        for found in filter(None, map(_NAME.fullmatch, names)):
            numbers.setdefault(found[1], []).append(int(found[2]))
        return {key: sorted(own, reverse=True) for key, own in numbers.items()}


class Keeper(Observer):
    """Keeps the states of one group; the last of its observers, so that the others have heard of the epoch."""

    def __init__(
        self, checkpoints: Checkpoints, key: str, places: Sequence[int], remembering: Sequence[Observer]
    ) -> None:
        self._checkpoints, self._key, self._places = checkpoints, key, places
        self._remembering = remembering
        self._last = self._before = checkpoints._clock()
        self._cost = 0.0

    def resume(self) -> GroupState | None:
        """Where the group stood, its observers' memories put back; ``None`` where it begins."""
        self._checkpoints.stop_if_requested()
        self._checkpoints.make_directory()
        found = self._checkpoints.load(self._key)
        if found is None or found[0].running:
            self._checkpoints._training.add(self)
        if found is None:
            return None
        state, memories = found
        for observer, memory in zip(self._remembering, memories, strict=True):
            observer.from_arrays(self._places, memory)
        return state

    def on_epoch(self, state: GroupState) -> None:
        """Keep the state where it is time, at the group's end, and where a stop was requested."""
        checkpoints = self._checkpoints
        begin = checkpoints._clock()
        since, epoch = begin - self._last, begin - max(self._last, self._before)
        self._before = begin
        # Before another epoch would make the work that could be lost more than was asked for.
        due = not checkpoints.every or (since + epoch > checkpoints.every and since >= TIMES_ITS_COST * self._cost)
        if due or not state.running or checkpoints._cause is not None:
            checkpoints.save(self._key, state, [one.to_arrays(self._places) for one in self._remembering])
            self._last = checkpoints._clock()
            self._cost = self._last - begin
        checkpoints.stop_if_requested()

    def end(self) -> None:
        """The group trains no more, whether it has ended or something was raised."""
        self._checkpoints._training.discard(self)


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


class _NewerError(StorageError):
    """Of a file that a newer throughtime wrote, which is not damaged."""


def _read(path: Path, key: str) -> tuple[CheckpointFacts, dict[str, ndarray]]:
    try:
        return _unpacked(path.read_bytes(), key, str(path))
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror or error}") from error


def _unpacked(sealed: bytes, key: str, source: str) -> tuple[CheckpointFacts, dict[str, ndarray]]:
    """What a file holds that is whole and that of its key."""
    facts, content = unseal(sealed, source)
    if type(facts.get("format")) is int and facts["format"] > FORMAT:
        raise _NewerError(
            f"{source} needs checkpoint format {FORMAT}, got {facts['format']}: written by a newer throughtime; "
            "upgrade to go on from it, or choose another directory"
        )
    own = {name: value for name, value in facts.items() if name != "format"}
    found: CheckpointFacts = typed(own, CheckpointFacts, source, "a checkpoint's facts")
    if facts.get("format") != FORMAT or found.key != key:
        raise StorageError(f"{source} needs to be a checkpoint of its name, got one of {found.key!r}")
    return found, arrays_from_bytes(bytes(content), source)


def _of(prefix: str, arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        os.replace(path, aside)
        where = f"it is set aside as {aside.name}"
    except OSError as refusal:
        where = f"it stays, for it could not be renamed: {refusal.strerror or refusal}"
    warn(f"{error}; {where}, and training goes on from the checkpoint before, if there is one", StorageWarning)


def _warn_of_others(written: Mapping[str, str | None], directory: Path) -> None:
    """Warn where bits may be others than those of the run that is gone on with."""
    now = _versions()
    others = [f"{name} {written.get(name)} (now {now[name]})" for name in now if written.get(name) != now[name]]
    if others:
        text = f"{directory} has checkpoints of {', '.join(others)}: training goes on, perhaps with other bits"
        warn(text, StorageWarning)


def _versions() -> dict[str, str | None]:
    """What the bits of training depend on."""
    return dict(_packages()) | {
        "torch's instruction set": torch.backends.cpu.get_cpu_capability(),
        "kernels": os.environ.get(ISA_VARIABLE) or (isa_names()[0] if native_available() else "reference"),
    }


@cache
def _packages() -> Mapping[str, str | None]:
    versions = package_versions(["throughtime", "torch", "numpy"])
    return {name: version for name, version in versions.items() if name != "python"}
