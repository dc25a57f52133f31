"""Warnings of ours, printed as lines among what a command says."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from throughtime.errors import DataWarning


def print_warnings(command: Callable[..., None]) -> Callable[..., None]:
    """Print what is said of the data as a line among the others, every time."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with _printed():
            command(*args, **kwargs)

    return run


@contextmanager
def _printed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        show = warnings.showwarning

        def print_or_show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, DataWarning):
                show(message, category, *where, **more)
                return
            from throughtime.cli.screen import print_note

            print_note(str(message))

        warnings.showwarning = print_or_show
        yield
