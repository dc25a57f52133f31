"""A file that vouches for itself: a line of JSON with facts and the SHA-256 of the whole, then the content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from throughtime.errors import StorageError
from throughtime.storage.hashed_json import differing_hashes
from throughtime.storage.serialize import json_from_bytes

_UNSIGNED = b"0" * 64
_FIELD = b'"sha256": "%s"'


def seal(facts: Mapping[str, Any], content: bytes) -> bytes:
    """Put a line with facts, plain values that JSON has, and the hash of line and content before the content."""
    line = json.dumps({"sha256": _UNSIGNED.decode(), "facts": dict(facts)}, allow_nan=False).encode("ascii")
    total = hashlib.sha256(line)
    total.update(b"\n")
    total.update(content)
    return b"".join([line.replace(_FIELD % _UNSIGNED, _FIELD % total.hexdigest().encode(), 1), b"\n", content])


def unseal(sealed: bytes, source: str) -> tuple[dict[str, Any], memoryview]:
    """Give the facts and the content that `seal` was given; ``source`` is what an error calls the file.

    Raises
    ------
    StorageError
        If any byte is another, or missing, or too many.
    """
    line, newline, _ = sealed.partition(b"\n")
    value = json_from_bytes(line, f"the first line of {source}")
    stated = value.get("sha256") if isinstance(value, dict) else None
    if not newline or not isinstance(stated, str) or len(stated) != 64 or not stated.isascii():
        raise StorageError(f"{source} needs a first line with its SHA-256, got none: it is damaged or something else")
    content = memoryview(sealed)[len(line) + 1 :]
    total = hashlib.sha256(line.replace(_FIELD % stated.encode(), _FIELD % _UNSIGNED, 1))
    total.update(b"\n")
    total.update(content)
    if total.hexdigest() != stated:
        raise StorageError(f"{source} is damaged: {differing_hashes(stated, total.hexdigest())}")
    facts = value.get("facts")
    if not isinstance(facts, dict):
        raise StorageError(f"{source} needs facts in its first line, got {facts!r}")
    return facts, content
