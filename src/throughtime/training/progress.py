"""What long training shows: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from throughtime.records import EpochProgress

Report = Callable[[EpochProgress], None]

#: Seconds between two plain lines, so that a log of a long run stays readable.
LINE_EVERY = 5.0


@contextmanager
def shown(title: str, verbose: bool, also: Report | None = None) -> Iterator[Report | None]:
    """A report to hand to the loop: progress on stderr when ``verbose``, and ``also`` told each time."""
    if not verbose:
        yield also
        return
    show = _bar(title) if sys.stderr.isatty() else _lines(title)
    with show as report:

        def both(progress: EpochProgress) -> None:
            report(progress)
            if also is not None:
                also(progress)

        yield both


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn(title),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=None, told="")

        def report(progress: EpochProgress) -> None:
            told = f"epoch {progress.epoch}/{progress.max_epochs}, {_losses(progress)}"
            bar.update(task, completed=progress.epoch, total=progress.max_epochs, told=told)

        yield report


@contextmanager
def _lines(title: str) -> Iterator[Report]:
    begin = last = time.monotonic()

    def report(progress: EpochProgress) -> None:
        nonlocal last
        now = time.monotonic()
        done = progress.running == 0
        if now - last < LINE_EVERY and not done:
            return
        last = now
        left = (now - begin) / progress.epoch * (progress.max_epochs - progress.epoch)
        end = f"done in {now - begin:.0f} s" if done else f"about {left:.0f} s left"
        print(f"{title}: epoch {progress.epoch}/{progress.max_epochs}, {_losses(progress)}, {end}", file=sys.stderr)

    yield report


def _losses(progress: EpochProgress) -> str:
    validation = "" if progress.validation_loss is None else f", validation {progress.validation_loss:.4f}"
    members = f"{progress.running} of {progress.members} members running"
    run = "" if progress.runs == 1 else f", run {progress.run} of {progress.runs}"
    return f"loss {progress.train_loss:.4f}{validation}, {members}{run}"
