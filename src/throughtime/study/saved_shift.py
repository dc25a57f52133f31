"""The files of a diagnosis of shift: itself, what it is of, and its pictures."""

from dataclasses import fields
from pathlib import Path

from throughtime import storage
from throughtime.displays import ClassPriorsDisplay, ShiftChannelsDisplay, ShiftInTimeDisplay
from throughtime.storage import json_to_bytes
from throughtime.study.files import svg_bytes
from throughtime.study.shifting import ShiftReport

#: Kind, in its manifest, of the directory of a diagnosis of shift.
SHIFT = "shift"
#: What was compared, which a run keeps: no plain values.
_COMPARED = ("reference", "deployed")


def shift_files(report: ShiftReport) -> dict[str, bytes]:
    """A diagnosis, what it is of, and its pictures, SVG, by their names."""
    found = report.diagnosis
    plain = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in _COMPARED}
    files = {"shift.json": json_to_bytes(plain), "config.json": json_to_bytes(report.config)}
    if found.channels:
        files["channels.svg"] = svg_bytes(ShiftChannelsDisplay.of_diagnosis(found))
    if found.classes:
        files["classes.svg"] = svg_bytes(ClassPriorsDisplay(found.classes))
    if found.stretches:
        files["stretches.svg"] = svg_bytes(ShiftInTimeDisplay(found.stretches, found.level))
    return files


def save_shift(report: ShiftReport, directory: str | Path) -> list[str]:
    """Write a diagnosis of shift into a new directory, whole or not at all.

    Returns
    -------
    The names of its files.

    Raises
    ------
    StorageError
        When the directory exists or cannot be written; nothing is left behind.
    """
    files = shift_files(report)
    storage.write_run(Path(directory), files, {"kind": SHIFT})
    return list(files)
