"""Every epoch of every member as a line of JSON, written while networks train.

A line, its fields always in this order, numbers that are not finite as ``null``::

    {"seed": 0, "fold": 2, "epoch": 0, "lr": 0.003, "train_loss": 0.61, "validation_loss": null, "eval_loss": 0.58,
     "gradient_norm": 1.2, "clipped": 0.0, "time": "2026-11-27T17:08:15.123+00:00"}
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from throughtime.errors import ParameterError, StorageError
from throughtime.records import EpochRecord
from throughtime.storage import refusals_named, write_file
from throughtime.training.observers import Observer
from throughtime.training.state import GroupState, MemberState

#: The fields of every line, after the member's names; the time is UTC in ISO 8601.
FIELDS = (*(field.name for field in fields(EpochRecord)), "time")

_EPOCH, _TIME = b'"epoch": ', b', "time": '


class MetricLog(Observer):
    """Writes one line per epoch and member into a file, each epoch's as soon as it is over.

    A file that is there already is gone on with: a member that trains from a state keeps its lines up to there, byte
    for byte, those after it are cut, and those that are missing are made again, with ``null`` for the time. Where a
    member trains anew its lines are replaced, and lines of nobody in ``names`` are dropped. A torn last line is no
    error.

    Parameters
    ----------
    path
        The file, in a directory that exists.
    names
        What each member's lines begin with, by its place, such as ``{"seed": 0, "fold": 2}``: no two alike. By default
        ``{"member": 0}`` and so on, in a new file.

    Raises
    ------
    ParameterError
        For names that are none, not of one member alone or those of other fields; once a member trains that has none.
    StorageError
        Without names, for a file that exists, since nobody knows whose lines it has; once it cannot be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from throughtime import MetricLog, SequenceClassifier, fit_members, load, read_metric_log
    >>> X, y = load("japanese-vowels", split="train")
    >>> nets = [SequenceClassifier(hidden_size=4, max_epochs=2, random_state=seed) for seed in range(3)]
    >>> path = f"{mkdtemp()}/metrics.jsonl"
    >>> log = MetricLog(path, names=[{"seed": seed} for seed in range(3)])
    >>> fitted = fit_members(nets, X, y, observers=[log])
    >>> [(line["seed"], line["epoch"]) for line in read_metric_log(path)]
    [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[Mapping[str, Any]] | None = None) -> None:
        self.path = Path(path)
        if names is None and os.path.lexists(self.path):
            raise StorageError(
                f"a metric log without names needs a new file, but {self.path} exists; remove it, or name the members"
            )
        #: of lines, by place; without names they are made when a member is first heard of
        self._beginnings = {} if names is None else dict(enumerate(_checked(names)))
        self._named = names is not None
        #: the members that began in this process
        self._begun: set[int] = set()
        #: those that have lines in the file, once it was looked at
        self._listed: set[int] | None = None
        self._lock = Lock()

    def on_resume(self, state: GroupState) -> None:
        """Keep the lines of the epochs that these members have behind them."""
        with self._lock:
            self._begin(state.members, [len(member.history) for member in state.members])

    def on_epoch(self, state: GroupState) -> None:
        """Write the lines of those who trained in this epoch."""
        trained = [member for member in state.members if len(member.history) == state.epoch]
        now = json.dumps(datetime.now(UTC).isoformat(timespec="milliseconds")).encode()
        with self._lock:
            if state.epoch == 1 or any(member.place not in self._begun for member in state.members):
                self._begin(state.members, [min(len(own.history), state.epoch - 1) for own in state.members])
            lines = [self._said(own.place, own.history[-1]) + _TIME + now + b"}\n" for own in trained]
            with refusals_named(self.path), open(self.path, "ab") as file:
                file.write(b"".join(lines))
            assert self._listed is not None
            self._listed.update(member.place for member in trained)

    def _begin(self, members: Sequence[MemberState], epochs: Sequence[int]) -> None:
        """Of a group's members leave the lines of so many epochs in the file: those that are there, and new ones."""
        wanted = [
            self._said(member.place, member.history[epoch])
            for epoch in range(max(epochs))
            for member, own in zip(members, epochs, strict=True)
            if epoch < own
        ]
        places = {member.place for member in members}
        self._begun |= places
        if self._listed is not None and not wanted and self._listed.isdisjoint(places):
            return
        missing = dict.fromkeys(wanted)
        place_of = {beginning: place for place, beginning in self._beginnings.items()}
        kept, self._listed = [], {member.place for member, own in zip(members, epochs, strict=True) if own}
        for line in self._whole_lines():
            said, place = line.rpartition(_TIME)[0], place_of.get(line.rpartition(_EPOCH)[0])
            if place in places and said in missing:
                del missing[said]
                kept.append(line)
            elif place is not None and place not in places:
                self._listed.add(place)
                kept.append(line)
        write_file(self.path, b"".join([*kept, *(said + _TIME + b"null}\n" for said in missing)]))

    def _whole_lines(self) -> list[bytes]:
        """The lines of the file but for a torn one."""
        with refusals_named(self.path):
            try:
                *lines, _ = self.path.read_bytes().split(b"\n")
            except FileNotFoundError:
                return []
        return [line + b"\n" for line in lines]

    def _said(self, place: int, record: EpochRecord) -> bytes:
        """A line up to its time."""
        if place not in self._beginnings:
            if self._named:
                raise ParameterError(
                    f"a metric log needs names for each member, got {len(self._beginnings)} and a member at {place}"
                )
            self._beginnings[place] = _beginning({"member": place})
        values = {name: _finite(value) for name, value in asdict(record).items()}
        return self._beginnings[place] + json.dumps(values).encode().removeprefix(b"{").removesuffix(b"}")


def read_metric_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a metric log, also while it is being written: ``pandas.DataFrame(read_metric_log(path))`` is a table.

    Returns
    -------
    A dictionary per line: the member's names, ``epoch`` (from 0), ``lr``, ``train_loss``, ``validation_loss``,
    ``eval_loss``, ``gradient_norm``, ``clipped`` (see `history_` of an estimator) and ``time``; ``None`` for what there
    is not, or is not finite. A torn last line is left out.

    Raises
    ------
    StorageError
        For a file that cannot be read, and a line that no metric log wrote.
    """
    try:
        *lines, _ = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror or error}") from error
    return [_read(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)]


def _read(line: bytes, where: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{where} needs to be JSON, as a metric log writes it, got {error}") from error
    if not isinstance(read, dict) or tuple(read)[-len(FIELDS) :] != FIELDS:
        raise StorageError(f"{where} needs to end with {', '.join(FIELDS)}, got {line[:60]!r}")
    return read


def _checked(names: Any) -> list[bytes]:
    """What lines begin with, of names that are right."""
    if not isinstance(names, list | tuple):
        raise ParameterError(f"names needs a list of mappings, such as [{{'seed': 0}}], got {names!r}")
    for name in names:
        if not isinstance(name, Mapping) or not all(isinstance(key, str) for key in name):
            raise ParameterError(f"names needs mappings with text as keys, such as {{'seed': 0}}, got {name!r}")
        if taken := sorted(set(name) & set(FIELDS)):
            raise ParameterError(f"names needs keys that are no field of a metric log, got {taken[0]!r}")
    try:
        beginnings = [_beginning(name) for name in names]
    except (TypeError, ValueError) as error:
        raise ParameterError(f"names needs values that JSON has, got {error}") from error
    firsts: dict[bytes, int] = {}
    for place, beginning in enumerate(beginnings):
        if (first := firsts.setdefault(beginning, place)) != place:
            raise ParameterError(f"names needs each once, got {dict(names[place])} for members {first} and {place}")
    return beginnings


def _beginning(names: Mapping[str, Any]) -> bytes:
    """A line up to its epoch."""
    text = json.dumps(dict(names), allow_nan=False, default=_plain)
    return f"{text[:-1]}, ".encode() if names else b"{"


def _plain(value: Any) -> Any:
    """A number of NumPy's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r}")


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
