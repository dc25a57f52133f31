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
from throughtime.generalization.cross_validation import cross_validate
from throughtime.generalization.folds import Split, fold_indices, holdout, parse_cv
from throughtime.generalization.intervals import Interval, corrected_interval

__all__ = [
    "Answers",
    "Assessment",
    "Interval",
    "ModelScores",
    "Split",
    "assess",
    "assess_baselines",
    "corrected_interval",
    "cross_validate",
    "fold_indices",
    "holdout",
    "interval_of",
    "parse_cv",
    "scorers_for",
    "with_seed",
]
