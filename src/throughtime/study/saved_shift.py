"""The files of a diagnosis of shift: itself, what it is of, and its pictures; and read again."""

from pathlib import Path

from throughtime import storage
from throughtime.displays import ClassPriorsDisplay, ShiftChannelsDisplay, ShiftInTimeDisplay, ShiftTargetsDisplay
from throughtime.shift import NamedShift
from throughtime.storage import json_to_bytes
from throughtime.study.files import svg_bytes
from throughtime.study.saved_configs import saved_content
from throughtime.study.shift_outcomes import outcome_from, outcome_of
from throughtime.study.shifting import ShiftReport

#: Kind, in its manifest, of the directory of a diagnosis of shift; and the file that holds the diagnosis.
SHIFT, CONTENT = "shift", "shift.json"


def shift_files(report: ShiftReport) -> dict[str, bytes]:
    """A diagnosis, what it is of, and its pictures, SVG, by their names."""
    found = report.diagnosis
    files = {CONTENT: json_to_bytes(outcome_of(found)), "config.json": json_to_bytes(report.config)}
    if found.channels:
        files["channels.svg"] = svg_bytes(ShiftChannelsDisplay.of_diagnosis(found))
    if found.classes:
        files["classes.svg"] = svg_bytes(ClassPriorsDisplay(found.classes))
    if found.targets:
        files["targets.svg"] = svg_bytes(ShiftTargetsDisplay.of_diagnosis(found))
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


def read_shift(directory: str | Path) -> NamedShift:
    """Read a diagnosis of shift that ``throughtime shift --out`` wrote; a number that is infinite is read as NaN.

    Raises
    ------
    StorageError
        If there is none, or a file is missing, damaged or not of it.
    """
    return outcome_from(*saved_content(directory, SHIFT, "shift", CONTENT))
