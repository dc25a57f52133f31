"""Independent jobs, each some members that train together, handed to whatever runs them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Protocol, runtime_checkable

from throughtime.errors import ParameterError
from throughtime.nn import Net
from throughtime.training.checkpoints import Checkpoints
from throughtime.training.lockstep import train
from throughtime.training.members import Inputs, Member, Recipe, Trained
from throughtime.training.observers import Observer
from throughtime.training.state import GroupState


@dataclass(frozen=True)
class Job:
    """The arguments of one `train`."""

    net: Net
    recipe: Recipe
    inputs: Inputs
    members: Sequence[Member]
    places: Sequence[int] | None = None
    state: GroupState | None = None


@runtime_checkable
class Executor(Protocol):
    """What `concurrent.futures.Executor` offers, whose thread pools are some.

    Threads change no bit; each job's kernels take as many threads as torch has.
    """

    def map(self, work: Callable[[Job], list[Trained]], jobs: Iterable[Job], /) -> Iterator[list[Trained]]:
        """Do the work for every job; results in the order of the jobs."""
        ...


class InOrder:
    """The executor of this process: a job begins when the result of the one before has been taken."""

    def map(self, work: Callable[[Job], list[Trained]], jobs: Iterable[Job], /) -> Iterator[list[Trained]]:
        """Do the work for every job, one after the other."""
        return map(work, jobs)


def train_jobs(
    jobs: Sequence[Job],
    *,
    observers: Sequence[Observer] = (),
    executor: Executor | None = None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[list[Trained]]:
    """Train the members of every job.

    Parameters
    ----------
    jobs
        Members without ``places`` are counted through all jobs, so that observers tell them apart.
    observers
        Of all jobs. An executor with threads calls them from several at the same time; one with processes can have
        none that is to be heard of here.
    executor
        One after the other in this process by default.
    checkpoints
        Where each job's state is kept, and where it goes on from.

    Returns
    -------
    One list per job, as `train` gives it, in order; each can be taken as soon as it and those before it are there.

    Raises
    ------
    ParameterError
        For an executor that is none.
    """
    if executor is not None and (isinstance(executor, type) or not isinstance(executor, Executor)):
        given = f"the class {executor.__name__}" if isinstance(executor, type) else repr(executor)
        raise ParameterError(f"executor needs an object with map, such as a ThreadPoolExecutor(), got {given}")
    firsts = accumulate((len(job.members) for job in jobs), initial=0)
    counted = [
        job if job.places is not None else replace(job, places=range(first, first + len(job.members)))
        for job, first in zip(jobs, firsts, strict=False)
    ]
    return (executor or InOrder()).map(partial(_train_job, tuple(observers), checkpoints), counted)


def _train_job(observers: tuple[Observer, ...], checkpoints: Checkpoints | None, job: Job) -> list[Trained]:
    return train(
        job.net,
        job.recipe,
        job.inputs,
        job.members,
        observers=observers,
        state=job.state,
        places=job.places,
        checkpoints=checkpoints,
    )
