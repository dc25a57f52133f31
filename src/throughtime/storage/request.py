"""What a command was asked for, kept in its run while that is made, so that it can go on: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from throughtime.errors import StorageError
from throughtime.storage.hashed_json import hashed_bytes, parse_hashed
from throughtime.storage.manifest import package_versions

FORMAT_VERSION = 1
_FORMAT = "throughtime request"
_HASH = "request_sha256"


@dataclass(frozen=True)
class Request:
    """The content of ``request.json``.

    ``created`` is UTC in ISO 8601; ``facts`` is what the bits of the run depend on, and ``asked`` what its command was
    asked for. ``request_sha256`` is the hash of the file's own bytes with zeros in its place.
    """

    format: str
    format_version: int
    created: str
    versions: Mapping[str, str | None]
    facts: Mapping[str, Any]
    asked: Mapping[str, Any]
    request_sha256: str


def request_bytes(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    """Write a request, its own hash included."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    versions = package_versions(["throughtime", "torch", "numpy"])
    return hashed_bytes(Request(_FORMAT, FORMAT_VERSION, created, versions, facts, asked, ""), _HASH)


def parse_request(content: bytes, source: str) -> Request:
    """Read a request and check it against its own hash; ``source`` is what an error calls it.

    Raises
    ------
    StorageError
        If the bytes are not those written, or of a newer format.
    """
    value = parse_hashed(content, source, field=_HASH, form=_FORMAT, version=FORMAT_VERSION)
    # Not by pydantic, whose JSON lacks half of a surrogate pair: a file's name may not be UTF-8.
    kinds = {"created": str, "versions": dict, "facts": dict, "asked": dict}
    for name, kind in kinds.items():
        if not isinstance(value.get(name), kind):
            raise StorageError(f"{source} is no valid request: {name} = {value.get(name)!r:.60}")
    if unknown := sorted(value.keys() - {field.name for field in fields(Request)}):
        raise StorageError(f"{source} is no valid request: {unknown[0]} is not known")
    return Request(**value)
