"""``throughtime data``: what is built in, and what a source holds."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from rich.table import Table

from throughtime.cli.screen import console, print_description, print_table
from throughtime.data import available, describe, read


def list_built_in() -> None:
    """Print the built-in data sets and what brings those that are not installed."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for heading in ("train", "test", "channels"):
        table.add_column(heading, justify="right")
    for heading in ("steps", "what"):
        table.add_column(heading)
    for entry in available():
        there = entry.package == "throughtime" or find_spec(entry.package) is not None
        task = entry.description if there else f"{entry.description} ({entry.install})"
        numbers = (str(entry.n_train), str(entry.n_test), str(entry.n_channels))
        table.add_row(entry.name, *numbers, entry.lengths, task, style=None if there else "dim")
    print_table(table)
    console().print('\nA name alone is all of it, "name:train" and "name:test" its parts.', style="dim")


def describe_source(source: str, columns: Mapping[str, Any]) -> None:
    """Print what a source holds."""
    data = read(source, **columns, require_target="target" in columns)
    if data.y is None and data.target is not None:  # of an archive: some series have a target, which is shown
        data = read(source, **columns)
    print_description(describe(data))
