"""scikit-learn's callbacks on a network: the task of its fit, and beneath it a task per epoch.

Reference: ``sklearn.callback`` of scikit-learn 1.9, which is experimental; earlier versions have no callbacks.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from throughtime.training import GroupState, MemberState, Observer, Trained

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as torn_down
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    torn_down = None

M = TypeVar("M", bound=Callable[..., Any])


__all__ = ["CallbackSupportMixin", "EpochTasks", "FitTask", "begin_fit", "with_callbacks"]


def with_callbacks(fit: M) -> M:
    """A ``fit`` whose callbacks are torn down however it ends."""
    return fit if torn_down is None else cast(M, torn_down(fit))


class FitTask:
    """The task of one estimator's fit, whose subtasks are epochs.

    What a callback returns is ignored, as scikit-learn's own estimators do: watching changes no bit.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._shown = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._fit = estimator._init_callback_context(max_subtasks=estimator.max_epochs)
        self._fit.call_on_fit_task_begin(**self._shown)
        self._epoch: Any = None

    def begin_epoch(self) -> None:
        """Tell of the next epoch's beginning."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._shown)

    def end_epoch(self, learned: Callable[[], dict[str, Any] | None]) -> None:
        """Tell of its end; who asks for a fitted estimator gets one with what was learned so far, if anything."""
        self._epoch.call_on_fit_task_end(**self._shown, reconstruction_attributes=learned)

    def end(self, learned: Mapping[str, Any]) -> None:
        """Tell of the end of the fit."""
        self._fit.call_on_fit_task_end(**self._shown, reconstruction_attributes=dict(learned))


def begin_fit(estimator: Any, X: Any, y: Any, sample_weight: Any) -> FitTask | None:
    """The task of a fit that has begun; ``None`` where nobody listens."""
    return FitTask(estimator, X, y, sample_weight) if getattr(estimator, "_skl_callbacks", None) else None


class EpochTasks(Observer):
    """Tells the callbacks of each member's estimator of its epochs.

    Parameters
    ----------
    tasks
        By the places of the members; each begins its first epoch.
    learned
        The attributes of an estimator that is fitted so, by its place.
    """

    def __init__(self, tasks: Mapping[int, FitTask], learned: Callable[[int, Trained], dict[str, Any]]) -> None:
        self._tasks, self._learned = tasks, learned
        for task in tasks.values():
            task.begin_epoch()

    def on_resume(self, state: GroupState) -> None:
        """Tell of the epochs that training has behind it: nobody has an estimator of those."""
        for member in state.members:
            for epoch in range(1, len(member.history) + 1):
                self._end(member, lambda: None, last=member.result is not None and epoch == len(member.history))

    def on_epoch(self, state: GroupState) -> None:
        """Tell of an epoch's end, and of the next one's beginning."""
        for m, member in enumerate(state.members):
            if len(member.history) == state.epoch:
                self._end(member, partial(self._so_far, state, m), last=member.result is not None)

    def _end(self, member: MemberState, learned: Callable[[], dict[str, Any] | None], last: bool) -> None:
        task = self._tasks.get(member.place)
        if task is not None:
            task.end_epoch(learned)
            if not last:
                task.begin_epoch()

    def _so_far(self, state: GroupState, m: int) -> dict[str, Any] | None:
        """What a member has learned; of one that failed there is nothing."""
        trained = state.trained(m)
        return None if trained.failure is not None else self._learned(state.members[m].place, trained)
