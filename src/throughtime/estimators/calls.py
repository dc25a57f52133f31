"""Calls of ``fit`` and ``predict``: each goes through the door alone, unless somebody gathers many to go together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughtime.data import Sequences


@dataclass(frozen=True, eq=False)
class Fit:
    """One call of ``fit``: an unfitted estimator and data of its own."""

    estimator: Any
    X: Any
    y: Any
    sample_weight: Any = None
    groups: Any = None


@dataclass(frozen=True, eq=False)
class Outputs:
    """One call for the network outputs of a fitted estimator on series of its own."""

    estimator: Any
    X: Sequences


Call = Fit | Outputs
Gatherer = Callable[[Call], Any]

#: Within a ``with gathered(...)`` block, and nowhere else, there is one.
_gatherer: ContextVar[Gatherer | None] = ContextVar("gatherer", default=None)


@contextmanager
def gathered(gatherer: Gatherer) -> Iterator[None]:
    """Send all calls of ``fit`` and ``predict`` made in this block to ``gatherer``, which gives their results.

    Its result is a fitted copy for a `Fit`, an array for `Outputs`, or the exception to raise.
    """
    token = _gatherer.set(gatherer)
    try:
        yield
    finally:
        _gatherer.reset(token)


def answered(call: Call) -> Any:
    """The result of a call, made alone or in company: by the lockstep law it is the same, on the CPU bit for bit.

    Raises
    ------
    Exception
        What went wrong with this call; that of others is theirs.
    """
    from throughtime.estimators.members import fit_members, outputs_of

    gatherer = _gatherer.get()
    if gatherer is not None:
        result = gatherer(call)
    elif isinstance(call, Fit):
        (result,) = fit_members([call.estimator], call.X, call.y, sample_weight=call.sample_weight, groups=call.groups)
    else:
        (result,) = outputs_of([call.estimator], call.X, [np.arange(len(call.X))])
    if isinstance(result, Exception):
        raise result
    return result
