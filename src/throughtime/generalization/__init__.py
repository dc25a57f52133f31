"""How well a net will do on series it has not seen: folds in lockstep, intervals, and what it must beat."""

from throughtime.generalization.answers import Answers
from throughtime.generalization.assessment import (
    Assessment,
    ModelScores,
    assess,
    assess_baselines,
    interval_of,
    scorers_for,
    with_seed,
)
from throughtime.generalization.cross_validation import cross_val_predict, cross_val_score, cross_validate
from throughtime.generalization.folds import Split, fold_indices, holdout, parse_cv
from throughtime.generalization.intervals import Interval, corrected_interval
from throughtime.generalization.nested import nested_cross_validate
from throughtime.generalization.one_standard_error import one_standard_error
from throughtime.generalization.permutation import permutation_test_score
from throughtime.generalization.search import LockstepSearchCV
from throughtime.generalization.validation_curves import learning_curve, validation_curve

__all__ = [
    "Answers",
    "Assessment",
    "Interval",
    "LockstepSearchCV",
    "ModelScores",
    "Split",
    "assess",
    "assess_baselines",
    "corrected_interval",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "fold_indices",
    "holdout",
    "interval_of",
    "learning_curve",
    "nested_cross_validate",
    "one_standard_error",
    "parse_cv",
    "permutation_test_score",
    "scorers_for",
    "validation_curve",
    "with_seed",
]
