"""Ctrl-C at any instant of a lockstep run: KeyboardInterrupt, and everything as it was before."""

import _thread
import os
import random
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.parallel import Parallel, delayed

from throughtime import LockstepSearchCV, SequenceClassifier, cross_validate, nested_cross_validate
from throughtime.estimators import members
from throughtime.generalization import call_batcher, interrupts
from throughtime.generalization.call_batcher import batch_calls

SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""

N = 12
X = np.random.default_rng(3).normal(size=(N, 4, 2)).astype("float32")
Y = np.arange(N) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=2, batch_size=8, random_state=0, cell="rnn")


@pytest.fixture(autouse=True)
def everything_is_as_before(threads: Callable[[int], None]) -> Iterator[None]:
    threads(2)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    before = state()
    yield
    assert state() == before
    signal.signal(signal.SIGINT, handler)
    assert len(cross_validate(NET, X, Y, cv=2)["test_score"]) == 2  # and the next run is a run


def state() -> dict[str, Any]:
    return {
        "threads": threading.enumerate(),
        "filters": list(warnings.filters),
        "filters' list": id(warnings.filters),
        "showwarning": warnings.showwarning,
        "backend": type(get_active_backend()[0]),
        "torch's threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "handler": signal.getsignal(signal.SIGINT),
        "streams": (sys.stdout, sys.stderr),
    }


class Each(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that does something of its own in one of its fits."""

    def __init__(self, act: Callable[[], None] | None = None, at: int = 0) -> None:
        self.act, self.at = act, at

    def fit(self, X: Any, y: Any = None) -> "Each":  # noqa: ARG002
        Each.fits += 1
        if self.act is not None and Each.fits == self.at:
            self.act()
        return self

    def transform(self, X: Any) -> Any:
        return X

    fits = 0

    def __sklearn_clone__(self) -> "Each":
        return self  # an action is no parameter to copy


def acting(act: Callable[[], None], at: int = 4) -> Pipeline:
    Each.fits = 0
    return make_pipeline(Each(act, at), NET)


WORKS: dict[str, Callable[[], Any]] = {
    "folds": lambda: cross_validate(NET, X, Y, cv=4, verbose=1),
    "pipelines": lambda: cross_validate(make_pipeline(Each(), NET), X, Y, cv=4),
    "search": lambda: LockstepSearchCV(NET, {"lr": [0.01, 0.1]}, cv=3).fit(X, Y),
    "nested": lambda: nested_cross_validate(NET, X, Y, param_grid={"lr": [0.01, 0.1]}, cv=3, inner_cv=2),
}


class Instants:
    """Presses Ctrl-C at the n-th instant of some work, and again ``later`` instants after.

    Instants are the lines of the modules under test and the calls of all others, in whatever thread.  In the main
    thread the signal's handler is called as Python calls it, between bytecodes of the traced frame.
    """

    LINES = frozenset({call_batcher.__file__, interrupts.__file__})
    #: Python prints and drops what is raised in these, and in a generator that is let go; outside a block it stays so
    DROPPED = frozenset({"__del__", "_remove", "remove", "__callback__"})

    def __init__(self, at: int | None = None, later: int | None = None) -> None:
        self.at, self.later = at, later
        self.seen = self.after = 0
        self.pressed = 0

    def of(self, work: Callable[[], Any]) -> None:
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            work()
        finally:
            sys.setprofile(None)
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "return":  # no signal is looked for between a function's last line and its end
            return None
        code = frame.f_code
        let_go = code.co_flags & CO_GENERATOR and any(part in code.co_filename for part in ("torch", "typing.py"))
        ends_unseen = code.co_name in self.DROPPED or let_go
        if ends_unseen or code.co_filename == __file__:
            return None
        self.seen += 1
        if self.seen == self.at:
            if self.later is not None and threading.current_thread() is threading.main_thread():
                sys.setprofile(self.profile)  # what is raised ends tracing, and not profiling
            self.press(frame)
        return self.trace if frame.f_code.co_filename in self.LINES else None

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        if not event.startswith("c_") and frame.f_code.co_filename != __file__:
            self.after += 1
            if self.after == self.later:
                self.press(frame)

    def press(self, frame: FrameType) -> None:
        self.pressed += 1
        if threading.current_thread() is threading.main_thread():
            signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)  # type: ignore[operator, misc]
        else:
            _thread.interrupt_main()


@pytest.mark.parametrize("most", [2, 1024])
@pytest.mark.parametrize("kind", WORKS)
def test_an_interrupt_at_any_instant_leaves_everything_as_before(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_batcher, "MOST_WAITING", most)
    work, before = WORKS[kind], state()
    work()
    count = Instants()
    count.of(work)
    draw = random.Random(f"{kind} {most}")
    for _ in range(150 if SOAK else 5):
        instants = Instants(draw.randrange(1, count.seen), draw.choice([None, *range(1, 400)]))
        try:
            instants.of(work)
        except KeyboardInterrupt:
            pass
        else:
            assert not instants.pressed
        assert state() == before, (kind, most, instants.at, instants.later)


@pytest.mark.parametrize("kind", ["folds", "nested"])
def test_an_interrupt_at_every_line_of_the_hand_over_leaves_everything_as_before(kind: str) -> None:
    """Every line is struck once, in the first and in some later pass through it."""
    work, before = WORKS[kind], state()

    class Lines(Instants):
        def __init__(self, line: tuple[str, int] | None = None, nth: int = 1) -> None:
            super().__init__()
            self.line, self.left = line, nth
            self.lines: dict[tuple[str, int], int] = {}

        def trace(self, frame: FrameType, event: str, _: Any) -> Any:
            if frame.f_code.co_filename not in self.LINES or event == "return":
                return None
            place = frame.f_code.co_filename, frame.f_lineno
            self.lines[place] = self.lines.get(place, 0) + 1
            if place == self.line:
                self.left -= 1
                if not self.left:
                    self.press(frame)
            return self.trace

    work()
    count = Lines()
    count.of(work)
    assert len(count.lines) > 100
    draw = random.Random(kind)
    lines = list(count.lines.items())
    for line, times in lines if SOAK else draw.sample(lines, 12):
        instants = Lines(line, draw.randint(1, times))
        try:
            instants.of(work)
        except KeyboardInterrupt:
            pass
        else:
            assert not instants.pressed
        assert state() == before, line


@pytest.mark.parametrize("model", ["pipeline", "search"])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_interrupt_while_a_task_runs_its_own_code_is_heard_when_its_turn_ends(model: str, at: int) -> None:
    press = acting(_thread.interrupt_main, at)
    if model == "search":
        press = LockstepSearchCV(press, {"sequenceclassifier__lr": [0.01, 0.1]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(press, X, Y, cv=4)
    assert Each.fits == at  # no other task had a turn


class Restless(Pipeline):  # type: ignore[misc]
    """Presses Ctrl-C, and tries to train, when it is abandoned."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        try:
            return super().fit(X, y, **params)
        except BaseException:
            _thread.interrupt_main()
            super().fit(X, y, **params)
            raise


def test_interrupts_while_tasks_are_abandoned_are_kept_till_all_have_ended() -> None:
    Each.fits = 0
    with pytest.raises(KeyboardInterrupt):
        cross_validate(Restless(make_pipeline(Each(_thread.interrupt_main, 3), NET).steps), X, Y, cv=4)


def test_an_interrupt_during_training_is_heard_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = members.train_jobs, []

    def train_jobs(*arguments: Any, **rest: Any) -> Any:
        calls.append(1)
        for trained in real(*arguments, **rest):
            _thread.interrupt_main()
            calls.append(2)
            yield trained

    monkeypatch.setattr(members, "train_jobs", train_jobs)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(NET, X, Y, cv=4)
    assert calls == [1]


@pytest.mark.parametrize("method", ["__enter__", "__exit__"])
@pytest.mark.parametrize("way", ["lockstep", "alone", "predict"])
def test_an_interrupt_as_gradients_are_switched_leaves_them_on(
    method: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = clone(NET).fit(X, Y)
    no_grad, real = torch.no_grad, getattr(torch.no_grad, method)

    def switch(block: Any, *exception: Any) -> None:
        monkeypatch.setattr(no_grad, method, real)
        if method == "__enter__":
            real(block)
        signal.raise_signal(signal.SIGINT)
        real(block, *exception)

    works = {
        "lockstep": lambda: cross_validate(NET, X, Y, cv=2),
        "alone": lambda: clone(NET).fit(X, Y),
        "predict": lambda: fitted.predict(X),
    }
    monkeypatch.setattr(no_grad, method, switch)
    with pytest.raises(KeyboardInterrupt):
        works[way]()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("before", [True, False])
def test_gradients_that_a_caller_switched_off_stay_off_after_an_interrupt(
    before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.no_grad.__exit__

    def leave(*_: Any) -> None:
        monkeypatch.setattr(torch.no_grad, "__exit__", real)
        raise KeyboardInterrupt

    with torch.set_grad_enabled(before):
        monkeypatch.setattr(torch.no_grad, "__exit__", leave)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(NET, X, Y, cv=2)
        assert torch.is_grad_enabled() is before


class Passing:
    """Something that a weak reference may know."""


def press_where_it_is_dropped() -> None:
    passing = Passing()
    known = weakref.ref(passing, lambda _: signal.raise_signal(signal.SIGINT))
    del passing
    assert known() is None


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Python would print and drop."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: found.append(args.exc_type))
    return found


@pytest.mark.parametrize("step", ["fit_requests", "predict_requests"])
def test_an_interrupt_that_python_drops_is_raised_again(
    step: str, monkeypatch: pytest.MonkeyPatch, dropped: list[Any]
) -> None:
    real, calls = getattr(call_batcher, step), []

    def work(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        press_where_it_is_dropped()
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(call_batcher, step, work)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(NET, X, Y, cv=2)
    assert dropped == [KeyboardInterrupt]
    assert calls == [1]


def test_an_interrupt_that_python_drops_is_raised_when_the_block_ends(dropped: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt) as ends, batch_calls():
        press_where_it_is_dropped()
    assert ends.value.__context__ is None
    assert dropped == [KeyboardInterrupt]


def test_another_error_does_not_stand_for_an_interrupt_that_python_drops(dropped: list[Any]) -> None:
    def fail() -> None:
        press_where_it_is_dropped()
        raise ValueError("other")

    with pytest.raises(KeyboardInterrupt), batch_calls():
        fail()
    assert dropped == [KeyboardInterrupt]


def test_an_interrupt_that_comes_out_is_raised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = []

    def handler(*_: Any) -> None:
        raised.append(1)
        raise KeyboardInterrupt

    def work(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(call_batcher, "fit_requests", work)
            with pytest.raises(KeyboardInterrupt):
                cross_validate(NET, X, Y, cv=2)
        with pytest.raises(KeyboardInterrupt), batch_calls():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert raised == [1, 1]


@pytest.mark.parametrize(
    "failure", [SystemExit(3), GeneratorExit(), KeyboardInterrupt(), MemoryError(), BaseException()]
)
def test_what_ends_a_task_ends_the_run(failure: BaseException) -> None:
    def fail() -> None:
        raise failure

    with pytest.raises(type(failure)):
        cross_validate(acting(fail), X, Y, cv=6, error_score="raise")
    if not isinstance(failure, Exception):
        assert Each.fits == 4


def test_a_thread_that_cannot_start_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    real, starts = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        starts.append(thread)
        if len(starts) == 4:
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            nested_cross_validate(NET, X, Y, param_grid={"lr": [0.01, 0.1]}, cv=3, inner_cv=2)


def test_a_handler_of_the_callers_own_is_called_and_the_run_goes_on() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        found = cross_validate(acting(_thread.interrupt_main), X, Y, cv=4)
        mine = signal.getsignal(signal.SIGINT)
        cross_validate(NET, X, Y, cv=2)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
    np.testing.assert_array_equal(found["test_score"], cross_validate(NET, X, Y, cv=4)["test_score"])


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_handler_that_is_not_pythons_stays(handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with batch_calls():
            assert signal.getsignal(signal.SIGINT) is handler
            Parallel()(delayed(NET.fit)(X, Y) for _ in range(2))
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_another_thread_leaves_ctrl_c_to_the_main_thread() -> None:
    seen = []

    def work() -> None:
        with batch_calls():
            seen.append(signal.getsignal(signal.SIGINT))
            seen.append(Parallel()(delayed(NET.fit)(X, Y) for _ in range(2)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0] is signal.getsignal(signal.SIGINT)
    assert len(seen[1]) == 2


@pytest.mark.skipif(
    not SOAK, reason="deterministic instants are struck above; real signals only with THROUGHTIME_SOAK=1"
)
# Python prints what is raised in a weak reference's callback and drops it; outside a block the signal is lost with it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signals_at_500_random_times_leave_everything_as_before() -> None:
    before, draw = state(), random.Random(0)
    model = make_pipeline(Each(), NET)

    def press(_: int, frame: FrameType | None) -> None:
        signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)  # type: ignore[operator, misc]

    alarm = signal.signal(signal.SIGALRM, press)
    heard = 0
    try:
        for _ in range(500):
            try:
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0005, 0.06))
                nested_cross_validate(model, X, Y, param_grid={"sequenceclassifier__lr": [0.01, 0.1]}, cv=3, inner_cv=2)
            except KeyboardInterrupt:
                heard += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert state() == before
    finally:
        signal.signal(signal.SIGALRM, alarm)
    assert heard > 400
