"""Whether a directory is that of a run, finished, in progress or damaged: what its files say of themselves."""

from pathlib import Path

from throughtime.errors import StorageError
from throughtime.storage.manifest import MANIFEST, REQUEST
from throughtime.storage.serialize import json_from_bytes

#: Files of which a run that has lost its manifest still has one.
_OF_RUNS = ("config.json", "model.json")
#: Of these each of the files has two at least, so that one which a damage renames is not missed.
_KEYS = {"format", "format_version", "manifest_sha256", "request_sha256", "source", "parameters", "architecture"}


def has_traces(directory: Path) -> bool:
    """Whether a directory is a run's or was one: a file of its names is there that others did not write."""
    return any(_is_ours(directory / name) for name in (MANIFEST, REQUEST, *_OF_RUNS))


def refuse_inside_run(path: Path) -> None:
    """Refuse a place in the directory of a run: what its manifest does not list makes it unreadable.

    Raises
    ------
    StorageError
        If one of the parents of ``path`` is a run.
    """
    for parent in (path.parent / "_").resolve().parents:
        if _is_ours(parent / MANIFEST) or _is_ours(parent / REQUEST):
            raise StorageError(
                f"{path} needs a place outside of the run {parent}, whose manifest lists every file of it; beside it "
                "is one"
            )


def _is_ours(path: Path) -> bool:
    """Whether a JSON file may be ours: one that is damaged may, one that says that it is another is not."""
    if not path.is_file():
        return False
    try:
        value = json_from_bytes(path.read_bytes())
    except (OSError, StorageError):
        return True
    return not isinstance(value, dict) or bool(_KEYS & value.keys())
