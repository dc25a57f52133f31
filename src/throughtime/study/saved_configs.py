"""The directory of a diagnosis, or of a diagnosis of shift, read again: its content, and what it was of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.records import Record
from throughtime.storage import typed


@dataclass(frozen=True)
class SavedConfig(Record):
    """The data that were looked at; of a diagnosis the estimator's parameters, of a shift the run."""

    source: str
    parameters: dict[str, Any] | None = None
    fingerprint: dict[str, str] | None = None
    run: str | None = None


def saved_content(directory: str | Path, kind: str, command: str, name: str) -> tuple[Any, str]:
    """The JSON of a directory that a command wrote, and what an error calls it.

    Raises
    ------
    StorageError
        If there is none, or a file is missing, damaged or not of it.
    """
    files = storage.read_run(Path(directory))
    if files.manifest.facts.get("kind") != kind:
        raise StorageError(f"{directory} needs to be what {command} wrote, got another run")
    return files.json(name), str(files.directory / name)


def saved_config(directory: Path) -> SavedConfig:
    """Read what a directory of ``diagnose --out`` or ``shift --out`` is of.

    Raises
    ------
    StorageError
        If there is none, or a file is missing, damaged or not of it.
    """
    files = storage.read_run(directory)
    found: SavedConfig = typed(
        files.json("config.json"), SavedConfig, str(directory / "config.json"), "what was looked at"
    )
    return found
