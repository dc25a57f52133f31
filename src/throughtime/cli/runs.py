"""The run that a command was given the directory of."""

from pathlib import Path

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.export import EXPORTED
from throughtime.study import DIAGNOSIS, SHIFT, Run

#: Kind, in its manifest, of a directory of pictures.
PICTURES = "flow"
#: What else has a manifest, by kind.
NO_RUNS = {
    PICTURES: "the pictures that flow wrote",
    DIAGNOSIS: "a diagnosis",
    SHIFT: "a diagnosis of shift",
    EXPORTED: "an exported model",
}


def is_written(path: str | Path) -> bool:
    """Whether a command wrote this directory, or is about to, or an estimator's ``save``."""
    return (Path(path) / storage.MANIFEST).is_file() or storage.is_unfinished(Path(path))


def open_run(directory: Path) -> Run:
    """The run in a directory.

    Raises
    ------
    StorageError
        If there is none, or it is damaged.
    """
    run = Run.open(directory)
    for kind, other in NO_RUNS.items():
        if run.facts.get("kind") == kind:
            raise StorageError(f"{directory} needs to be a run of fit or search, got {other}")
    return run
