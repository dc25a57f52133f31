"""The manifest of a run: which files it has, their sizes and SHA-256, and how it came to be."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from throughtime.errors import StorageError
from throughtime.storage.hashed_json import differing_hashes, hashed_bytes, parse_hashed, sha256

MANIFEST = "manifest.json"
#: What is in the directory of a run only while it is made: what was asked, the lock, the folder of checkpoints.
REQUEST, LOCK, CHECKPOINTS = "request.json", "lock", "checkpoints"
FORMAT_VERSION = 1
_FORMAT = "throughtime run"
_HASH = "manifest_sha256"
# Names are ours, never a user's: ASCII, no leading dot or dash, no space, no ".." and no drive letter.
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?", re.ASCII)


@dataclass(frozen=True)
class FileEntry:
    """What a file of the run must be: its length in bytes and its SHA-256 in hexadecimal."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``.

    ``created`` is UTC in ISO 8601; ``facts`` is what the writer said of the training: device, instruction
    set, threads, source.  ``manifest_sha256`` is the hash of the manifest's own bytes with zeros in its place.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    format: str
    format_version: int
    created: str
    versions: Mapping[str, str | None]
    facts: Mapping[str, Any]
    files: Mapping[str, FileEntry]
    manifest_sha256: str


def manifest_bytes(files: Mapping[str, bytes], facts: Mapping[str, Any]) -> bytes:
    """Write the manifest of ``files``, its own hash included.

    Raises
    ------
    StorageError
        If a file's name could leave the run directory or collide with another.
    """
    check_names(list(files))
    manifest = Manifest(
        format=_FORMAT,
        format_version=FORMAT_VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=package_versions(["throughtime", "torch", "numpy"]),
        facts=facts,
        files={name: FileEntry(len(content), sha256(content)) for name, content in files.items()},
        manifest_sha256="",
    )
    return hashed_bytes(manifest, _HASH)


def parse_manifest(content: bytes, source: str) -> Manifest:
    """Read a manifest and check it against its own hash; ``source`` is what an error calls it.

    Raises
    ------
    StorageError
        If the bytes are not those written, the format version is newer than this one, or a file name could
        leave the run directory.
    """
    parse_hashed(content, source, field=_HASH, form=_FORMAT, version=FORMAT_VERSION)
    try:
        manifest = TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StorageError(f"{source} is no valid manifest: {place}: {first['msg']}") from error
    check_names(list(manifest.files))
    return manifest


def check_names(names: Sequence[str]) -> None:
    """Refuse names of files that could leave the run directory, or be one file on some file system."""
    seen = {MANIFEST}
    for name in names:
        if not all(_PART.fullmatch(part) for part in name.split("/")):
            raise StorageError(
                f"a run's file needs a relative name of letters, digits, '.', '_', '-' and '/', got {name!r}"
            )
        if name.split("/")[0].lower() in (REQUEST, LOCK, CHECKPOINTS):
            raise StorageError(f"a run's file needs another name than those of a run in progress, got {name!r}")
        # Windows and macOS take names that differ in case for one.
        if name.lower() in seen:
            raise StorageError(f"a run's file needs a name of its own, got {name!r} a second time")
        seen.add(name.lower())
    folders = {str(folder).lower() for name in names for folder in PurePosixPath(name).parents}
    for name in names:
        if name.lower() in folders:
            raise StorageError(f"a run's file needs a name that is no folder's, got {name!r}")


def check_content(content: bytes, entry: FileEntry, source: str) -> None:
    """Refuse bytes that are not those the manifest lists."""
    if len(content) != entry.size:
        raise StorageError(f"{source} is damaged: {entry.size} bytes expected, got {len(content)}")
    if (actual := sha256(content)) != entry.sha256:
        raise StorageError(f"{source} is damaged: {differing_hashes(entry.sha256, actual)}")


def package_versions(names: Sequence[str]) -> dict[str, str | None]:
    """Versions of Python and of packages, read without importing them; ``None`` for one not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions
