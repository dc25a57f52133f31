"""What a command that makes a run was asked for, in plain values: enough to do it again, with the data alone."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from throughtime.cli.config import checked_tables
from throughtime.cli.options import Task
from throughtime.data import is_built_in
from throughtime.errors import DataError, StorageError
from throughtime.estimators import init_from_plain
from throughtime.storage import REQUEST, json_from_bytes, json_to_bytes

#: By table of a config file, what it says by name.
Tables = dict[str, dict[str, Any]]

Command = Literal["fit", "search", "diagnose"]


@dataclass(frozen=True)
class CommandRequest:
    """What was asked for.

    Attributes
    ----------
    source
        The series to train on.
    tables
        What was typed over what a config says, as a config would say it.
    options
        What else the command takes, such as the content of a grid file.
    folder
        Where the command was typed: sources are looked for there too.
    """

    command: Command
    source: str
    task: Task | None
    tables: Tables
    options: dict[str, Any] = field(default_factory=dict)
    folder: str = field(default_factory=os.getcwd)

    def with_seed(self, seed: int) -> Self:
        """The same, where the first network's seed was left open, with the one that was drawn."""
        return replace(self, tables=self.tables | {"model": self.tables["model"] | {"random_state": seed}})

    def to_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        plain: dict[str, Any] = json_from_bytes(json_to_bytes(vars(self)))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], run: Path) -> Self:
        """What ``to_plain`` gave, as the request of a run has it, its values checked like those of a config file.

        Raises
        ------
        StorageError
            For values that no command asks for.
        ParameterError
            For a parameter that is none, or no more.
        """
        path = run / REQUEST
        kinds = {"command": str, "source": str, "tables": dict, "options": dict, "folder": str}
        if not all(isinstance(plain.get(name), kind) for name, kind in kinds.items()):
            raise StorageError(f"{path} needs to hold what a command was asked for, got other values")
        if plain["command"] not in get_args(Command) or plain.get("task") not in (None, *get_args(Task)):
            raise StorageError(
                f"{path} needs one of {', '.join(get_args(Command))}, got {plain['command']!r} {plain.get('task')!r}"
            )
        tables = plain["tables"]
        model = dict(tables.get("model", {}))
        init = {name: init_from_plain(model.pop(name)) for name in ("init",) if name in model}
        checked = checked_tables({**tables, "model": model}, path)
        checked["model"] |= init
        return cls(plain["command"], plain["source"], plain.get("task"), checked, plain["options"], plain["folder"])

    def with_sources(self, source: str | None, test: str | None) -> Self:
        """The same with the data at other places; a file that is not where it was is looked for in ``folder``.

        Raises
        ------
        DataError
            When a file is at neither, and none is given.
        """
        data = dict(self.tables["data"])
        if test is not None or "test" in data:
            data["test"] = test or self._found(data["test"], "--test")
        return replace(self, source=source or self._found(self.source, "--source"), tables=self.tables | {"data": data})

    def _found(self, source: str, option: str) -> str:
        there = os.path.join(self.folder, source)
        if os.path.exists(source) or is_built_in(source):
            return source
        if os.path.exists(there):
            return there
        raise DataError(f"the data are no longer at {source}, nor at {there}; {option} says where they are")
