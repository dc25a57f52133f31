"""Files that are whole or absent: atomic writes and the run directory with its manifest."""

from throughtime.storage.atomic import claim_file, refusals_named, write_file
from throughtime.storage.manifest import MANIFEST, FileEntry, Manifest, package_versions
from throughtime.storage.run import Run, claim, read_run, write_run
from throughtime.storage.sealed import seal, unseal
from throughtime.storage.serialize import arrays_from_bytes, arrays_to_bytes, json_from_bytes, json_to_bytes, typed

__all__ = [
    "MANIFEST",
    "FileEntry",
    "Manifest",
    "Run",
    "arrays_from_bytes",
    "arrays_to_bytes",
    "claim",
    "claim_file",
    "json_from_bytes",
    "json_to_bytes",
    "package_versions",
    "read_run",
    "refusals_named",
    "seal",
    "typed",
    "unseal",
    "write_file",
    "write_run",
]
