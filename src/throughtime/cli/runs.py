"""The run that a command was given the directory of."""

from pathlib import Path

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.study import Run

#: Kind, in its manifest, of a directory of pictures.
PICTURES = "flow"


def is_written(path: str | Path) -> bool:
    """Whether a command wrote this directory, or an estimator's ``save``."""
    return (Path(path) / storage.MANIFEST).is_file()


def open_run(directory: Path) -> Run:
    """The run in a directory.

    Raises
    ------
    StorageError
        If there is none, or it is damaged.
    """
    run = Run.open(directory)
    if run.facts.get("kind") == PICTURES:
        raise StorageError(f"{directory} needs to be a run of fit or search, got the pictures that flow wrote")
    return run
