"""What limits a network: remedies are tried as further members on the same folds, and the verdict says which helped."""

from throughtime.generalization.diagnosis.probes import AUTO_PROBES, Base, Probe, Setting, Variant
from throughtime.generalization.diagnosis.procedure import diagnose
from throughtime.generalization.diagnosis.records import (
    Diagnosis,
    Effect,
    HistoryCurve,
    LearningCurve,
    Remedy,
    VerdictName,
)

__all__ = [
    "AUTO_PROBES",
    "Base",
    "Diagnosis",
    "Effect",
    "HistoryCurve",
    "LearningCurve",
    "Probe",
    "Remedy",
    "Setting",
    "Variant",
    "VerdictName",
    "diagnose",
]
