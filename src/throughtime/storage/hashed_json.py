"""JSON that vouches for itself: a field holds the SHA-256 of the file's own bytes with zeros in its place."""

import hashlib
from collections.abc import Mapping
from typing import Any

from throughtime.errors import StorageError
from throughtime.storage.serialize import json_from_bytes, json_to_bytes

_UNHASHED = "0" * 64


def hashed_bytes(content: Any, field: str) -> bytes:
    """Write a mapping, or a record, as JSON with the hash in ``field``."""
    plain = dict(content) if isinstance(content, Mapping) else vars(content)
    unhashed = json_to_bytes(plain | {field: _UNHASHED})
    place = f'"{field}": "%s"'
    return unhashed.replace((place % _UNHASHED).encode(), (place % sha256(unhashed)).encode())


def parse_hashed(content: bytes, source: str, *, field: str, form: str, version: int) -> dict[str, Any]:
    """Read what `hashed_bytes` wrote, and check it against its hash.

    Parameters
    ----------
    source
        What an error calls the file.
    form, version
        What the fields ``format`` and ``format_version`` need to hold: a name, and the newest version that can be read.

    Raises
    ------
    StorageError
        If the bytes are not those written, or of another or a newer format.
    """
    value = json_from_bytes(content, source)
    stated = value.get(field) if isinstance(value, dict) else None
    # Over the raw bytes, so that it holds whatever a later version adds, and sees a flipped blank too.
    if not isinstance(stated, str) or len(stated) != 64 or not stated.isascii():
        what = field.removesuffix("_sha256")
        raise StorageError(f"{source} needs its own SHA-256, got none: the file is damaged or no {what}")
    actual = sha256(content.replace(stated.encode(), _UNHASHED.encode()))
    if actual != stated:
        raise StorageError(f"{source} is damaged: {differing_hashes(stated, actual)}")
    found = value.get("format_version")
    if value.get("format") != form:
        raise StorageError(f"{source} needs format {form!r}, got {value.get('format')!r}")
    short = form.removeprefix("throughtime ")
    if type(found) is not int or found < 1:
        raise StorageError(f"{source} needs a {short} format of 1 to {version}, got {found!r}")
    if found > version:
        raise StorageError(
            f"{source} needs {short} format {version} or older, got {found}: written by a newer throughtime; upgrade "
            "to read it"
        )
    return dict(value)


def differing_hashes(expected: str, actual: str) -> str:
    """Say in a few digits that two hashes differ."""
    return f"SHA-256 {expected[:12]}... expected, got {actual[:12]}..."


def sha256(content: bytes) -> str:
    """The hash in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
