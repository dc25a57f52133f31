"""A run while a command makes it: kept from its beginning, stopped by signals at the end of an epoch, gone on with."""

import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from throughtime import storage, study
from throughtime.cli.command_request import CommandRequest
from throughtime.cli.exit_codes import STOPPED, TERMINATED, StoppedError
from throughtime.cli.screen import console, print_text
from throughtime.errors import DataError, DivergenceError, ParameterError, StorageError
from throughtime.report import run_page
from throughtime.storage import UnfinishedRun
from throughtime.training import CheckpointFacts, Checkpoints, MetricLog

#: Every epoch of every network, written while they train: those of a study, and those that a search tries.
METRIC_LOGS = METRICS, SEARCHED = "metrics.jsonl", "search.jsonl"
#: Seconds between two checkpoints of one group of networks, at least.
CHECKPOINT_EVERY = 5.0
_STOPPING = b"\nstopping at the end of this epoch; once more to stop at once\n"


@dataclass(frozen=True)
class RunInProgress:
    """A run that a command is making, and where its training keeps how far it stands."""

    run: UnfinishedRun
    checkpoints: Checkpoints
    #: Whether the run gets a page.
    report: bool

    @property
    def baselines(self) -> Path:
        """Where the scores of baselines are kept."""
        return self.run.checkpoints / "baselines.json"

    def metric_log(self, name: str, members: Sequence[Mapping[str, Any]]) -> MetricLog:
        """What writes every epoch of networks, each known by what its lines begin with, into one of `METRIC_LOGS`."""
        return MetricLog(self.run.directory / name, members)

    def finish(self, finished: study.Study) -> None:
        """Write the run of a study.

        Raises
        ------
        StorageError
            If it cannot be written; it can be gone on with.
        """
        files, facts = study.run_files(finished), study.run_facts(finished.estimator)
        for name in METRIC_LOGS:
            log = self.run.directory / name
            if log.exists():
                with storage.refusals_named(log):
                    files[name] = log.read_bytes()
        with storage.refusals_named(self.run.directory):
            (self.run.directory / study.REPORT).unlink(missing_ok=True)  # of a finish that was killed
        try:
            if self.report:
                with console().status("report"):
                    files[study.REPORT] = study.page_of(finished, self.run.directory, files, facts, run_page)
        finally:  # networks are worth keeping though their page could not be made
            self.run.finish(files, facts)


@contextmanager
def begun(
    place: Path, asked: CommandRequest, marks: Mapping[str, Any], facts: Mapping[str, Any], networks: int | None = None
) -> Iterator[RunInProgress]:
    """Make a run in a ``with`` block, from its beginning.

    Parameters
    ----------
    place
        Its directory, which is made.
    marks
        What tells its data and plan from others, for whoever goes on.
    facts
        What its bits depend on.
    networks
        How many will be trained, where that is known.

    Raises
    ------
    StoppedError
        When a signal has ended it; it can be gone on with.
    ThroughtimeError
        What the block raises. An error that would come again leaves no run, another one that can be gone on with.
    """
    content = asked.to_plain() | {"marks": dict(marks), "networks": networks}
    with storage.begin_run(place, content, facts) as run, _made(run) as in_progress:
        yield in_progress


@contextmanager
def resumed(run: UnfinishedRun, marks: Mapping[str, Any]) -> Iterator[RunInProgress]:
    """Make a run in a ``with`` block from where it was left; otherwise as `begun`.

    Raises
    ------
    DataError, ParameterError
        When data or plan are not those that it was begun with; it stays as it is.
    """
    study.refuse_other(run.request.asked["marks"], marks, str(run.directory))
    checkpoints = Checkpoints(run.checkpoints, every=CHECKPOINT_EVERY)
    done = progress_in_words(checkpoints.latest(), run.request.asked.get("networks"))
    print_text(f"goes on: {done}\n")
    with _made(run, begun_before=True) as in_progress:
        yield in_progress


def progress_in_words(groups: list[CheckpointFacts], networks: int | None) -> str:
    """How far training stands: ``"5 of 11 networks trained, 6 after epoch 12"``."""
    trained = sum(group.members - group.running for group in groups)
    of = "" if networks is None else f" of {max(networks, trained)}"
    words = [f"{trained}{of} network{'s' if (networks or trained) != 1 else ''} trained"]
    running = [group for group in groups if group.running]
    if running:
        epochs = sorted({group.epoch for group in running})
        which = f"epoch {epochs[0]}" if len(epochs) == 1 else f"epochs {epochs[0]} to {epochs[-1]}"
        words.append(f"{sum(group.running for group in running)} after {which}")
    return ", ".join(words)


@contextmanager
def _made(run: UnfinishedRun, begun_before: bool = False) -> Iterator[RunInProgress]:
    report = bool(run.request.asked["options"].get("report"))
    in_progress = RunInProgress(run, Checkpoints(run.checkpoints, every=CHECKPOINT_EVERY), report)
    signals = _Signals(in_progress.checkpoints)
    try:
        with signals.heard():
            yield in_progress
    except (DataError, ParameterError, DivergenceError):  # would come again, but perhaps not where it was begun
        if storage.is_unfinished(run.directory) and not begun_before:
            run.discard()
        raise
    except StorageError as error:
        if not storage.is_unfinished(run.directory):
            raise
        raise StorageError(f"{error}; {_resume(run.directory)} goes on when that is put right") from error
    except KeyboardInterrupt:
        if not storage.is_unfinished(run.directory):
            raise StoppedError(f"stopped; {run.directory} is finished", signals.code) from None
        groups = in_progress.checkpoints.latest()
        done = progress_in_words(groups, run.request.asked.get("networks"))
        raise StoppedError(f"stopped, {done}; {_resume(run.directory)} goes on", signals.code) from None


def _resume(directory: Path) -> str:
    """The command that goes on, as a shell takes it."""
    return shlex.join(["throughtime", "resume", str(directory)])


class _Signals:
    """Ctrl-C and SIGTERM: the first waits for the end of an epoch where networks train, the second does not."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._asked = False
        self.code = STOPPED

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them in this block; outside the main thread, where Python hears none, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupted),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._terminated),
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._checkpoints.training and not self._asked:
            self._asked = True
            self._checkpoints.request_stop()
            with suppress(OSError):  # past Python's buffer, which the signal may have met half-way
                os.write(2, _STOPPING)
            return
        raise KeyboardInterrupt

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """As Ctrl-C, whose handler others may have taken over for a while (`generalization.interrupts`)."""
        del number, frame
        if not self._asked:
            self.code = TERMINATED
        signal.raise_signal(signal.SIGINT)
