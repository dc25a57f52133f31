"""What a diagnosis, or a diagnosis of shift, was of: the part of its ``config.json`` that is read again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime import storage
from throughtime.records import Record
from throughtime.storage import typed


@dataclass(frozen=True)
class SavedConfig(Record):
    """The data that were looked at; of a diagnosis the estimator's parameters, of a shift the run."""

    source: str
    parameters: dict[str, Any] | None = None
    run: str | None = None


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
