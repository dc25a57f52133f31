"""Calls of ``fit`` and ``predict``: each is executed by itself, unless somebody intercepts many to go together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from throughtime.errors import ParameterError
from throughtime.estimators.members import fit_requests, predict_requests
from throughtime.estimators.requests import Fit, Request
from throughtime.training import Observer

Callback = Callable[[Request], Any]

#: Within a ``with intercept(...)`` block, and nowhere else, there is one.
_callback: ContextVar[Callback | None] = ContextVar("callback", default=None)


@contextmanager
def intercept(callback: Callback) -> Iterator[None]:
    """Send all calls of ``fit`` and ``predict`` made in this block to ``callback``, which gives their results.

    Its result is what `fit_requests` gives for a `Fit`, what `predict_requests` gives for `Outputs`, or the exception
    to raise.
    """
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


def execute(request: Request, observers: Sequence[Observer] = ()) -> Any:
    """The result of a call, made by itself or among others: by the lockstep law it is the same, on the CPU bit for bit.

    Parameters
    ----------
    observers
        Who watches training; refused where the call is intercepted, since it then trains among others.

    Raises
    ------
    Exception
        What went wrong with this call; that of others is theirs.
    """
    callback = _callback.get()
    if callback is not None:
        if observers:
            raise ParameterError(
                "fit needs to stand alone to have observers, got them inside a cross-validation or a search; give them "
                "to that one"
            )
        result = callback(request)
    elif isinstance(request, Fit):
        (result,) = fit_requests([request], observers=observers)
    else:
        (result,) = predict_requests([request])
    if isinstance(result, Exception):
        raise result
    return result
