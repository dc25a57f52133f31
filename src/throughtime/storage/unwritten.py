"""A run before it is written: its files in memory, to be read as those of a run on disk are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.errors import StorageError
from throughtime.storage.manifest import manifest_bytes, parse_manifest
from throughtime.storage.run import Run


@dataclass(frozen=True)
class UnwrittenRun(Run):
    """A run whose files are in memory; ``directory`` is where they will be."""

    contents: Mapping[str, bytes]

    def bytes(self, name: str) -> bytes:
        """A file of the run as it is."""
        if name not in self.contents:
            raise StorageError(f"{self.directory} will have no file {name!r}; it has {sorted(self.contents)}")
        return self.contents[name]


def unwritten_run(directory: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> UnwrittenRun:
    """The run that ``write_run`` would write of the same arguments.

    Raises
    ------
    StorageError
        If a file's name could leave the run directory or collide with another.
    """
    return UnwrittenRun(directory, parse_manifest(manifest_bytes(files, facts), str(directory)), files)
