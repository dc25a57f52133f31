"""What long training shows."""

import io
import sys
import threading
from dataclasses import replace

import pytest

from throughtime.records import EpochProgress
from throughtime.training import progress
from throughtime.training.progress import LINE_EVERY, shown


def epoch(n: int, validation: float | None = None) -> EpochProgress:
    running = 0 if n == 4 else 3
    return EpochProgress(
        epoch=n, max_epochs=4, members=3, running=running, train_loss=1 / n, validation_loss=validation
    )


def test_without_verbose_nothing_is_shown_and_the_listener_is_told(capsys):
    with shown("GRU", False) as report:
        assert report is None
    told = []
    with shown("GRU", False, told.append) as report:
        report(epoch(1))
    assert told == [epoch(1)]
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

    stopped = Clock()
    monkeypatch.setattr(progress, "time", stopped)
    return stopped


def test_a_log_gets_plain_lines_now_and_then_and_one_at_the_end(capsys, clock):
    told = []
    with shown("GRU", True, told.append) as report:
        report(epoch(1))  # too early
        clock.now += LINE_EVERY
        report(epoch(2, 0.75))
        clock.now += 0.9 * LINE_EVERY
        report(epoch(3))  # too early again
        report(epoch(4))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "GRU: epoch 2/4, loss 0.5000, validation 0.7500, 3 of 3 members running, about 5 s left",
        "GRU: epoch 4/4, loss 0.2500, done in 10 s",
    ]
    assert [each.epoch for each in told] == [1, 2, 3, 4]


def test_losses_of_any_size_are_legible_and_several_runs_share_the_time(capsys, clock):
    with shown("GRU", True) as report:
        for run, loss in ((1, 2.5e-7), (2, 3e12)):
            clock.now += LINE_EVERY
            report(replace(epoch(4, loss), train_loss=loss, run=run, runs=2))
    assert capsys.readouterr().err.splitlines() == [
        "GRU: run 1 of 2, epoch 4/4, loss 2.50e-07, validation 2.50e-07, 0 of 3 members running, about 5 s left",
        "GRU: run 2 of 2, epoch 4/4, loss 3.00e+12, validation 3.00e+12, done in 10 s",
    ]


def test_a_terminal_gets_a_bar_from_before_the_first_epoch_on(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes what is captured for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    told = []
    with shown("GRU", True, told.append) as report:
        report(epoch(1))
        report(epoch(4, 0.25))
    err = capsys.readouterr().err
    assert "GRU" in err
    assert "epoch 4/4, loss 0.2500, validation 0.2500, 0 of 3 members running" in err
    assert [each.epoch for each in told] == [1, 4]


class Broken(io.StringIO):
    """A screen that has gone away."""

    encoding = "utf-8"

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize("stderr", [None, Broken(False), Broken(True), io.TextIOWrapper(io.BytesIO(), "ascii")])
def test_training_goes_on_where_its_progress_cannot_be_shown(monkeypatch, clock, stderr):
    monkeypatch.setenv("TERM", "xterm")
    told = []
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", stderr)
        with shown("GRÜ", True, told.append) as report:
            for n in (1, 4):
                clock.now += LINE_EVERY
                report(epoch(n))
    assert [each.epoch for each in told] == [1, 4]


def interrupted(terminal: io.StringIO) -> None:
    before = threading.active_count()
    with shown("GRU", True) as report:
        report(epoch(1))
        assert threading.active_count() == before
        assert sys.stderr is terminal
        raise KeyboardInterrupt


def test_the_bar_has_no_thread_and_gives_the_cursor_back_after_an_interrupt(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    streams = sys.stdout, sys.stderr
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        with pytest.raises(KeyboardInterrupt):
            interrupted(terminal)
    assert (sys.stdout, sys.stderr) == streams
    hidden, seen = "\x1b[?25l", "\x1b[?25h"
    assert terminal.getvalue().rindex(hidden) < terminal.getvalue().rindex(seen)
