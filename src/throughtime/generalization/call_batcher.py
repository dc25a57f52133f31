"""Batches the calls of ``fit`` and ``predict`` of joblib's tasks, so that scikit-learn's own loops train in lockstep.

scikit-learn hands the fits of a cross-validation or a search to joblib, to be run in processes.  Here joblib's tasks
run in turn, one thread per task, which stops wherever it calls ``fit`` or ``predict`` of one of our estimators.  When
all have stopped, their calls are executed as one batch, and every task goes on with its result.  Splitting, scoring,
transformers and errors thus stay scikit-learn's, and by the lockstep law results are those of calls made one by one.

Ctrl-C is noticed while networks train and predict, and between turns; a turn under way, such as the ``fit`` of a
foreign estimator, is waited for.  Afterwards no thread is left, and ``warnings``, joblib and the signal's handler are
as before.
"""

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from joblib import parallel_config
from joblib.parallel import ParallelBackendBase, SequentialBackend

from throughtime.errors import ParameterError
from throughtime.estimators import (
    DEFAULT_BUDGET,
    Fit,
    Outputs,
    Request,
    fit_requests,
    intercept,
    predict_requests,
)
from throughtime.generalization.interrupts import Interrupts
from throughtime.kernels import TorchState
from throughtime.training import Checkpoints, CheckpointsOrPath, Observer, as_checkpoints, watch_of

#: Tasks under way at a time: each waits in a thread.
MOST_WAITING = 1024

_batcher: ContextVar["CallBatcher | None"] = ContextVar("batcher", default=None)


class batch_calls:  # noqa: N801
    """Batch the calls of all tasks that joblib is given in this ``with`` block, and in blocks inside its tasks.

    A call outside of tasks, such as a search's refit, is a batch of its own.

    Parameters
    ----------
    verbose
        Whether to show the progress of training.
    memory_budget
        Bytes that members may take at a time; an inner block takes the outer's.
    checkpoints
        As `fit_members` takes it; an inner block takes the outer's.
    observers
        As `fit_members` takes them; they know members by the order in which the tasks fit them. Of the outermost block
        alone.
    """

    def __init__(
        self,
        *,
        verbose: bool = False,
        memory_budget: float | None = DEFAULT_BUDGET,
        checkpoints: CheckpointsOrPath | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._inside_of = _batcher.get()
        if self._inside_of is not None and observers:
            raise ParameterError(
                "observers need the outermost cross-validation or search, got them inside of another; give them to "
                "that one"
            )
        self._batcher = self._inside_of or CallBatcher(verbose, memory_budget, as_checkpoints(checkpoints), observers)

    def __enter__(self) -> None:
        # A class, since a generator's block could be left by an interrupt in contextlib, before the generator goes on.
        outermost = self._inside_of is None
        if outermost:
            self._batcher.interrupts = Interrupts(ending=batch_calls.__exit__.__code__)
        self._warnings, self._torch = _warnings_state(), TorchState()
        self._config = parallel_config(backend=_Backend(self._batcher))
        self._config.__enter__()
        if outermost:
            self._outside_of_tasks = intercept(self._batcher.execute)
            self._outside_of_tasks.__enter__()
            self._batcher.interrupts.listening = True

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self._inside_of is None:
            self._batcher.interrupts.listening = False
            self._outside_of_tasks.__exit__(None, None, None)
        self._config.__exit__(kind, *exception)
        if self._inside_of is None:
            if kind is not None and not issubclass(kind, Exception):
                _set_warnings(self._warnings)  # ``catch_warnings`` does not withstand an interrupt as it ends
                self._torch.restore()  # nor does ``no_grad``
            self._batcher.interrupts.end(kind)


@dataclass(eq=False)
class _Task:
    """A piece of work with a thread, which runs only while it is its turn."""

    work: Callable[[], Any]
    parent: "_Task | None"
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread | None = None
    #: the tasks it waits for
    children: int = 0
    call: Request | None = None
    result: Any = None
    outcome: Any = None
    failure: BaseException | None = None
    done: bool = False
    #: seconds that its clock is ahead of what its fits and predictions cost, one entry per wait
    fit_waits: list[float] = field(default_factory=list)
    predict_waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    #: what ``warnings`` looks like to it; the module has one state for all threads
    warnings: tuple[Any, ...] = ()


class _AbandonedError(BaseException):
    """Unwinds a task that nobody waits for any more; no ``except Exception`` stops it."""


class CallBatcher:
    """Tasks in turn, up to where all of them wait for a network.

    Parameters
    ----------
    verbose, memory_budget, checkpoints, observers
        As `batch_calls` has them.
    """

    def __init__(
        self,
        verbose: bool,
        memory_budget: float | None,
        checkpoints: Checkpoints | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        watch_of(observers)
        self.verbose, self.memory_budget, self.checkpoints = verbose, memory_budget, checkpoints
        self.observers = observers
        self._fitted = 0
        self._new: list[_Task] = []  # a stack: what a task waits for comes before its neighbors
        self._ready: deque[_Task] = deque()
        self._waiting: list[_Task] = []
        self._running: _Task | None = None
        #: tasks that have a thread, in the order they began: a parent before its children
        self._begun: dict[_Task, None] = {}
        self._abandoned = False
        self._back = threading.Semaphore(0)
        #: of the outermost block, which sets it
        self.interrupts: Interrupts

    def run(self, works: Sequence[Callable[[], Any]]) -> list[_Task]:
        """Run pieces of work to their end; called from inside one of them, its neighbors go on meanwhile.

        Raises
        ------
        BaseException
            What is no ``Exception``, as ``SystemExit``, ends all tasks; exceptions are kept for who asks for a result.
        """
        parent = self._running
        self._refuse_abandoned()
        tasks = [_Task(work, parent) for work in works]
        if parent is None:
            listening, self.interrupts.listening = self.interrupts.listening, False
            try:
                self._new += reversed(tasks)
                self._drive(tasks)
            finally:
                self.interrupts.listen(listening)
        elif tasks:
            self._new += reversed(tasks)
            parent.children = len(tasks)
            begin = time.perf_counter()
            self._stop(parent)
            waited = time.perf_counter() - begin
            parent.fit_waits.append(waited - sum(task.seconds for task in tasks))
        return tasks

    def wait_for(self, call: Request) -> Any:
        """The result of a call, which is executed when all tasks wait for one."""
        task = self._running
        assert task is not None
        self._refuse_abandoned()
        task.call = call
        self._waiting.append(task)
        begin = time.perf_counter()
        self._stop(task)
        result, cost = task.result
        waits = task.fit_waits if isinstance(call, Fit) else task.predict_waits
        waits.append(time.perf_counter() - begin - cost)
        task.call = task.result = None
        return result

    def execute(self, call: Request) -> Any:
        """The result of a call outside of tasks."""
        (result,) = self._fit([call]) if isinstance(call, Fit) else self._predict([call])
        return result

    def _drive(self, tasks: Sequence[_Task]) -> None:
        try:
            while not all(task.done for task in tasks):
                if self._ready:
                    self._resume(self._ready.popleft())
                elif self._new and len(self._waiting) < MOST_WAITING:
                    self._resume(self._new.pop())
                else:
                    self._execute()
                self.interrupts.check()
        finally:
            self._abandon()

    def _execute(self) -> None:
        waiting = self._waiting
        if not waiting:
            raise RuntimeError("a call batcher needs a task that waits for a network, got none")
        for kind, execute in ((Fit, self._fit), (Outputs, self._predict)):
            tasks = [task for task in waiting if isinstance(task.call, kind)]
            if not tasks:
                continue
            begin = time.perf_counter()
            results = self.interrupts.hear(execute, [task.call for task in tasks])
            cost = (time.perf_counter() - begin) / len(tasks)  # of each, as if all cost the same
            for task, result in zip(tasks, results, strict=True):
                task.result = result, cost
        self._waiting = []
        self._ready += waiting

    def _fit(self, calls: list[Any]) -> list[Any]:
        first, self._fitted = self._fitted, self._fitted + len(calls)
        return fit_requests(
            calls,
            verbose=self.verbose,
            memory_budget=self.memory_budget,
            checkpoints=self.checkpoints,
            observers=self.observers,
            first_place=first,
        )

    def _predict(self, calls: list[Any]) -> list[Any]:
        return predict_requests(calls, memory_budget=self.memory_budget)

    def _resume(self, task: _Task) -> None:
        """Let one task run until it stops or ends."""
        self._take_turn(task)
        if not task.done:
            return
        self._join(task)
        if task.failure is not None and not isinstance(task.failure, Exception):
            raise task.failure
        if task.parent is not None:
            task.parent.children -= 1
            if not task.parent.children:
                self._ready.append(task.parent)

    def _take_turn(self, task: _Task) -> None:
        outer = _warnings_state()
        self._running = task
        try:
            if task.thread is None:
                context = copy_context()
                thread = threading.Thread(target=context.run, args=(self._work, task), daemon=True)
                thread.start()  # fails where the system has no more
                task.thread = thread
                self._begun[task] = None
            else:
                _set_warnings(task.warnings)
                task.turn.release()
            self._back.acquire()
            task.warnings = _warnings_state()
        finally:
            self._running = None
            _set_warnings(outer)

    def _join(self, task: _Task) -> None:
        assert task.thread is not None
        task.thread.join()
        del self._begun[task]

    def _stop(self, task: _Task) -> None:
        self._back.release()
        task.turn.acquire()
        self._refuse_abandoned()

    def _refuse_abandoned(self) -> None:
        if self._abandoned:
            raise _AbandonedError

    def _work(self, task: _Task) -> None:
        begin = time.perf_counter()
        _batcher.set(self)
        try:
            with intercept(self.wait_for):
                task.outcome = task.work()
        except BaseException as failure:
            task.failure = failure
        task.seconds = time.perf_counter() - begin - sum(task.fit_waits) - sum(task.predict_waits)
        task.done = True
        self._back.release()

    def _abandon(self) -> None:
        """End the threads that are left after an interruption: whatever they wait for, it raises."""
        self._abandoned = True
        self._new.clear()
        self._ready.clear()
        self._waiting = []
        for task in reversed(list(self._begun)):
            while not task.done:
                self._take_turn(task)
            self._join(task)
        self._abandoned = False


class _Backend(ParallelBackendBase):  # type: ignore[misc]
    """What joblib hands its tasks to."""

    uses_threads = True
    supports_sharedmem = True
    supports_retrieve_callback = False  # results are had by waiting for them, in order

    def __init__(self, batcher: CallBatcher, nesting_level: int = 0) -> None:
        super().__init__(nesting_level=nesting_level)
        self.batcher = batcher
        self.tasks: list[_Job] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Two, whatever was asked for: joblib runs the tasks of one worker itself."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return 2

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **_: Any) -> int:
        """See that joblib hands over all tasks before it asks for a result."""
        self.parallel = parallel
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Any, callback: Any) -> "_Job":
        """Take a task; none runs before the first result is asked for."""
        job = _Job(func, callback)
        self.tasks.append(job)
        return job

    apply_async = submit  # joblib before 1.5

    def retrieve_result(self, job: "_Job", timeout: float | None = None) -> Any:  # noqa: ARG002
        """Give a task's result, once all are done."""
        if job.task is None:
            jobs, self.tasks = self.tasks, []
            for submitted, task in zip(jobs, self.batcher.run([job.work for job in jobs]), strict=True):
                submitted.task = task
                submitted.on_end(task)  # joblib counts
        assert job.task is not None
        if job.task.failure is not None:
            raise job.task.failure
        return _on_time(job.task)

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002
        """Forget what has not begun."""
        self.tasks = []

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int | None]:
        """Foreign estimators inside a task run their own jobs one by one; a search of ours enters by `batch_calls`."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


@dataclass(eq=False)
class _Job:
    """One of joblib's tasks, and where it ran."""

    work: Callable[[], Any]
    on_end: Callable[[Any], None]
    task: _Task | None = None


def _on_time(task: _Task) -> Any:
    """The outcome, and what scikit-learn timed as if the members had shared the batch's time equally."""
    for result in task.outcome:
        if not isinstance(result, dict) or not isinstance(result.get("fit_time"), float):
            continue
        waits = task.predict_waits
        if "train_scores" in result:  # the second half of the predictions was made after the clock had stopped
            waits = waits[: len(waits) // 2]
        for name, waited in (("fit_time", task.fit_waits), ("score_time", waits)):
            if name in result:
                result[name] = max(result[name] - sum(waited), 0.0)
    return task.outcome


def _warnings_state() -> tuple[Any, ...]:
    return warnings.filters, warnings.showwarning, getattr(warnings, "_showwarnmsg_impl", None)


def _set_warnings(state: tuple[Any, ...]) -> None:
    warnings.filters, warnings.showwarning, log = state
    if log is not None:
        warnings._showwarnmsg_impl = log  # type: ignore[attr-defined]
    with warnings.catch_warnings():  # entering and leaving tells the module that its filters are others
        pass
