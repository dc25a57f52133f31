"""Files that are whole or absent: atomic writes, the run directory with its manifest, a run while it is made."""

from throughtime.storage.atomic import claim_file, refusals_named, write_file
from throughtime.storage.manifest import MANIFEST, REQUEST, FileEntry, Manifest, package_versions
from throughtime.storage.request import Request
from throughtime.storage.run import Run, claim, read_run, write_run
from throughtime.storage.sealed import seal, unseal
from throughtime.storage.serialize import arrays_from_bytes, arrays_to_bytes, json_from_bytes, json_to_bytes, typed
from throughtime.storage.traces import has_traces
from throughtime.storage.unfinished import (
    UnfinishedRun,
    begin_run,
    is_unfinished,
    is_written_now,
    read_request,
    resume_run,
)
from throughtime.storage.unwritten import unwritten_run

__all__ = [
    "MANIFEST",
    "REQUEST",
    "FileEntry",
    "Manifest",
    "Request",
    "Run",
    "UnfinishedRun",
    "arrays_from_bytes",
    "arrays_to_bytes",
    "begin_run",
    "claim",
    "claim_file",
    "has_traces",
    "is_unfinished",
    "is_written_now",
    "json_from_bytes",
    "json_to_bytes",
    "package_versions",
    "read_request",
    "read_run",
    "refusals_named",
    "resume_run",
    "seal",
    "typed",
    "unseal",
    "unwritten_run",
    "write_file",
    "write_run",
]
