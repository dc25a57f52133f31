"""What long training shows: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from throughtime.records import EpochProgress
from throughtime.terminal import Lenient

Report = Callable[[EpochProgress], None]

#: Seconds between two plain lines, so that a log of a long run stays readable.
LINE_EVERY = 5.0
#: Seconds between two pictures of the bar.
PICTURE_EVERY = 0.1


@contextmanager
def shown(title: str, verbose: bool, also: Report | None = None) -> Iterator[Report | None]:
    """A report to hand to the loop: progress on stderr when ``verbose``, and ``also`` told each time.

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
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            # Neither a thread nor another stdout, which an interrupt of the block's end would leave behind.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as bar:
            task = bar.add_task(title, total=None, told="")
            last = time.monotonic()

            def report(progress: EpochProgress) -> None:
                nonlocal last
                done, total = _epochs(progress)
                bar.update(task, completed=done, total=total, told=f"{_where(progress)}, {_running(progress)}")
                if time.monotonic() - last >= PICTURE_EVERY:
                    bar.refresh()
                    last = time.monotonic()

            yield report
    finally:
        console.show_cursor(True)  # also after an interrupt while the bar was being taken away


@contextmanager
def _lines(title: str, screen: Lenient) -> Iterator[Report]:
    begin = last = time.monotonic()

    def report(progress: EpochProgress) -> None:
        nonlocal last
        now = time.monotonic()
        finished = progress.running == 0 and progress.run == progress.runs
        if now - last < LINE_EVERY and not finished:
            return
        last = now
        done, total = _epochs(progress)
        left = (now - begin) / done * (total - done)
        end = f"done in {now - begin:.0f} s" if finished else f"{_running(progress)}, about {left:.0f} s left"
        print(f"{title}: {_where(progress)}, {end}", file=screen, flush=True)

    yield report


def _epochs(progress: EpochProgress) -> tuple[int, int]:
    """Epochs behind and altogether, all runs counted as long as this one."""
    return (progress.run - 1) * progress.max_epochs + progress.epoch, progress.runs * progress.max_epochs


def _where(progress: EpochProgress) -> str:
    run = "" if progress.runs == 1 else f"run {progress.run} of {progress.runs}, "
    validation = "" if progress.validation_loss is None else f", validation {_number(progress.validation_loss)}"
    return f"{run}epoch {progress.epoch}/{progress.max_epochs}, loss {_number(progress.train_loss)}{validation}"


def _running(progress: EpochProgress) -> str:
    return f"{progress.running} of {progress.members} members running"


def _number(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e4 else f"{loss:.2e}"
