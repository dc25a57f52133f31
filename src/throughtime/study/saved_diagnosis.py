"""The files of a diagnosis: itself, what it is of, its pictures; and read again, each value of its type."""

from pathlib import Path

from throughtime import storage
from throughtime.displays import EffectsDisplay, FittedLearningCurveDisplay, HistoryCurveDisplay, curve_loss
from throughtime.generalization import Diagnosis
from throughtime.storage import json_to_bytes, typed
from throughtime.study.diagnosing import DiagnosisReport
from throughtime.study.files import run_facts, svg_bytes
from throughtime.study.record_forms import record_form
from throughtime.study.saved_configs import saved_content

#: Kind, in its manifest, of the directory of a diagnosis; and the file that holds the diagnosis.
DIAGNOSIS, CONTENT = "diagnosis", "diagnosis.json"


def diagnosis_files(report: DiagnosisReport) -> dict[str, bytes]:
    """A diagnosis, what it is of, and its pictures, SVG, by their names."""
    found = report.diagnosis
    files = {CONTENT: json_to_bytes(found), "config.json": json_to_bytes(report.config)}
    if found.effects:
        files["effects.svg"] = svg_bytes(EffectsDisplay(found.effects, found.margin, found.level))
    if found.learning_curve is not None:
        learning = FittedLearningCurveDisplay(found.learning_curve, curve_loss(found, "data"), found.units)
        files["learning_curve.svg"] = svg_bytes(learning)
    if found.history is not None:
        files["history.svg"] = svg_bytes(HistoryCurveDisplay(found.history, curve_loss(found, "history")))
    return files


def save_diagnosis(report: DiagnosisReport, directory: str | Path) -> list[str]:
    """Write a diagnosis into a new directory, whole or not at all.

    Returns
    -------
    The names of its files.

    Raises
    ------
    StorageError
        When the directory exists or cannot be written; nothing is left behind.
    """
    files = diagnosis_files(report)
    storage.write_run(Path(directory), files, run_facts(report.model) | {"kind": DIAGNOSIS})
    return list(files)


def read_diagnosis(directory: str | Path) -> Diagnosis:
    """Read a diagnosis that ``throughtime diagnose --out`` wrote; a number that is infinite is read as NaN.

    Raises
    ------
    StorageError
        If there is none, or a file is missing, damaged or not of it.
    """
    value, source = saved_content(directory, DIAGNOSIS, "diagnose", CONTENT)
    found: Diagnosis = typed(value, record_form(Diagnosis), source, "a diagnosis")
    return found
