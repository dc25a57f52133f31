"""What several steps of one call warn of alike is said once."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Show a warning the first time that it comes within, and not again; the filters in force stay."""
    with warnings.catch_warnings():
        show = warnings.showwarning
        shown: set[tuple[type[Warning], str]] = set()

        def show_new(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if (category, str(message)) not in shown:
                shown.add((category, str(message)))
                show(message, category, *where, **more)

        warnings.showwarning = show_new
        yield
