"""What long training shows: a bar on a terminal, plain lines elsewhere.

Runs may go side by side, in threads of their own.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import IO, cast

import numpy as np

from throughtime.records import EpochProgress
from throughtime.terminal import Lenient
from throughtime.training.observers import Observer
from throughtime.training.state import GroupState

Report = Callable[[EpochProgress], None]

#: Seconds between two plain lines, so that a log of a long run stays readable.
LINE_EVERY = 5.0
#: Seconds between two pictures of the bar.
PICTURE_EVERY = 0.1


class EpochReports(Observer):
    """Reports after each epoch how a run stands.

    Parameters
    ----------
    report
        Called by one thread at a time.
    runs
        How many runs there will be, side by side or one after the other; they are numbered as they begin.
    """

    def __init__(self, report: Report, runs: int = 1) -> None:
        self._report = report
        self._runs = runs
        #: a run's number by the places of its members, which no other run has
        self._numbers: dict[tuple[int, ...], int] = {}
        self._lock = Lock()

    def on_resume(self, state: GroupState) -> None:
        """Report where a run stands that goes on, or has ended before."""
        self.on_epoch(state)

    def on_epoch(self, state: GroupState) -> None:
        """Report, on the losses of those who trained in this epoch."""
        last = [member.history[-1] for member in state.members if len(member.history) == state.epoch]
        losses = [record.validation_loss for record in last if record.validation_loss is not None]
        with self._lock:
            run = self._numbers.setdefault(tuple(member.place for member in state.members), len(self._numbers) + 1)
            self._report(
                EpochProgress(
                    epoch=state.epoch,
                    max_epochs=max(member.schedule.max_epochs for member in state.members),
                    members=len(state.members),
                    running=len(state.running),
                    train_loss=float(np.mean([record.train_loss for record in last])),
                    validation_loss=float(np.mean(losses)) if losses else None,
                    run=run,
                    runs=self._runs,
                )
            )


@contextmanager
def shown(title: str, verbose: bool, also: Report | None = None) -> Iterator[Report | None]:
    """A report for `EpochReports`: progress on stderr when ``verbose``, and ``also`` called each time.

    Training goes on where stderr cannot be written.
    """
    if not verbose:
        yield also
        return
    screen = Lenient(sys.stderr)
    show = _bar(title, screen) if screen.isatty() else _lines(title, screen)
    with show as report:

        def both(progress: EpochProgress) -> None:
            report(progress)
            if also is not None:
                also(progress)

        yield both


@contextmanager
def _bar(title: str, screen: Lenient) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=cast(IO[str], screen))
    try:
        with Progress(
            TextColumn(title),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            # Neither a thread nor another stdout, which an interrupt of the block's end would leave behind.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as bar:
            task = bar.add_task(title, total=None, text="")
            completed = _Completed()
            last = time.monotonic()

            def report(progress: EpochProgress) -> None:
                nonlocal last
                text = f"{_where(progress)}, {_running(progress)}"
                bar.update(task, completed=completed.after(progress), total=1, text=text)
                if time.monotonic() - last >= PICTURE_EVERY:
                    bar.refresh()
                    last = time.monotonic()

            yield report
    finally:
        console.show_cursor(True)  # also after an interrupt while the bar was being taken away


@contextmanager
def _lines(title: str, screen: Lenient) -> Iterator[Report]:
    begin = last = time.monotonic()
    completed = _Completed()

    def report(progress: EpochProgress) -> None:
        nonlocal last
        now = time.monotonic()
        fraction = completed.after(progress)
        if now - last < LINE_EVERY and fraction < 1:
            return
        last = now
        left = (now - begin) / fraction * (1 - fraction)
        end = f"done in {now - begin:.0f} s" if fraction == 1 else f"{_running(progress)}, about {left:.0f} s left"
        print(f"{title}: {_where(progress)}, {end}", file=screen, flush=True)

    yield report


class _Completed:
    """How much of all runs is done, all counted as long as each other."""

    def __init__(self) -> None:
        self._fractions: dict[int, float] = {}

    def after(self, progress: EpochProgress) -> float:
        """The fraction from 0 to 1, with what was reported before: runs may be side by side."""
        self._fractions[progress.run] = progress.epoch / progress.max_epochs if progress.running else 1.0
        return sum(self._fractions.values()) / progress.runs


def _where(progress: EpochProgress) -> str:
    run = "" if progress.runs == 1 else f"run {progress.run} of {progress.runs}, "
    validation = "" if progress.validation_loss is None else f", validation {_number(progress.validation_loss)}"
    return f"{run}epoch {progress.epoch}/{progress.max_epochs}, loss {_number(progress.train_loss)}{validation}"


def _running(progress: EpochProgress) -> str:
    return f"{progress.running} of {progress.members} members running"


def _number(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e4 else f"{loss:.2e}"
