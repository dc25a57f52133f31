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
Callback = Callable[[Call], Any]

#: Within a ``with intercept(...)`` block, and nowhere else, there is one.
_callback: ContextVar[Callback | None] = ContextVar("callback", default=None)


@contextmanager
def intercept(callback: Callback) -> Iterator[None]:
    """Send all calls of ``fit`` and ``predict`` made in this block to ``callback``, which gives their results.

    Its result is a fitted copy for a `Fit`, an array for `Outputs`, or the exception to raise.
    """
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


def execute(call: Call) -> Any:
    """The result of a call, made alone or in company: by the lockstep law it is the same, on the CPU bit for bit.

    Raises
    ------
    Exception
        What went wrong with this call; that of others is theirs.
    """
    from throughtime.estimators.members import fit_members, outputs_of

    callback = _callback.get()
    if callback is not None:
        result = callback(call)
    elif isinstance(call, Fit):
        (result,) = fit_members([call.estimator], call.X, call.y, sample_weight=call.sample_weight, groups=call.groups)
    else:
        (result,) = outputs_of([call.estimator], call.X, [np.arange(len(call.X))])
    if isinstance(result, Exception):
        raise result
    return result
