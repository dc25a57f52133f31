"""How well a net will do on series it has not seen: folds in lockstep, intervals, and what it must beat."""

from throughtime.findings import Finding
from throughtime.generalization.arguments import arguments_for
from throughtime.generalization.augmentation_check import AUGMENTATION_CHECK, augmentation_findings
from throughtime.generalization.baselines import Baseline, SeasonalNaive, baselines_for
from throughtime.generalization.bootstrap import bootstrap_interval
from throughtime.generalization.cached_predictions import (
    CachedPredictions,
    concatenate_predictions,
    observed_targets,
    predictions_from,
    predictions_of,
    select_targets,
)
from throughtime.generalization.comparison import Comparison, compare_estimators, paired_comparison
from throughtime.generalization.cross_validation import cross_val_predict, cross_val_score, cross_validate
from throughtime.generalization.diagnosis import (
    AUTO_PROBES,
    Base,
    Diagnosis,
    Effect,
    HistoryCurve,
    LearningCurve,
    Probe,
    Remedy,
    Setting,
    Variant,
    VerdictName,
    diagnose,
)
from throughtime.generalization.folds import Split, fold_indices, folds_in_time, given_folds, holdout, parse_cv
from throughtime.generalization.intervals import Interval, corrected_interval, naive_interval, nested_interval
from throughtime.generalization.leakage import LEAKAGE_CHECKS, leakage_in_words, leakage_report
from throughtime.generalization.nested import nested_cross_validate
from throughtime.generalization.nested_scores import nested_cv_interval
from throughtime.generalization.permutation import permutation_test_score
from throughtime.generalization.regularization import regularization_path
from throughtime.generalization.ridge import ridge_leave_one_out
from throughtime.generalization.search import LockstepSearchCV
from throughtime.generalization.simplicity import corrected_errors, one_standard_error
from throughtime.generalization.splitters import (
    TIME_SPLITS,
    PurgedTimeSeriesSplit,
    WalkForwardSplit,
    divided_in_time,
    groups_of,
    of_one_series,
    spans,
)
from throughtime.generalization.three_way_split import ThreeWaySplit, train_validation_test_split
from throughtime.generalization.validation_curves import learning_curve, validation_curve

__all__ = [
    "AUGMENTATION_CHECK",
    "AUTO_PROBES",
    "LEAKAGE_CHECKS",
    "TIME_SPLITS",
    "Base",
    "Baseline",
    "CachedPredictions",
    "Comparison",
    "Diagnosis",
    "Effect",
    "Finding",
    "HistoryCurve",
    "Interval",
    "LearningCurve",
    "LockstepSearchCV",
    "Probe",
    "PurgedTimeSeriesSplit",
    "Remedy",
    "SeasonalNaive",
    "Setting",
    "Split",
    "ThreeWaySplit",
    "Variant",
    "VerdictName",
    "WalkForwardSplit",
    "arguments_for",
    "augmentation_findings",
    "baselines_for",
    "bootstrap_interval",
    "compare_estimators",
    "concatenate_predictions",
    "corrected_errors",
    "corrected_interval",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "diagnose",
    "divided_in_time",
    "fold_indices",
    "folds_in_time",
    "given_folds",
    "groups_of",
    "holdout",
    "leakage_in_words",
    "leakage_report",
    "learning_curve",
    "naive_interval",
    "nested_cross_validate",
    "nested_cv_interval",
    "nested_interval",
    "observed_targets",
    "of_one_series",
    "one_standard_error",
    "paired_comparison",
    "parse_cv",
    "permutation_test_score",
    "predictions_from",
    "predictions_of",
    "regularization_path",
    "ridge_leave_one_out",
    "select_targets",
    "spans",
    "train_validation_test_split",
    "validation_curve",
]
