"""Warnings of ours, printed as lines among what a command says."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from throughtime.errors import DataWarning, FlowWarning, StorageWarning

PACKAGE = Path(__file__).parents[1]


def print_warnings(command: Callable[..., None]) -> Callable[..., None]:
    """Print what is said of the data as a line among the others, every time; of gradients and old names, once."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with _printed():
            command(*args, **kwargs)

    return run


@contextmanager
def _printed() -> Iterator[None]:
    with warnings.catch_warnings():
        for category in (DataWarning, FlowWarning, StorageWarning):
            warnings.simplefilter("always", category)
        warnings.filterwarnings("always", category=FutureWarning, module=r"throughtime\.")
        show = warnings.showwarning
        told: set[str] = set()

        def print_or_show(
            message: Warning | str, category: type[Warning], filename: str, *where: Any, **more: Any
        ) -> None:
            text = str(message)
            if not _is_ours(category, filename):
                show(message, category, filename, *where, **more)
            elif issubclass(category, DataWarning) or text not in told:
                told.add(text)
                _print(text)

        warnings.showwarning = print_or_show
        yield


def _is_ours(category: type[Warning], filename: str) -> bool:
    """Whether a person at the command line is meant, who can do nothing about a library's."""
    if issubclass(category, FutureWarning):
        return Path(filename).is_relative_to(PACKAGE)
    return issubclass(category, DataWarning | FlowWarning | StorageWarning)


def _print(text: str) -> None:
    from rich.console import Console
    from rich.control import Control
    from rich.segment import ControlType

    from throughtime.cli.screen import print_note

    # The progress of training leaves its line open; on what is no terminal this does nothing.
    Console(stderr=True).control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
    print_note(text)
