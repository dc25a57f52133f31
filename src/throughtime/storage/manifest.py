"""The manifest of a run: which files it has, their sizes and SHA-256, and how it came to be."""

import hashlib
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
from throughtime.storage.serialize import json_from_bytes, json_to_bytes

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_FORMAT = "throughtime run"
_UNSIGNED = "0" * 64
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
        files={name: FileEntry(len(content), _sha256(content)) for name, content in files.items()},
        manifest_sha256=_UNSIGNED,
    )
    unsigned = json_to_bytes(manifest)
    field = b'"manifest_sha256": "%s"'
    return unsigned.replace(field % _UNSIGNED.encode(), field % _sha256(unsigned).encode())


def parse_manifest(content: bytes, source: str) -> Manifest:
    """Read a manifest and check it against its own hash; ``source`` is what an error calls it.

    Raises
    ------
    StorageError
        If the bytes are not those written, the format version is newer than this one, or a file name could
        leave the run directory.
    """
    value = json_from_bytes(content, source)
    stated = value.get("manifest_sha256") if isinstance(value, dict) else None
    # Over the raw bytes, so that it holds whatever a later version adds, and sees a flipped blank too.
    if not isinstance(stated, str) or len(stated) != 64 or not stated.isascii():
        raise StorageError(f"{source} needs its own SHA-256, got none: the file is damaged or no manifest")
    actual = _sha256(content.replace(stated.encode(), _UNSIGNED.encode()))
    if actual != stated:
        raise StorageError(f"{source} is damaged: {differing_hashes(stated, actual)}")
    version = value.get("format_version")
    if value.get("format") != _FORMAT:
        raise StorageError(f"{source} needs format {_FORMAT!r}, got {value.get('format')!r}")
    if type(version) is not int or version < 1:
        raise StorageError(f"{source} needs a run format of 1 to {FORMAT_VERSION}, got {version!r}")
    if version > FORMAT_VERSION:
        raise StorageError(
            f"{source} needs run format {FORMAT_VERSION} or older, got {version}: written by a newer "
            "throughtime; upgrade to read it"
        )
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
    if (actual := _sha256(content)) != entry.sha256:
        raise StorageError(f"{source} is damaged: {differing_hashes(entry.sha256, actual)}")


def differing_hashes(expected: str, actual: str) -> str:
    """Say in a few digits that two hashes differ."""
    return f"SHA-256 {expected[:12]}... expected, got {actual[:12]}..."


def package_versions(names: Sequence[str]) -> dict[str, str | None]:
    """Versions of Python and of packages, read without importing them; ``None`` for one not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
