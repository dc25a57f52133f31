"""throughtime: recurrent networks that generalize; folds, settings and seeds train in lockstep.

Everything here is loaded when it is first asked for: importing torch takes a second, and ``--help`` must not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughtime.data import Dataset, Sequences, load, read
    from throughtime.estimators import (
        Differences,
        FourierFeatures,
        LagFeatures,
        RollingStatistics,
        SequenceClassifier,
        SequenceRegressor,
        SummaryFeatures,
        augment_series,
        fit_members,
    )
    from throughtime.export import export_onnx, export_torch
    from throughtime.generalization import (
        LockstepSearchCV,
        PurgedTimeSeriesSplit,
        WalkForwardSplit,
        augmentation_findings,
        bootstrap_interval,
        compare_estimators,
        cross_val_predict,
        cross_val_score,
        cross_validate,
        diagnose,
        leakage_report,
        learning_curve,
        nested_cross_validate,
        nested_cv_interval,
        one_standard_error,
        permutation_test_score,
        regularization_path,
        train_validation_test_split,
        validation_curve,
    )
    from throughtime.shift import Reference, correct, diagnose_shift
    from throughtime.study import evaluate
    from throughtime.training import Checkpoints, MetricLog, TensorBoard, read_metric_log

_HOMES = {
    "Checkpoints": "training",
    "Dataset": "data",
    "Sequences": "data",
    "load": "data",
    "read": "data",
    "SequenceClassifier": "estimators",
    "SequenceRegressor": "estimators",
    "augment_series": "estimators",
    "fit_members": "estimators",
    "Differences": "estimators",
    "FourierFeatures": "estimators",
    "LagFeatures": "estimators",
    "RollingStatistics": "estimators",
    "SummaryFeatures": "estimators",
    "export_onnx": "export",
    "export_torch": "export",
    "LockstepSearchCV": "generalization",
    "PurgedTimeSeriesSplit": "generalization",
    "WalkForwardSplit": "generalization",
    "augmentation_findings": "generalization",
    "bootstrap_interval": "generalization",
    "compare_estimators": "generalization",
    "nested_cv_interval": "generalization",
    "cross_val_predict": "generalization",
    "cross_val_score": "generalization",
    "cross_validate": "generalization",
    "diagnose": "generalization",
    "leakage_report": "generalization",
    "learning_curve": "generalization",
    "nested_cross_validate": "generalization",
    "one_standard_error": "generalization",
    "permutation_test_score": "generalization",
    "regularization_path": "generalization",
    "train_validation_test_split": "generalization",
    "validation_curve": "generalization",
    "Reference": "shift",
    "correct": "shift",
    "diagnose_shift": "shift",
    "evaluate": "study",
    "MetricLog": "training",
    "TensorBoard": "training",
    "read_metric_log": "training",
}
#: Packages that are reached without an import of their own.
_PACKAGES = ("study",)

__all__ = [
    "Checkpoints",
    "Dataset",
    "Differences",
    "FourierFeatures",
    "LagFeatures",
    "LockstepSearchCV",
    "MetricLog",
    "PurgedTimeSeriesSplit",
    "Reference",
    "RollingStatistics",
    "SequenceClassifier",
    "SequenceRegressor",
    "Sequences",
    "SummaryFeatures",
    "TensorBoard",
    "WalkForwardSplit",
    "augment_series",
    "augmentation_findings",
    "bootstrap_interval",
    "compare_estimators",
    "correct",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "diagnose",
    "diagnose_shift",
    "evaluate",
    "export_onnx",
    "export_torch",
    "fit_members",
    "leakage_report",
    "learning_curve",
    "load",
    "nested_cross_validate",
    "nested_cv_interval",
    "one_standard_error",
    "permutation_test_score",
    "read",
    "read_metric_log",
    "regularization_path",
    "train_validation_test_split",
    "validation_curve",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES])
